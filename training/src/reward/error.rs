//! What can stop reward training.

use std::{
    io,
    path::{Path, PathBuf},
};

use plaudit::{feedback::dataset::DatasetError, pack::PackError, runtime::RuntimeError};
use plaudit_onnx::{WriteError, expr::BuildError};

use crate::{init::InitError, progress::RunError, report::CurveError, step::StepError};

/// Why a reward could not be trained.
#[derive(Debug, thiserror::Error)]
#[allow(missing_docs)]
pub enum RewardError {
    #[error(transparent)]
    Pack(#[from] PackError),
    #[error(transparent)]
    Scoring(#[from] plaudit::scoring::ScoringError),
    #[error(transparent)]
    Graph(#[from] BuildError),
    #[error(transparent)]
    Write(#[from] WriteError),
    #[error(transparent)]
    Runtime(#[from] RuntimeError),
    #[error(transparent)]
    Step(#[from] StepError),
    #[error(transparent)]
    Weights(#[from] InitError),
    #[error(transparent)]
    Run(#[from] RunError),
    #[error(transparent)]
    Draw(#[from] CurveError),
    #[error("cannot {action} {path}: {source}")]
    Io { action: &'static str, path: PathBuf, source: io::Error },
    #[error(transparent)]
    Dataset(#[from] DatasetError),
    #[error("{place}: {fault}")]
    Row { place: String, fault: String },
    #[error("{path} has no votes; every row is skipped or quarantined")]
    NoVotes { path: PathBuf },
    /// A prompt or rater is in two parts.
    #[error("the dataset's parts leak: {what} `{name}` is in `{one}` and in `{other}`")]
    Leak { what: &'static str, name: String, one: &'static str, other: &'static str },
    #[error("the part `{part}` has {good} good and {bad} bad votes, too few to {purpose}; collect more")]
    Few { part: &'static str, good: usize, bad: usize, purpose: &'static str },
    /// A run directory of other settings or data.
    #[error("{path} was begun with other settings or votes; name another --data or move it aside")]
    Begun { path: PathBuf },
    #[error("{path} is there already; name another --out or move it aside")]
    There { path: PathBuf },
    #[error("{path}: {fault}")]
    Content { path: PathBuf, fault: String },
}

impl RewardError {
    pub(super) fn io(action: &'static str, path: &Path) -> impl Fn(io::Error) -> Self + use<> {
        let path = path.to_owned();
        move |source| Self::Io { action, path: path.clone(), source }
    }
}
