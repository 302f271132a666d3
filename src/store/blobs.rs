//! Bytes by the SHA-256 of their content: written aside, synced, renamed. What has a name is whole.

use std::{
    fs::{self, File},
    io::{self, Write},
    path::{Path, PathBuf},
};

use anyhow::{Context, ensure};
use sha2::{Digest, Sha256};

/// Hexadecimal digits of a digest that name its folder.
const PREFIX: usize = 2;
/// Hexadecimal digits of a digest.
const DIGITS: usize = 64;

/// The folder of blobs, and the one beside it where they are written.
#[derive(Debug, Clone)]
pub(super) struct Blobs {
    folder: PathBuf,
    staging: PathBuf,
}

impl Blobs {
    /// Makes the folders. Who holds the lock throws away what a killed process left half-written.
    pub(super) fn open(data: &Path, alone: bool) -> anyhow::Result<Self> {
        let made = Self { folder: data.join("blobs"), staging: data.join("staging") };
        for folder in [&made.folder, &made.staging] {
            fs::create_dir_all(folder).with_context(|| format!("cannot make {}", folder.display()))?;
        }
        let unfinished = |entry: &fs::DirEntry| alone && entry.file_name().to_string_lossy().starts_with(UNFINISHED);
        for entry in fs::read_dir(&made.staging)?.flatten().filter(unfinished) {
            fs::remove_file(entry.path()).with_context(|| format!("cannot remove {}", entry.path().display()))?;
        }
        Ok(made)
    }

    /// Stores bytes; their digest. Equal content is stored once.
    pub(super) fn put(&self, bytes: &[u8]) -> io::Result<String> {
        let digest = hex(&Sha256::digest(bytes));
        let path = self.path(&digest);
        if fs::metadata(&path).is_ok_and(|found| found.len() == bytes.len() as u64) {
            return Ok(digest);
        }
        let folder = self.folder.join(&digest[..PREFIX]);
        if !folder.is_dir() {
            fs::create_dir_all(&folder)?;
            File::open(&self.folder)?.sync_all()?;
        }
        let mut file = tempfile::Builder::new().prefix(UNFINISHED).tempfile_in(&self.staging)?;
        file.write_all(bytes)?;
        file.as_file().sync_all()?;
        file.persist(&path).map_err(|error| error.error)?;
        File::open(&folder)?.sync_all()?;
        Ok(digest)
    }

    /// The bytes, once more compared with their digest: a disk can change what it was given.
    pub(super) fn get(&self, digest: &str) -> anyhow::Result<Vec<u8>> {
        let path = self.path(digest);
        let bytes = fs::read(&path).with_context(|| format!("cannot read {}", path.display()))?;
        ensure!(
            hex(&Sha256::digest(&bytes)) == digest,
            "{} is damaged: its content has another digest",
            path.display()
        );
        Ok(bytes)
    }

    /// Removes a blob; one that is not there is no error.
    pub(super) fn remove(&self, digest: &str) -> io::Result<()> {
        match fs::remove_file(self.path(digest)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        }
    }

    /// First digits of all digests for which there may be blobs.
    pub(super) fn prefixes(&self) -> io::Result<Vec<String>> {
        let name = |entry: fs::DirEntry| entry.file_name().into_string().ok().filter(|name| name.len() == PREFIX);
        Ok(fs::read_dir(&self.folder)?.flatten().filter_map(name).collect())
    }

    /// Digests of the blobs under a prefix.
    pub(super) fn under(&self, prefix: &str) -> io::Result<Vec<String>> {
        let digest = |entry: fs::DirEntry| {
            let name = entry.file_name().into_string().ok()?;
            Some(format!("{prefix}{name}")).filter(|digest| digest.len() == DIGITS)
        };
        Ok(fs::read_dir(self.folder.join(prefix))?.flatten().filter_map(digest).collect())
    }

    fn path(&self, digest: &str) -> PathBuf {
        self.folder.join(&digest[..PREFIX]).join(&digest[PREFIX..])
    }
}

/// What names of unfinished blobs begin with; other things in `staging/` are not ours to remove.
const UNFINISHED: &str = ".blob-";

/// Lower-case hexadecimal digits.
pub(super) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
