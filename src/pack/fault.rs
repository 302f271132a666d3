//! What can be wrong with a pack, all of it at once.

use std::{
    fmt,
    path::{Path, PathBuf},
};

use crate::runtime::RuntimeError;

/// One thing wrong, and where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// A file, component or value, by its name inside the pack.
    pub place: String,
    /// What is wrong and what would be right.
    pub fault: String,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.place, self.fault)
    }
}

/// Faults in the order in which they are met; looking goes on after each.
#[derive(Debug, Default)]
pub(super) struct Faults(Vec<Fault>);

impl Faults {
    pub(super) fn add(&mut self, place: impl Into<String>, fault: impl Into<String>) {
        self.0.push(Fault { place: place.into(), fault: fault.into() });
    }

    /// The value of a result, or a fault at `place`.
    pub(super) fn keep<T, E: fmt::Display>(&mut self, place: &str, result: Result<T, E>) -> Option<T> {
        result.map_err(|error| self.add(place, error.to_string())).ok()
    }

    pub(super) fn into_list(self) -> Vec<Fault> {
        self.0
    }

    pub(super) fn none_or<T>(self, folder: &Path, value: T) -> Result<T, PackError> {
        if self.0.is_empty() {
            return Ok(value);
        }
        Err(PackError::Faulty { folder: folder.to_owned(), faults: self.0 })
    }
}

/// Why a pack cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum PackError {
    /// The folder is not there.
    #[error("{} is not a folder; give one that holds model_index.json and a folder for each component", .0.display())]
    NotAFolder(PathBuf),
    /// The folder is an export that has not been imported.
    #[error("{0} has no manifest.json: it is an export, not a pack. Import it with `plaudit pack import {0} -o OUT`", folder.display())]
    NotImported {
        /// The folder.
        folder: PathBuf,
    },
    /// The pack has faults.
    #[error("{} cannot be used:\n{}", folder.display(), list(faults))]
    Faulty {
        /// The pack's folder.
        folder: PathBuf,
        /// Everything that is wrong.
        faults: Vec<Fault>,
    },
    /// The place for the result is taken.
    #[error("{} exists already; packs are never overwritten. Remove it or choose another name", .0.display())]
    Exists(PathBuf),
    /// A component could not be run.
    #[error("{component}: {source}")]
    Runtime {
        /// The component.
        component: &'static str,
        /// Why.
        source: RuntimeError,
    },
    /// A file could not be written or read.
    #[error("{}: {source}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// A serving variant could not be made.
    #[error("a serving variant of {component}: {reason}")]
    Variant {
        /// The component.
        component: &'static str,
        /// Why.
        reason: String,
    },
    /// A component's files could not be written.
    #[error("{component}: {source}")]
    Write {
        /// The component.
        component: &'static str,
        /// Why.
        source: plaudit_onnx::WriteError,
    },
}

impl PackError {
    pub(crate) fn io(path: &Path) -> impl FnOnce(std::io::Error) -> Self {
        move |source| Self::Io { path: path.to_owned(), source }
    }
}

fn list(faults: &[Fault]) -> String {
    faults.iter().map(|fault| format!("  - {fault}")).collect::<Vec<_>>().join("\n")
}
