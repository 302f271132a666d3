//! Puts a version's files at their place: whole, hashed, on the disk, or not at all.
//!
//! 1. Everything is copied into a folder under `staging/`, hashed on the way, and written to the disk.
//! 2. New components are renamed into the store that versions share; one that is there already is hashed once more.
//! 3. The manifest is written last, and the folder is renamed to its name.
//!
//! A crash leaves a folder in `staging/`, components that no version names, or a version's folder with a mark and without a row:
//! who holds the lock next sweeps them. Nothing is written at a place that has a name already.

use std::{
    fs::{self, File},
    io::{ErrorKind, Read, Write},
    os::unix::fs::{MetadataExt, OpenOptionsExt},
    path::Path,
};

use sha2::{Digest, Sha256};

use super::{
    RegistryError, SIGNATURE,
    crash::{CrashPoint, pass},
    folders::{Folders, Held, sync},
    source::{Item, Source, fault, faulty, none_or},
};
use crate::{
    domain::Kind,
    pack::{COMPONENTS, Entry, Fault, FileFacts, MANIFEST, Pack, hash},
};

/// Bytes that are copied at a time.
const CHUNK_BYTES: usize = 1 << 20;

/// Places a version, or finds it at its place.
///
/// # Errors
/// Files whose content is not what the manifest says, here or there; links; files that cannot be written.
pub(super) fn place(folders: &Folders, source: &Source, held: &Held) -> Result<(), RegistryError> {
    let target = folders.version(source.kind, &source.version);
    if target.exists() {
        return found(source, &target);
    }
    folders.mark(source.kind, &source.version)?;
    pass(CrashPoint::Marked);
    let staging = folders.stage()?;
    let (own, shared) = (staging.path().join("own"), staging.path().join(COMPONENTS));
    let store = folders.of(source.kind).join(COMPONENTS);
    let new = missing(source, &store)?;
    copy_all(source, &source.files, &own)?;
    for entry in &new {
        copy_all(source, &Item::all(entry), &shared.join(&entry.sha256))?;
    }
    pass(CrashPoint::Copied);
    put_components(&new, &shared, &store)?;
    pass(CrashPoint::Components);
    write(&own.join(MANIFEST), &source.manifest)?;
    if let Some(signature) = &source.signature {
        write(&own.join(SIGNATURE), signature.as_bytes())?;
    }
    sync(&own)?;
    pass(CrashPoint::Manifest);
    put_version(source, &own, &target, held)?;
    pass(CrashPoint::Placed);
    Ok(())
}

/// The version's folder is there: it must be what is to be published.
fn found(source: &Source, target: &Path) -> Result<(), RegistryError> {
    let path = target.join(MANIFEST);
    if fs::read(&path).map_err(RegistryError::io(&path))? != source.manifest {
        return Err(faulty(target, vec![fault(MANIFEST, "is not the one that its version is named by: move it away")]));
    }
    check(source.kind, target)?;
    let signature = target.join(SIGNATURE);
    match &source.signature {
        Some(text) if !signature.exists() => {
            write(&signature, text.as_bytes())?;
            sync(target)
        }
        _ => Ok(()),
    }
}

/// Whether a version's files are those that its manifest names, each with its content.
///
/// # Errors
/// With every file that is not.
pub(super) fn check(kind: Kind, folder: &Path) -> Result<(), RegistryError> {
    let read = Source::read(kind, folder)?;
    let shared = read.components.iter().flat_map(Item::all);
    let faults = shared.chain(read.files.iter().cloned()).filter_map(|item| content(&item, &read.path(&item.name)));
    none_or(folder, faults.collect())
}

fn content(item: &Item, path: &Path) -> Option<Fault> {
    match hash::file(path) {
        Ok((found, _)) if found == item.facts.sha256 => None,
        Ok((found, _)) => {
            Some(fault(&item.name, format!("has SHA-256 {found}; the manifest says {}", item.facts.sha256)))
        }
        Err(error) => Some(fault(&item.name, error.to_string())),
    }
}

/// The components that the store does not have; those that it has are whole.
fn missing<'a>(source: &'a Source, store: &Path) -> Result<Vec<&'a Entry>, RegistryError> {
    let (there, new): (Vec<_>, Vec<_>) = source.components.iter().partition(|entry| store.join(&entry.sha256).is_dir());
    for entry in there {
        let kept = store.join(&entry.sha256);
        let faults = Item::all(entry).iter().filter_map(|item| content(item, &kept.join(&item.name))).collect();
        none_or(&kept, faults)?;
    }
    Ok(new)
}

/// Copies files from a source into a new folder; they and their folders are on the disk then.
fn copy_all(source: &Source, items: &[Item], to: &Path) -> Result<(), RegistryError> {
    fs::create_dir_all(to).map_err(RegistryError::io(to))?;
    let mut faults = Vec::new();
    for item in items {
        let target = to.join(&item.name);
        let inner = target.parent().unwrap_or(to);
        fs::create_dir_all(inner).map_err(RegistryError::io(inner))?;
        if let Err(text) = copy(&source.path(&item.name), &target, &item.facts)? {
            faults.push(fault(&item.name, text));
        }
        inner.ancestors().take_while(|folder| folder.starts_with(to)).try_for_each(sync)?;
        pass(CrashPoint::OneFile);
    }
    none_or(&source.folder, faults)
}

/// Copies a file and hashes what it copies. The inner error says what is wrong with the source.
fn copy(from: &Path, to: &Path, facts: &FileFacts) -> Result<Result<(), String>, RegistryError> {
    // Neither a link that was put there after the folder was read, nor a pipe that nobody writes to.
    let opened = File::options().read(true).custom_flags(libc::O_NOFOLLOW | libc::O_NONBLOCK).open(from);
    let mut file = match opened {
        Ok(file) => file,
        Err(error) => return Ok(Err(error.to_string())),
    };
    let found = file.metadata().map_err(RegistryError::io(from))?;
    if !found.is_file() || found.nlink() > 1 {
        return Ok(Err("is a link, or no file: copy it".into()));
    }
    if found.len() != facts.bytes {
        return Ok(Err(format!("has {} bytes; the manifest says {}", found.len(), facts.bytes)));
    }
    let mut out = File::options().write(true).create_new(true).open(to).map_err(RegistryError::io(to))?;
    let (mut hasher, mut chunk) = (Sha256::new(), vec![0; CHUNK_BYTES]);
    loop {
        let read = file.read(&mut chunk).map_err(RegistryError::io(from))?;
        if read == 0 {
            break;
        }
        hasher.update(&chunk[..read]);
        out.write_all(&chunk[..read]).map_err(RegistryError::io(to))?;
    }
    out.sync_all().map_err(RegistryError::io(to))?;
    let digest: String = hasher.finalize().iter().map(|byte| format!("{byte:02x}")).collect();
    if digest != facts.sha256 {
        return Ok(Err(format!("has SHA-256 {digest}; the manifest says {}", facts.sha256)));
    }
    Ok(Ok(()))
}

fn put_components(new: &[&Entry], staged: &Path, store: &Path) -> Result<(), RegistryError> {
    fs::create_dir_all(store).map_err(RegistryError::io(store))?;
    for entry in new {
        let kept = store.join(&entry.sha256);
        match fs::rename(staged.join(&entry.sha256), &kept) {
            // Two parts of one version may be equal.
            Err(error) if error.kind() == ErrorKind::NotFound && kept.is_dir() => {}
            moved => moved.map_err(RegistryError::io(&kept))?,
        }
        pass(CrashPoint::OneComponent);
    }
    sync(store)
}

/// Renames the folder to its name, and opens it as a reader would.
fn put_version(source: &Source, own: &Path, target: &Path, _: &Held) -> Result<(), RegistryError> {
    fs::rename(own, target).map_err(RegistryError::io(target))?;
    sync(target.parent().unwrap_or(target))?;
    if source.kind == Kind::Generator {
        Pack::open(target)?;
    }
    Ok(())
}

fn write(path: &Path, bytes: &[u8]) -> Result<(), RegistryError> {
    let folder = path.parent().unwrap_or(path);
    let written = tempfile::NamedTempFile::new_in(folder).and_then(|mut file| {
        use std::os::unix::fs::PermissionsExt;
        file.write_all(bytes)?;
        file.as_file().set_permissions(fs::Permissions::from_mode(0o644))?;
        file.as_file().sync_all()?;
        file.persist(path).map(drop).map_err(|error| error.error)
    });
    written.map_err(RegistryError::io(path))
}
