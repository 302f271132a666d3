//! What can stop a collection.

use std::{
    io,
    path::{Path, PathBuf},
};

use plaudit::{feedback::dataset::DatasetError, pack::PackError, pipeline::PipelineError};

/// Why votes could not be collected.
#[derive(Debug, thiserror::Error)]
#[allow(missing_docs)]
pub enum CollectError {
    #[error(transparent)]
    Pack(#[from] PackError),
    #[error(transparent)]
    Dataset(#[from] DatasetError),
    #[error("{place}: `{image}` is none of the pictures of this collection")]
    Unknown { place: String, image: String },
    #[error(transparent)]
    Pipeline(#[from] PipelineError),
    #[error("cannot {action} {path}: {source}")]
    Io { action: &'static str, path: PathBuf, source: io::Error },
    #[error("{path} has no prompt; write one a line")]
    NoPrompts { path: PathBuf },
    /// The directory belongs to a collection with other settings.
    #[error(
        "{path} was begun with {field} {before}, not {now}; give the same, or another --out \
         (more prompts are the one thing that may change)"
    )]
    Begun { path: PathBuf, field: String, before: String, now: String },
    #[error("{path}, line {line}: {fault}")]
    Line { path: PathBuf, line: usize, fault: String },
    #[error("{raters} raters are too few: four parts of the dataset need {votes} each for {votes} votes a picture")]
    Raters { raters: usize, votes: usize },
    /// Simulated raters know one world only.
    #[error(
        "simulated raters judge the miniature world's prompts only, and `{prompt}` is none ({reason}); \
         collect with --votes-per-image 0, show the pictures to people, and run again with --votes FILE"
    )]
    Unratable { prompt: String, reason: String },
    #[error("cannot read the picture {path}: {source}")]
    Picture { path: PathBuf, source: image::ImageError },
    #[error("cannot write the picture {path}: {source}")]
    Encode { path: PathBuf, source: io::Error },
}

impl CollectError {
    pub(super) fn io(action: &'static str, path: &Path) -> impl Fn(io::Error) -> Self + use<> {
        let path = path.to_owned();
        move |source| Self::Io { action, path: path.clone(), source }
    }
}
