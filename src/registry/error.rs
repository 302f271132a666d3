//! Why the registry does not do what it was asked for.

use std::path::{Path, PathBuf};

use super::model::Named;
use crate::{
    domain::{Kind, VersionId},
    pack::PackError,
};

/// Why the registry refuses, or cannot go on.
#[derive(Debug, thiserror::Error)]
pub enum RegistryError {
    /// Nothing of this name was published.
    #[error("there is no {kind} {version} in the registry; `plaudit registry list` shows those that there are")]
    NotFound {
        /// Of what.
        kind: Kind,
        /// The name.
        version: VersionId,
    },
    /// Its files are gone.
    #[error("{kind} {version} is retired: its files were removed to make room. Publish it anew to use it")]
    Retired {
        /// Of what.
        kind: Kind,
        /// The name.
        version: VersionId,
    },
    /// Somebody else was faster.
    #[error(
        "the champion {kind} is {}, not {}: somebody promoted meanwhile. Look at it, and ask again with it as what you expect",
        Named(current),
        Named(expected)
    )]
    Conflict {
        /// Of what.
        kind: Kind,
        /// What the asker took for the champion.
        expected: Option<VersionId>,
        /// What is.
        current: Option<VersionId>,
    },
    /// There is nothing to do.
    #[error("{kind} {version} is the champion already")]
    IsChampion {
        /// Of what.
        kind: Kind,
        /// The champion.
        version: VersionId,
    },
    /// There is nothing to go back to.
    #[error("there is no earlier champion {kind} to go back to; promote another version instead")]
    NoEarlier {
        /// Of what.
        kind: Kind,
    },
    /// It cannot be gone back to.
    #[error("{kind} {version} was never champion: it can be promoted, not gone back to")]
    NeverChampion {
        /// Of what.
        kind: Kind,
        /// The name.
        version: VersionId,
    },
    /// There is nothing to take back.
    #[error("there is no candidate {kind}")]
    NoCandidate {
        /// Of what.
        kind: Kind,
    },
    /// Whoever reads the log later must be told who and why.
    #[error("{field}: it must be a line of 1 to {longest} characters that are not all spaces")]
    Said {
        /// `actor` or `reason`.
        field: &'static str,
        /// Characters at most.
        longest: usize,
    },
    /// Nobody who is trusted signed it.
    #[error(
        "{version}: {reason}. `plaudit registry sign` signs a version; --registry-trusted-keys says whose signatures count"
    )]
    Signature {
        /// The version.
        version: VersionId,
        /// What is missing.
        reason: &'static str,
    },
    /// Twelve digits of a hash are the same by chance, or by intent.
    #[error("another {kind} is known as {version}: its manifest has SHA-256 {known}. Give this one another name")]
    Taken {
        /// Of what.
        kind: Kind,
        /// The name.
        version: VersionId,
        /// The other manifest's hash.
        known: String,
    },
    /// It cannot be published, or not be used.
    #[error(transparent)]
    Pack(#[from] PackError),
    /// A file cannot be read or written.
    #[error("{}: {source}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The database cannot be read or written.
    #[error(transparent)]
    Store(#[from] anyhow::Error),
}

impl RegistryError {
    pub(super) fn io(path: &Path) -> impl FnOnce(std::io::Error) -> Self {
        move |source| Self::Io { path: path.to_owned(), source }
    }
}

impl From<sqlx::Error> for RegistryError {
    fn from(error: sqlx::Error) -> Self {
        Self::Store(error.into())
    }
}
