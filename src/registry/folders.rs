//! Where versions lie, and who may change that.
//!
//! ```text
//! DATA/versions/LOCK                       held by who publishes, collects or sweeps; readers need no lock
//! DATA/versions/<kind>/<version>/          manifest.json, manifest.sig and what no other version can share
//! DATA/versions/generator/components/…     the components of all generators, each once, by hash (`pack/files`)
//! DATA/staging/.version-…                  what is being written, or removed
//! DATA/staging/.publishing-<kind>-<version>  the folder of this version may be there without a row
//! ```

use std::{
    fs::{self, File, TryLockError},
    io,
    path::{Path, PathBuf},
};

use super::RegistryError;
use crate::{
    domain::{Kind, VersionId},
    pack,
};

/// What names of unfinished folders begin with; other things in `staging/` are not ours to remove.
const UNFINISHED: &str = ".version-";
/// What names of marks begin with.
const MARK: &str = ".publishing-";

/// The folders under a `--data` directory.
#[derive(Debug, Clone)]
pub(super) struct Folders {
    data: PathBuf,
}

/// While this is held nobody else changes what is there, in this process or another.
#[derive(Debug)]
pub(super) struct Held(#[allow(dead_code)] File);

impl Folders {
    /// Makes the folders.
    pub(super) fn under(data: &Path) -> Result<Self, RegistryError> {
        let made = Self { data: data.to_owned() };
        for folder in Kind::ALL.map(|kind| made.of(kind)).into_iter().chain([made.staging()]) {
            fs::create_dir_all(&folder).map_err(RegistryError::io(&folder))?;
        }
        Ok(made)
    }

    /// Where all versions of a kind are.
    pub(super) fn of(&self, kind: Kind) -> PathBuf {
        self.data.join("versions").join(kind.name())
    }

    /// Where a version is, or would be.
    pub(super) fn version(&self, kind: Kind, version: &VersionId) -> PathBuf {
        self.of(kind).join(version.as_str())
    }

    pub(super) fn staging(&self) -> PathBuf {
        self.data.join("staging")
    }

    /// A new folder that is removed when it is dropped, or swept after a crash.
    pub(super) fn stage(&self) -> Result<tempfile::TempDir, RegistryError> {
        use std::os::unix::fs::PermissionsExt;
        let staging = self.staging();
        let mut builder = tempfile::Builder::new();
        // A pack is as readable as the user's other folders.
        builder.prefix(UNFINISHED).permissions(fs::Permissions::from_mode(0o755));
        builder.tempdir_in(&staging).map_err(RegistryError::io(&staging))
    }

    /// Waits until nobody else changes what is there, and sweeps.
    pub(super) fn hold(&self) -> Result<Held, RegistryError> {
        let (file, path) = self.lock_file()?;
        file.lock().map_err(RegistryError::io(&path))?;
        let held = Held(file);
        self.sweep(&held)?;
        Ok(held)
    }

    /// As [`Folders::hold`]; `None` where somebody is at work.
    pub(super) fn try_hold(&self) -> Result<Option<Held>, RegistryError> {
        let (file, path) = self.lock_file()?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Ok(None),
            Err(TryLockError::Error(source)) => return Err(RegistryError::Io { path, source }),
        }
        let held = Held(file);
        self.sweep(&held)?;
        Ok(Some(held))
    }

    fn lock_file(&self) -> Result<(File, PathBuf), RegistryError> {
        let path = self.data.join("versions/LOCK");
        let opened = File::options().read(true).write(true).create(true).truncate(false).open(&path);
        Ok((opened.map_err(RegistryError::io(&path))?, path))
    }

    /// Removes what a killed process left half-written or half-removed, and components that no version names.
    fn sweep(&self, _: &Held) -> Result<(), RegistryError> {
        for path in self.staged(UNFINISHED)? {
            fs::remove_dir_all(&path).map_err(RegistryError::io(&path))?;
        }
        self.prune()
    }

    /// Removes components that no version names.
    pub(super) fn prune(&self) -> Result<(), RegistryError> {
        for removed in pack::prune(&self.of(Kind::Generator))? {
            tracing::info!(component = removed, "removed a component that no version names");
        }
        Ok(())
    }

    /// Leaves a mark: from now on the version's folder may be there without a row.
    pub(super) fn mark(&self, kind: Kind, version: &VersionId) -> Result<(), RegistryError> {
        let path = self.mark_of(kind, version);
        File::create(&path).and_then(|file| file.sync_all()).map_err(RegistryError::io(&path))?;
        sync(&self.staging())
    }

    /// Takes a mark away.
    pub(super) fn unmark(&self, kind: Kind, version: &VersionId) -> Result<(), RegistryError> {
        let path = self.mark_of(kind, version);
        match fs::remove_file(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(RegistryError::Io { path, source: error }),
            _ => Ok(()),
        }
    }

    /// The marks that there are.
    pub(super) fn marks(&self) -> Result<Vec<(Kind, VersionId)>, RegistryError> {
        let read = |path: PathBuf| {
            let (kind, version) = path.file_name()?.to_str()?.strip_prefix(MARK)?.split_once('-')?;
            Some((kind.parse().ok()?, version.parse().ok()?))
        };
        Ok(self.staged(MARK)?.into_iter().filter_map(read).collect())
    }

    fn mark_of(&self, kind: Kind, version: &VersionId) -> PathBuf {
        self.staging().join(format!("{MARK}{kind}-{version}"))
    }

    fn staged(&self, prefix: &str) -> Result<Vec<PathBuf>, RegistryError> {
        let staging = self.staging();
        let entries = fs::read_dir(&staging).map_err(RegistryError::io(&staging))?.flatten();
        let ours = |entry: &fs::DirEntry| entry.file_name().to_string_lossy().starts_with(prefix);
        Ok(entries.filter(ours).map(|entry| entry.path()).collect())
    }

    /// Moves a version's folder away, so that it is gone at once, and removes it.
    pub(super) fn remove(&self, kind: Kind, version: &VersionId, _: &Held) -> Result<(), RegistryError> {
        let folder = self.version(kind, version);
        let away = self.stage()?;
        match fs::rename(&folder, away.path().join("gone")) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            moved => moved.map_err(RegistryError::io(&folder))?,
        }
        sync(&self.of(kind))?;
        super::crash::pass(super::crash::CrashPoint::MovedAway);
        away.close().map_err(RegistryError::io(&folder))
    }
}

/// Writes a folder's entries to the disk.
pub(super) fn sync(folder: &Path) -> Result<(), RegistryError> {
    File::open(folder).and_then(|opened| opened.sync_all()).map_err(RegistryError::io(folder))
}
