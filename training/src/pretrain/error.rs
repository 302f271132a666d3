//! What can stop a stage.

use std::{io, path::PathBuf};

use plaudit::{
    pack::PackError,
    pipeline::{PipelineError, tokenize::TokenizeError},
    runtime::RuntimeError,
};
use plaudit_onnx::{ReadError, expr::BuildError};

use super::tokenizer::WriteError;
use crate::{checkpoint::CheckpointError, init::InitError, progress::RunError, step::StepError};

/// Why a stage of pre-training stopped.
#[derive(Debug, thiserror::Error)]
#[allow(missing_docs)]
pub enum PretrainError {
    #[error(transparent)]
    Tokenizer(#[from] WriteError),
    #[error(transparent)]
    Tokenize(#[from] TokenizeError),
    #[error(transparent)]
    Model(#[from] ReadError),
    #[error(transparent)]
    Loss(#[from] BuildError),
    #[error(transparent)]
    Weights(#[from] InitError),
    #[error(transparent)]
    Runtime(#[from] RuntimeError),
    #[error(transparent)]
    Step(#[from] StepError),
    #[error(transparent)]
    Run(#[from] RunError),
    #[error(transparent)]
    Checkpoint(#[from] CheckpointError),
    /// A run from nothing would go on from another's checkpoint.
    #[error(
        "{path} holds checkpoints; to begin from nothing name another --data or move {path} aside, \
         to go on with that run leave --fresh out"
    )]
    Begun { path: PathBuf },
    /// A stage before this one has not been run.
    #[error("{path} is missing; run `plaudit-train pretrain --stage {stage}` first")]
    Before { path: PathBuf, stage: &'static str },
    #[error("cannot use {path}: {source}")]
    Io { path: PathBuf, source: io::Error },
    #[error("cannot write the picture {path}: {source}")]
    Picture { path: PathBuf, source: image::ImageError },
    /// A file of ours holds something else.
    #[error("{path}: {fault}")]
    Content { path: PathBuf, fault: String },
    #[error(transparent)]
    Pack(#[from] PackError),
    #[error(transparent)]
    Pipeline(#[from] PipelineError),
}

impl PretrainError {
    pub(super) fn io(path: impl Into<PathBuf>) -> impl FnOnce(io::Error) -> Self {
        let path = path.into();
        move |source| Self::Io { path, source }
    }
}
