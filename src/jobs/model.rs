//! What goes into a job, what comes out of it, and what happens between.

use std::{str::FromStr, sync::Arc};

use bytes::Bytes;

use crate::{
    domain::{ImageId, JobId, Owner},
    engine::{Order, Refusal, UnknownModel},
};

/// Where a job stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum JobState {
    /// Waits for the denoiser.
    Queued,
    /// Has rows in the denoiser.
    Running,
    /// All pictures are there.
    Completed,
    /// Ended without its pictures; the failure tells why.
    Failed,
    /// Someone called it off.
    Cancelled,
}

impl JobState {
    const ALL: [Self; 5] = [Self::Queued, Self::Running, Self::Completed, Self::Failed, Self::Cancelled];

    /// Its name in the API and in the store.
    pub fn name(self) -> &'static str {
        match self {
            Self::Queued => "queued",
            Self::Running => "running",
            Self::Completed => "completed",
            Self::Failed => "failed",
            Self::Cancelled => "cancelled",
        }
    }

    /// Whether nothing can happen to it any more.
    pub fn ended(self) -> bool {
        matches!(self, Self::Completed | Self::Failed | Self::Cancelled)
    }
}

impl FromStr for JobState {
    type Err = UnknownName;

    fn from_str(text: &str) -> Result<Self, UnknownName> {
        Self::ALL.into_iter().find(|state| state.name() == text).ok_or_else(|| UnknownName(text.to_owned()))
    }
}

/// A text that names no state or format.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not a name that is known here")]
pub struct UnknownName(String);

/// Coding of a picture's bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ImageFormat {
    /// Lossless, with the parameters in text chunks.
    #[default]
    Png,
    /// Lossless WebP.
    Webp,
    /// JPEG, quality 95.
    Jpeg,
}

impl ImageFormat {
    const ALL: [Self; 3] = [Self::Png, Self::Webp, Self::Jpeg];

    /// Its name in the API and in the store.
    pub fn name(self) -> &'static str {
        match self {
            Self::Png => "png",
            Self::Webp => "webp",
            Self::Jpeg => "jpeg",
        }
    }
}

impl FromStr for ImageFormat {
    type Err = UnknownName;

    fn from_str(text: &str) -> Result<Self, UnknownName> {
        Self::ALL.into_iter().find(|format| format.name() == text).ok_or_else(|| UnknownName(text.to_owned()))
    }
}

/// How a job's candidates become its pictures.
#[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Choosing {
    /// Pictures that the caller gets at most.
    pub most: usize,
    /// Nothing more is drawn once so many have this reward.
    pub threshold: Option<f32>,
    /// Probability that chance chooses, not the reward.
    pub random_share: f64,
    /// How candidates are sorted out before they are drawn in full.
    pub pruning: Option<Pruning>,
}

/// A quick look at every candidate; the best are drawn in full.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Pruning {
    /// Steps of the look.
    pub steps: usize,
    /// Candidates that are drawn in full.
    pub survivors: usize,
}

/// A generation to be made into a job.
#[derive(Debug, Clone)]
pub struct Submission {
    /// Whose it is.
    pub owner: Owner,
    /// What the engine is to draw: where there is a choice, all candidates.
    pub order: Order,
    /// Which of them become the job's pictures; `None`: all.
    pub choosing: Option<Choosing>,
    /// How pictures are coded.
    pub format: ImageFormat,
    /// Draw on when the last listener leaves, and resume after a restart.
    pub keep: bool,
    /// Whom the pictures are for, as the caller names them.
    pub rater: Option<String>,
    /// The caller's `Idempotency-Key`, with a SHA-256 of the request's body.
    pub idempotency: Option<(String, [u8; 32])>,
    /// The model's name as the caller knows it.
    pub model: String,
    /// Warnings that the caller should get beside the engine's.
    pub warnings: Vec<String>,
    /// The id of the HTTP request that asked: what its log lines are found by.
    pub request_id: Option<String>,
    /// The caller's span, as its `traceparent` header (W3C Trace Context) tells it.
    pub traceparent: Option<String>,
}

impl Submission {
    /// Who is served by one version as long as a trial lasts: the rater, or whoever asks where none is named.
    pub(super) fn subject(&self) -> &str {
        self.rater.as_deref().unwrap_or(&self.order.client)
    }
}

/// Why there is no job.
#[derive(Debug, thiserror::Error)]
pub enum SubmitError {
    /// The engine did not take it.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// A version was named that does not serve.
    #[error(transparent)]
    UnknownModel(#[from] UnknownModel),
    /// The same `Idempotency-Key` came with another body.
    #[error("this Idempotency-Key was used with another request")]
    IdempotencyMismatch,
    /// The disk, or the quota of pictures, is full.
    #[error("no room is left to keep pictures: {0}")]
    DiskFull(String),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] anyhow::Error),
}

/// Why a job cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum JobError {
    /// There is none of this name, or it is somebody else's.
    #[error("there is no job {0}")]
    NotFound(JobId),
    /// Its time to live is over.
    #[error("the job {0} has expired")]
    Expired(JobId),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] anyhow::Error),
}

/// A picture that was made.
#[derive(Debug, Clone, PartialEq)]
pub struct MadeImage {
    /// Its name; the bytes are under it as long as they live.
    pub id: ImageId,
    /// Which of the job's pictures, from 0.
    pub index: usize,
    /// Its generator's seed.
    pub seed: u32,
    /// Width in pixels.
    pub width: u32,
    /// Height in pixels.
    pub height: u32,
    /// Coding of the bytes.
    pub format: ImageFormat,
    /// `name@hash` of the pack that drew.
    pub model_version: String,
    /// Whom it was drawn for.
    pub rater: Option<String>,
    /// The safety checker withheld it: there are no bytes.
    pub withheld: bool,
    /// Probability of a thumbs-up, from 0 to 1; `None` where nothing could tell.
    pub reward: Option<f32>,
    /// Its place by reward among the job's candidates, from 1; known at the job's end.
    pub rank: Option<u32>,
    /// The coded picture; `None` where it was withheld, and in lists of jobs.
    pub bytes: Option<Bytes>,
}

/// What a job made.
#[derive(Debug, Clone, PartialEq)]
pub struct JobResult {
    /// Unix seconds.
    pub created: i64,
    /// The model's name as the caller knows it.
    pub model: String,
    /// `name@hash` of the pack that drew.
    pub model_version: String,
    /// `name@hash` of the reward that judged.
    pub reward_version: Option<String>,
    /// Candidates that were drawn in full.
    pub candidates: usize,
    /// In the order of their seeds; where there was a choice, the best first.
    pub images: Vec<MadeImage>,
    /// What the caller should know though it is no error.
    pub warnings: Vec<String>,
}

/// Why a job failed, in the API's codes.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct JobFailure {
    /// `deadline_exceeded`, `disk_full`, `attempts_exhausted` or `internal_error`.
    pub code: String,
    /// For people.
    pub message: String,
}

/// What happens to a job. Sequence numbers grow from 1, so that a listener can go on where it was cut off; they are
/// dense but for previews, which are dropped when the job has ended, and a gap where a restart of the server
/// interrupted it.
#[derive(Debug, Clone)]
pub struct JobEvent {
    /// Position in the job's history.
    pub sequence: u64,
    /// What happened.
    pub kind: JobEventKind,
}

/// Kinds of [`JobEvent`].
#[derive(Debug, Clone)]
pub enum JobEventKind {
    /// It waits, or its place changed.
    Queued {
        /// Orders before it.
        position: usize,
        /// Seconds until it is likely done.
        estimated_seconds: f64,
    },
    /// Its first row joined the denoiser.
    Started,
    /// Picture-steps done, and in all.
    Progress {
        /// Done.
        done: usize,
        /// In all.
        total: usize,
    },
    /// A cheap look at a picture on its way, coded in the job's format.
    Preview {
        /// Which picture.
        picture: usize,
        /// Which of its previews.
        number: usize,
        /// The coded preview.
        bytes: Bytes,
    },
    /// A picture is ready.
    Picture(MadeImage),
    /// The end: all pictures.
    Completed(Arc<JobResult>),
    /// The end: without.
    Failed(JobFailure),
    /// The end: called off.
    Cancelled,
}

/// A job as its owner sees it.
#[derive(Debug, Clone)]
pub struct JobView {
    /// Its name.
    pub id: JobId,
    /// Where it stands.
    pub state: JobState,
    /// Orders before it, while it waits.
    pub queue_position: Option<usize>,
    /// Seconds until it is likely done, until it is.
    pub estimated_seconds: Option<f64>,
    /// Picture-steps done, and in all.
    pub progress: (usize, usize),
    /// The prompt.
    pub prompt: String,
    /// Unix seconds.
    pub created: i64,
    /// Unix seconds, once it ended.
    pub finished: Option<i64>,
    /// What it made, once completed; without the pictures' bytes unless the end could not be stored.
    pub result: Option<Arc<JobResult>>,
    /// Why it failed, if it did.
    pub failure: Option<JobFailure>,
}
