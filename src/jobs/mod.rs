//! Every generation is a job: admitted, followed by any number of listeners, kept for a while, cancelled within a step.
//!
//! The state machine. The store has `queued` until the end: which of the unfinished ones run is known in memory only,
//! and is worth nothing after a restart.
//!
//! | from | event | to |
//! |---|---|---|
//! | | admitted | `queued` |
//! | `queued` | first step | `running` |
//! | `queued`, `running` | last picture | `completed` |
//! | `queued`, `running` | deadline, full disk, failure of the runtime | `failed` |
//! | `queued`, `running` | `DELETE`, or the last listener left and `keep` is false | `cancelled` |
//! | `queued`, `running` | the server stops and `keep` is false | `cancelled` |
//! | `queued`, `running` | the server stops and `keep` is true | `queued`, resumed at the next start |
//!
//! Races it guards: the end is written to the store before anybody hears of it, so whoever hears of it can fetch it; a
//! job that is being called off takes no new listeners, so a repeated request with its `Idempotency-Key` waits for its
//! end and becomes a job of its own; a row that has ended is never changed.

mod admit;
mod best_of;
mod drain;
mod draw;
mod encode;
mod failure;
mod keyed;
mod listener;
mod live;
mod log;
mod model;
mod resume;
mod run;
mod service;
mod settings;
mod stored;
mod trace;
mod upkeep;

pub use listener::Listener;
pub use model::{
    Choosing, ImageFormat, JobError, JobEvent, JobEventKind, JobFailure, JobResult, JobState, JobView, MadeImage,
    Pruning, Submission, SubmitError, UnknownName,
};
pub use service::Jobs;
pub use settings::JobSettings;
pub(crate) use stored::optional;
