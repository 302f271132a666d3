//! Components that packs share: each once, by hash, in the store beside them.

use std::{
    collections::BTreeSet,
    fs::{self, File},
    io::ErrorKind,
    path::{Path, PathBuf},
};

use super::{
    Entry, MANIFEST, Manifest, Pack, PackError,
    files::{Files, STORE, is_hash, store},
    verify::content,
};

/// What became of a component.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sharing {
    /// It was in the store already, from this pack or another.
    Known,
    /// It is in the store now.
    Added,
}

/// A component in the store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SharedComponent {
    /// Its name in the manifest.
    pub name: String,
    /// Its hash, which is its folder's name.
    pub sha256: String,
    /// Length of its files.
    pub bytes: u64,
    /// Whether another pack had brought it.
    pub sharing: Sharing,
    /// Whether the pack's own copy was removed.
    pub freed: bool,
}

/// Moves a pack's components into the store beside it (`components/` in the folder that the pack is in), so that packs that
/// have a component in common hold it once.
///
/// A component is copied, hashed and renamed into the store before the pack's own files go: a pack can be opened whenever this
/// is interrupted, and the next call ends what was begun.
///
/// # Errors
/// A pack that cannot be opened; a component, here or in the store, whose content is not what the manifest says; files that
/// cannot be written.
pub fn share(folder: &Path, mut progress: impl FnMut(&str)) -> Result<Vec<SharedComponent>, PackError> {
    let pack = Pack::open(folder)?;
    let store = store(folder).map_err(PackError::io(folder))?;
    fs::create_dir_all(&store).map_err(PackError::io(&store))?;
    let files = Files::own(folder);
    let mut shared = Vec::new();
    for (name, entry) in &pack.manifest().components {
        progress(name);
        let sharing = put(&pack, entry, &store)?;
        let bytes = entry.files.values().map(|file| file.bytes).sum();
        let (name, sha256) = (name.clone(), entry.sha256.clone());
        shared.push(SharedComponent { name, sha256, bytes, sharing, freed: files.holds(entry) });
    }
    // Only now: components may have a file in common.
    pack.manifest().components.values().try_for_each(|entry| take_away(folder, entry))?;
    Pack::open(folder)?;
    Ok(shared)
}

/// A component in the store, whole.
fn put(pack: &Pack, entry: &Entry, store: &Path) -> Result<Sharing, PackError> {
    let kept = store.join(&entry.sha256);
    if kept.is_dir() {
        check(&kept, entry)?;
        return Ok(Sharing::Known);
    }
    let staging = tempfile::Builder::new().prefix(".sharing-").tempdir_in(store).map_err(PackError::io(store))?;
    for name in entry.files.keys() {
        let (from, to) = (pack.path(name), staging.path().join(name));
        let inner = to.parent().unwrap_or(staging.path());
        fs::create_dir_all(inner).map_err(PackError::io(inner))?;
        fs::copy(&from, &to).map_err(PackError::io(&from))?;
        File::open(&to).and_then(|file| file.sync_all()).map_err(PackError::io(&to))?;
    }
    check(staging.path(), entry)?;
    super::import::open_to_all(staging.path()).map_err(PackError::io(staging.path()))?;
    match fs::rename(staging.path(), &kept) {
        Ok(()) => drop(staging.keep()),
        // Somebody else shared the same one meanwhile.
        Err(error) if matches!(error.kind(), ErrorKind::DirectoryNotEmpty | ErrorKind::AlreadyExists) => {
            check(&kept, entry)?;
        }
        Err(error) => return Err(PackError::Io { path: kept, source: error }),
    }
    File::open(store).and_then(|folder| folder.sync_all()).map_err(PackError::io(store))?;
    Ok(Sharing::Added)
}

/// Whether a component's folder holds what its entry says.
fn check(kept: &Path, entry: &Entry) -> Result<(), PackError> {
    let mut faults = super::fault::Faults::default();
    for (name, facts) in &entry.files {
        content(name, &kept.join(name), facts, &mut faults);
    }
    faults.none_or(kept, ())
}

/// Removes the pack's own copy of a component, and folders that are empty then.
fn take_away(folder: &Path, entry: &Entry) -> Result<(), PackError> {
    for name in entry.files.keys() {
        let own = folder.join(name);
        match fs::remove_file(&own) {
            Err(error) if error.kind() != ErrorKind::NotFound => {
                return Err(PackError::Io { path: own, source: error });
            }
            _ => {}
        }
        // Fails where something else is left in it.
        let _ = own.parent().filter(|parent| *parent != folder).map(fs::remove_dir);
    }
    Ok(())
}

/// Removes the components in `parent`'s store that no pack in `parent` names; their hashes.
///
/// # Errors
/// A manifest that cannot be read (what it names would be lost); files that cannot be removed.
pub fn prune(parent: &Path) -> Result<Vec<String>, PackError> {
    let mut named = BTreeSet::new();
    for folder in folders(parent)? {
        let path = folder.join(MANIFEST);
        match fs::read_to_string(&path) {
            Ok(text) => {
                let manifest: Manifest = serde_json::from_str(&text)
                    .map_err(|error| PackError::Io { path, source: std::io::Error::other(error) })?;
                named.extend(manifest.components.into_values().map(|entry| entry.sha256));
            }
            Err(error) if error.kind() == ErrorKind::NotFound => {}
            Err(source) => return Err(PackError::Io { path, source }),
        }
    }
    let store = parent.join(STORE);
    if !store.is_dir() {
        return Ok(Vec::new());
    }
    let mut removed = Vec::new();
    for folder in folders(&store)? {
        let name = folder.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        if is_hash(&name) && !named.contains(&name) {
            fs::remove_dir_all(&folder).map_err(PackError::io(&folder))?;
            removed.push(name);
        }
    }
    Ok(removed)
}

fn folders(parent: &Path) -> Result<Vec<PathBuf>, PackError> {
    let entries = fs::read_dir(parent).and_then(|entries| entries.collect::<Result<Vec<_>, _>>());
    let mut paths: Vec<_> = entries.map_err(PackError::io(parent))?.iter().map(fs::DirEntry::path).collect();
    paths.retain(|path| path.is_dir());
    paths.sort();
    Ok(paths)
}
