//! Why a dataset cannot be read or written.

use std::{fmt, io, path::PathBuf};

/// Where a row stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// The file.
    pub file: PathBuf,
    /// Its row: a line of text, from 1; `None`: the whole file.
    pub row: Option<usize>,
    /// What a row is called there: `line` in text, `row` in Parquet.
    pub unit: &'static str,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.file.display())?;
        self.row.map_or(Ok(()), |row| write!(f, ", {} {row}", self.unit))
    }
}

/// Why a dataset cannot be read or written.
#[derive(Debug, thiserror::Error)]
pub enum DatasetError {
    /// A row, or what it names, is not as it must be. Rows after it can be read.
    #[error("{place}: {reason}")]
    Row {
        /// Where.
        place: Place,
        /// What is wrong.
        reason: String,
    },
    /// A file is damaged or not of a dataset: nothing after this can be read.
    #[error("{}: {reason}", file.display())]
    File {
        /// Which.
        file: PathBuf,
        /// What is wrong.
        reason: String,
    },
    /// There is something where the dataset is to be written.
    #[error("{} is there already; choose another directory, or remove it first", .0.display())]
    Exists(PathBuf),
    /// A file cannot be read or written.
    #[error("{}: {source}", path.display())]
    Io {
        /// Which.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
}

impl DatasetError {
    pub(super) fn file(file: impl Into<PathBuf>, reason: impl fmt::Display) -> Self {
        Self::File { file: file.into(), reason: reason.to_string() }
    }

    pub(super) fn row(place: &Place, reason: impl fmt::Display) -> Self {
        Self::Row { place: place.clone(), reason: reason.to_string() }
    }

    pub(super) fn io(path: impl Into<PathBuf>) -> impl FnOnce(io::Error) -> Self {
        let path = path.into();
        move |source| Self::Io { path, source }
    }
}
