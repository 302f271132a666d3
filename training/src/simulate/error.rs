//! What can stop a simulation.

use std::{
    io,
    path::{Path, PathBuf},
};

use plaudit::{domain::VersionIdError, pack::PackError, pipeline::PipelineError, scoring::ScoringError};

use crate::{collect::CollectError, daemon::DaemonError, judges::JudgeError, report::CurveError};

/// Why a simulation cannot go on.
#[derive(Debug, thiserror::Error)]
#[allow(missing_docs)]
pub enum SimulateError {
    #[error(transparent)]
    Daemon(#[from] DaemonError),
    #[error(transparent)]
    Store(#[from] anyhow::Error),
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
    Plot(#[from] CurveError),
    #[error(transparent)]
    Version(#[from] VersionIdError),
    #[error("cannot {action} {path}: {source}")]
    Io { action: &'static str, path: PathBuf, source: io::Error },
    #[error("cannot use the picture {path}: {source}")]
    Picture { path: PathBuf, source: image::ImageError },
    #[error("{path} is not what a simulation wrote ({fault}); move it aside, and that leg begins anew")]
    Content { path: PathBuf, fault: String },
    #[error("{program} was not found; build it (`cargo build --release`) or name it with --program FILE")]
    NoProgram { program: PathBuf },
    #[error("the server did not start within {seconds} s; {log} has what it said")]
    NoServer { seconds: u64, log: PathBuf },
    #[error("the server does not answer {what}: {source}")]
    Request { what: String, source: reqwest::Error },
    #[error("the server answers {what} with {status}: {body}")]
    Answer { what: String, status: u16, body: String },
    #[error("an answer of the server cannot be read: {0}")]
    Unreadable(String),
    #[error("the server never came to serve {version}; GET /v1/admin/swaps says why")]
    NotServed { version: String },
    #[error("the prompt {prompt:?} is none of the miniature world: simulated raters cannot judge its pictures")]
    Unratable { prompt: String },
    #[error("{raters} raters cannot give {votes} different votes on a picture; give more --raters or fewer --votes")]
    Raters { raters: usize, votes: usize },
    #[error(
        "{legs} legs cannot share the server of --url: they would learn from each other; give one of --objectives, one share of --hostile and --seeds 1"
    )]
    Legs { legs: usize },
    #[error("{recipe} needs {flag}; give it, or leave that leg out of --objectives")]
    Lacks { recipe: String, flag: &'static str },
    #[error("a thread of the simulation panicked: {0}")]
    Panicked(#[from] tokio::task::JoinError),
}

impl SimulateError {
    pub(super) fn io(action: &'static str, path: &Path) -> impl Fn(io::Error) -> Self + use<> {
        let path = path.to_owned();
        move |source| Self::Io { action, path: path.clone(), source }
    }

    pub(super) fn content(path: &Path, fault: impl ToString) -> Self {
        Self::Content { path: path.to_owned(), fault: fault.to_string() }
    }
}
