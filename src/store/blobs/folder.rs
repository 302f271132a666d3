//! A folder of blobs: written aside, synced, renamed.
//!
//! Not object_store's `LocalFileSystem`: it writes beside the blobs under names of its own, so that what a killed process
//! left could not be told from other files.

use std::{
    fmt,
    fs::{self, File},
    io::{self, Write},
    path::{Path, PathBuf},
};

use anyhow::Context;
use bytes::Bytes;

use super::{DIGITS, MARK, PREFIX};

/// What names of unfinished blobs begin with; other things in `staging/` are not ours to remove.
const UNFINISHED: &str = ".blob-";

/// The folder of blobs, and one on the same disk where they are written.
#[derive(Debug, Clone)]
pub(in crate::store) struct Folder {
    folder: PathBuf,
    staging: PathBuf,
}

impl Folder {
    /// Makes the folders. Who is alone throws away what a killed process left half-written.
    pub(super) fn open(folder: &Path, staging: &Path, alone: bool) -> anyhow::Result<Self> {
        let made = Self { folder: folder.to_owned(), staging: staging.to_owned() };
        for folder in [&made.folder, &made.staging] {
            fs::create_dir_all(folder).with_context(|| format!("cannot make {}", folder.display()))?;
        }
        let unfinished = |entry: &fs::DirEntry| alone && entry.file_name().to_string_lossy().starts_with(UNFINISHED);
        for entry in fs::read_dir(&made.staging)?.flatten().filter(unfinished) {
            fs::remove_file(entry.path()).with_context(|| format!("cannot remove {}", entry.path().display()))?;
        }
        Ok(made)
    }

    /// Stores bytes under their digest, which it gives back.
    pub(super) fn put(&self, digest: &str, bytes: &[u8]) -> io::Result<String> {
        let path = self.path(digest);
        if fs::metadata(&path).is_ok_and(|found| found.len() == bytes.len() as u64) {
            return Ok(digest.to_owned());
        }
        let folder = self.folder.join(&digest[..PREFIX]);
        if !folder.is_dir() {
            fs::create_dir_all(&folder)?;
            File::open(&self.folder)?.sync_all()?;
        }
        self.write(&path, bytes)?;
        File::open(&folder)?.sync_all()?;
        Ok(digest.to_owned())
    }

    fn write(&self, path: &Path, bytes: &[u8]) -> io::Result<()> {
        let mut file = tempfile::Builder::new().prefix(UNFINISHED).tempfile_in(&self.staging)?;
        file.write_all(bytes)?;
        file.as_file().sync_all()?;
        file.persist(path).map(drop).map_err(|error| error.error)
    }

    pub(super) fn get(&self, digest: &str) -> anyhow::Result<Bytes> {
        let path = self.path(digest);
        Ok(fs::read(&path).with_context(|| format!("cannot read {}", path.display()))?.into())
    }

    pub(super) fn remove(&self, digest: &str) -> io::Result<()> {
        match fs::remove_file(self.path(digest)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        }
    }

    pub(super) fn prefixes(&self) -> io::Result<Vec<String>> {
        let name = |entry: fs::DirEntry| entry.file_name().into_string().ok().filter(|name| name.len() == PREFIX);
        Ok(fs::read_dir(&self.folder)?.flatten().filter_map(name).collect())
    }

    pub(super) fn under(&self, prefix: &str) -> io::Result<Vec<String>> {
        let digest = |entry: fs::DirEntry| {
            let name = entry.file_name().into_string().ok()?;
            Some(format!("{prefix}{name}")).filter(|digest| digest.len() == DIGITS)
        };
        Ok(fs::read_dir(self.folder.join(prefix))?.flatten().filter_map(digest).collect())
    }

    /// Whose the folder is.
    pub(super) fn mark(&self) -> io::Result<Option<String>> {
        match fs::read_to_string(self.folder.join(MARK)) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            found => found.map(Some),
        }
    }

    pub(super) fn set_mark(&self, owner: &str) -> io::Result<()> {
        self.write(&self.folder.join(MARK), owner.as_bytes())
    }

    fn path(&self, digest: &str) -> PathBuf {
        self.folder.join(&digest[..PREFIX]).join(&digest[PREFIX..])
    }
}

impl fmt::Display for Folder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.folder.display().fmt(f)
    }
}
