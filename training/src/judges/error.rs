//! What can stop a judge.

use std::{io, path::PathBuf};

use plaudit::{pack::PackError, pipeline::PipelineError, runtime::RuntimeError};
use plaudit_onnx::{ReadError, WriteError, expr::BuildError};

use crate::{progress::RunError, step::StepError};

/// Why a judge cannot be trained or asked.
#[derive(Debug, thiserror::Error)]
#[allow(missing_docs)]
pub enum JudgeError {
    #[error(transparent)]
    Model(#[from] ReadError),
    #[error(transparent)]
    Write(#[from] WriteError),
    #[error(transparent)]
    Loss(#[from] BuildError),
    #[error(transparent)]
    Runtime(#[from] RuntimeError),
    #[error(transparent)]
    Step(#[from] StepError),
    #[error(transparent)]
    Run(#[from] RunError),
    #[error(transparent)]
    Pack(#[from] PackError),
    #[error(transparent)]
    Pipeline(#[from] PipelineError),
    #[error("cannot use {path}: {source}")]
    Io { path: PathBuf, source: io::Error },
    #[error("cannot use the picture {path}: {source}")]
    Picture { path: PathBuf, source: image::ImageError },
    #[error("{path} holds something else than redrawn pictures: {source}; remove it, and it is made again")]
    Content { path: PathBuf, source: serde_json::Error },
    #[error("{from} is another network: it has no {weight} of this shape; name a judge of the same kind")]
    OtherNetwork { from: PathBuf, weight: String },
    /// Judges know the miniature world's pictures only.
    #[error("the picture is {width}×{height}; the judges of the miniature world look at {side}×{side} pixels", side = crate::miniature::SIDE)]
    Size { width: u32, height: u32 },
}

impl JudgeError {
    pub(super) fn io(path: impl Into<PathBuf>) -> impl FnOnce(io::Error) -> Self {
        let path = path.into();
        move |source| Self::Io { path, source }
    }

    pub(super) fn picture(path: impl Into<PathBuf>) -> impl FnOnce(image::ImageError) -> Self {
        let path = path.into();
        move |source| Self::Picture { path, source }
    }
}
