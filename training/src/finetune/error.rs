//! What can stop a fine-tuning.

use std::{
    io,
    path::{Path, PathBuf},
};

use plaudit::{
    feedback::dataset::DatasetError,
    pack::PackError,
    pipeline::{PipelineError, schedule::ScheduleError, tokenize::TokenizeError},
    runtime::RuntimeError,
    scoring::ScoringError,
};
use plaudit_onnx::{WriteError, expr::BuildError};

use crate::{
    checkpoint::CheckpointError, progress::RunError, report::CurveError, reward::RewardError, step::StepError,
};

const MIB: u64 = 1 << 20;

/// Why there is no tuned pack.
#[derive(Debug, thiserror::Error)]
#[allow(missing_docs)]
pub enum FinetuneError {
    #[error(transparent)]
    Pack(#[from] PackError),
    #[error(transparent)]
    Scoring(#[from] ScoringError),
    #[error(transparent)]
    Pipeline(#[from] PipelineError),
    #[error(transparent)]
    Tokenize(#[from] TokenizeError),
    #[error(transparent)]
    Schedule(#[from] ScheduleError),
    #[error(transparent)]
    Dataset(#[from] DatasetError),
    #[error(transparent)]
    Votes(#[from] RewardError),
    #[error(transparent)]
    Graph(#[from] BuildError),
    #[error(transparent)]
    Runtime(#[from] RuntimeError),
    #[error(transparent)]
    Step(#[from] StepError),
    #[error(transparent)]
    Run(#[from] RunError),
    #[error(transparent)]
    Checkpoint(#[from] CheckpointError),
    #[error(transparent)]
    Curve(#[from] CurveError),
    #[error(transparent)]
    Write(#[from] WriteError),
    #[error("cannot {action} {path}: {source}")]
    Io { action: &'static str, path: PathBuf, source: io::Error },
    #[error("cannot use the picture {path}: {source}")]
    Picture { path: PathBuf, source: image::ImageError },
    #[error("{path}: {fault}")]
    Content { path: PathBuf, fault: String },
    #[error("these settings cannot be used: {fault}")]
    Settings { fault: String },
    /// The pack cannot be tuned here.
    #[error("{pack} cannot be tuned: {fault}")]
    Unfit { pack: PathBuf, fault: String },
    /// A set has too little for the objective.
    #[error("{fault}; {remedy}")]
    Few { fault: String, remedy: &'static str },
    /// The run directory belongs to another run.
    #[error("{path} was begun with {field} {before}, not {now}; give the same, or another --data")]
    Begun { path: PathBuf, field: String, before: String, now: String },
    #[error("{path} is there already; name another --out or move it aside")]
    There { path: PathBuf },
    #[error(
        "the run would take about {} MiB ({detail}), and {} MiB are free; take fewer --rows, --selection attention or lora, \
         or start it in spite of the estimate with --force", needed / MIB, available / MIB
    )]
    Memory { needed: u64, available: u64, detail: String },
    #[error(
        "{steps} steps would take about {:.1} hours at {seconds_a_step:.2} s a step, more than the {:.1} hours allowed; \
         take fewer --steps or rows, or start it in spite of the estimate with --force", estimated / 3600.0, allowed / 3600.0
    )]
    Time { steps: u64, seconds_a_step: f64, estimated: f64, allowed: f64 },
    /// The weights went astray; the last checkpoint before that is kept, if there was one.
    #[error(
        "the run diverged at step {step}: {reason}. {} Lower --rate, or raise --anchor, and run again", kept_text(*kept, directory)
    )]
    Diverged { step: u64, reason: String, kept: Option<u64>, directory: PathBuf },
    /// The leg is over; nothing is wrong.
    #[error("step {step} of {steps}: this leg's time is over; run the same again to go on")]
    Unfinished { step: u64, steps: u64 },
    /// What was written is not what was trained.
    #[error("the tuned pack was written, but does not compute what the trained weights compute: {0}; it was not kept")]
    Corrupt(PackError),
}

fn kept_text(kept: Option<u64>, directory: &Path) -> String {
    let place = directory.display();
    match kept {
        Some(step) => {
            format!("The last good checkpoint, of step {step}, is kept in {place}: the next run goes on from there.")
        }
        None => format!("It was never good enough for a checkpoint; the next run in {place} begins anew."),
    }
}

impl FinetuneError {
    pub(crate) fn io(action: &'static str, path: &Path) -> impl Fn(io::Error) -> Self + use<> {
        let path = path.to_owned();
        move |source| Self::Io { action, path: path.clone(), source }
    }

    pub(crate) fn content(path: &Path, fault: impl Into<String>) -> Self {
        Self::Content { path: path.to_owned(), fault: fault.into() }
    }
}
