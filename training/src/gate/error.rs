//! What can stop a gate.

use std::{
    io,
    path::{Path, PathBuf},
};

use plaudit::{feedback::dataset::DatasetError, pack::PackError, pipeline::PipelineError, scoring::ScoringError};

use crate::{collect::CollectError, judges::JudgeError, report::CurveError, reward::RewardError};

/// Why there is no verdict.
#[derive(Debug, thiserror::Error)]
#[allow(missing_docs)]
pub enum GateError {
    #[error(transparent)]
    Pack(#[from] PackError),
    #[error(transparent)]
    Pipeline(#[from] PipelineError),
    #[error(transparent)]
    Scoring(#[from] ScoringError),
    #[error(transparent)]
    Judge(#[from] JudgeError),
    #[error(transparent)]
    Prompts(#[from] CollectError),
    #[error(transparent)]
    Votes(#[from] RewardError),
    #[error(transparent)]
    Dataset(#[from] DatasetError),
    #[error(transparent)]
    Plot(#[from] CurveError),
    #[error("cannot {action} {path}: {source}")]
    Io { action: &'static str, path: PathBuf, source: io::Error },
    #[error("cannot use the picture {path}: {source}")]
    Picture { path: PathBuf, source: image::ImageError },
    #[error("{path} is not what a gate wrote ({fault}); remove it, and it is made again")]
    Content { path: PathBuf, fault: String },
    /// The directory belongs to another gate. More prompts are another gate too: whoever looks until a bound is met meets it by chance.
    #[error("{path} was begun with {field} {before}, not {now}; give the same, or another --output")]
    Begun { path: PathBuf, field: &'static str, before: String, now: String },
    #[error("the champion draws {} pixels, the candidate {}; only packs of one size are compared", size(.champion), size(.candidate))]
    Size { champion: (usize, usize), candidate: (usize, usize) },
    #[error("{prompts} prompts are too few for an interval; give at least {}", super::pairs::LEAST)]
    Few { prompts: usize },
    #[error(
        "{path} has no vote to measure on: all are of the parts that a reward learns from (train, validation, calibration)"
    )]
    NoVotes { path: PathBuf },
}

fn size((width, height): &(usize, usize)) -> String {
    format!("{width}×{height}")
}

impl GateError {
    pub(super) fn io(action: &'static str, path: &Path) -> impl Fn(io::Error) -> Self + use<> {
        let path = path.to_owned();
        move |source| Self::Io { action, path: path.clone(), source }
    }

    pub(super) fn picture(path: &Path) -> impl FnOnce(image::ImageError) -> Self + use<> {
        let path = path.to_owned();
        move |source| Self::Picture { path, source }
    }
}
