//! Bytes by the SHA-256 of their content: in a folder, or in an S3 bucket. What has a name is whole.

mod bucket;
mod folder;

use std::{io, path::Path};

use anyhow::{Context, bail, ensure};
use bytes::Bytes;
use sha2::{Digest, Sha256};

use bucket::Bucket;
use folder::Folder;

/// Hexadecimal digits of a digest that name its folder.
const PREFIX: usize = 2;
/// Hexadecimal digits of a digest.
const DIGITS: usize = 64;
/// What a place for blobs is called that belongs to a database; digests are called otherwise.
const MARK: &str = "STORE";

/// A place for blobs. Cheap to clone.
#[derive(Debug, Clone)]
pub(super) enum Blobs {
    Folder(Folder),
    Bucket(Bucket),
}

impl Blobs {
    /// The place of this name, by default a folder of the data directory. Who is alone throws away what a killed process
    /// left half-written there.
    pub(super) fn open(data: &Path, place: Option<&str>, alone: bool) -> anyhow::Result<Self> {
        Ok(match place {
            Some(url) if url.contains("://") => Self::Bucket(Bucket::open(url)?),
            Some(folder) => Self::Folder(Folder::open(Path::new(folder), &data.join("staging"), alone)?),
            None => Self::Folder(Folder::open(&data.join("blobs"), &data.join("staging"), alone)?),
        })
    }

    /// Stores bytes; their digest. Equal content is stored once.
    pub(super) async fn put(&self, bytes: Bytes) -> anyhow::Result<String> {
        match self {
            Self::Folder(folder) => {
                let folder = folder.clone();
                Ok(tokio::task::spawn_blocking(move || folder.put(&hex(&Sha256::digest(&bytes)), &bytes)).await??)
            }
            Self::Bucket(bucket) => {
                let digest = digest(bytes.clone()).await?;
                bucket.put(&digest, bytes).await?;
                Ok(digest)
            }
        }
    }

    /// The bytes, once more compared with their digest: a disk can change what it was given.
    pub(super) async fn get(&self, wanted: &str) -> anyhow::Result<Bytes> {
        let bytes = match self {
            Self::Folder(folder) => {
                let (folder, wanted) = (folder.clone(), wanted.to_owned());
                tokio::task::spawn_blocking(move || folder.get(&wanted)).await??
            }
            Self::Bucket(bucket) => bucket.get(wanted).await?,
        };
        ensure!(digest(bytes.clone()).await? == wanted, "the blob {wanted} is damaged: its content has another digest");
        Ok(bytes)
    }

    /// Removes blobs; one that is not there is no error.
    pub(super) async fn remove(&self, digests: Vec<String>) -> anyhow::Result<()> {
        match self {
            _ if digests.is_empty() => Ok(()),
            Self::Folder(folder) => {
                let folder = folder.clone();
                let remove = move || digests.iter().try_for_each(|digest| folder.remove(digest));
                Ok(tokio::task::spawn_blocking(remove).await??)
            }
            Self::Bucket(bucket) => bucket.remove(digests).await,
        }
    }

    /// First digits of all digests for which there may be blobs.
    pub(super) async fn prefixes(&self) -> anyhow::Result<Vec<String>> {
        match self {
            Self::Folder(folder) => Ok(folder.prefixes()?),
            Self::Bucket(bucket) => bucket.prefixes().await,
        }
    }

    /// Digests of the blobs under a prefix.
    pub(super) async fn under(&self, prefix: &str) -> anyhow::Result<Vec<String>> {
        match self {
            Self::Folder(folder) => Ok(folder.under(prefix)?),
            Self::Bucket(bucket) => bucket.under(prefix).await,
        }
    }

    /// Makes the place this database's own, unless it has one. In another database's place all blobs would be removed: no
    /// row names them. In an empty one no picture would be found.
    ///
    /// # Errors
    /// It is another database's, or this one's is elsewhere.
    pub(super) async fn claim(&self, database: &str, has_place: bool) -> anyhow::Result<()> {
        let found = match self {
            Self::Folder(folder) => folder.mark()?,
            Self::Bucket(bucket) => bucket.mark().await?,
        };
        match found {
            Some(found) => ensure!(
                found == database,
                "{self} holds the pictures of another database; choose another place with --store-blobs"
            ),
            None if has_place => bail!(
                "{self} is not where the pictures of this database are; name their place with --store-blobs, as its other \
                 servers do (the file {MARK} is missing)"
            ),
            None => match self {
                Self::Folder(folder) => folder.set_mark(database)?,
                Self::Bucket(bucket) => bucket.set_mark(database).await?,
            },
        }
        Ok(())
    }
}

impl std::fmt::Display for Blobs {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Folder(folder) => folder.fmt(f),
            Self::Bucket(bucket) => bucket.fmt(f),
        }
    }
}

/// Whether a blob could not be read because it is not there.
pub(super) fn is_missing(error: &anyhow::Error) -> bool {
    error.chain().any(|cause| {
        let kind = cause.downcast_ref::<io::Error>().map(io::Error::kind);
        kind == Some(io::ErrorKind::NotFound)
            || matches!(cause.downcast_ref(), Some(object_store::Error::NotFound { .. }))
    })
}

/// Not on the threads that answer: some megabytes take milliseconds.
async fn digest(bytes: Bytes) -> anyhow::Result<String> {
    tokio::task::spawn_blocking(move || hex(&Sha256::digest(&bytes))).await.context("the digest was not computed")
}

/// Lower-case hexadecimal digits.
pub(super) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
