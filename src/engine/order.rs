//! What is asked of the engine and what it answers.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use image::RgbImage;
use tokio::sync::mpsc;

use crate::pipeline::{PipelineError, Request, Warning};

/// How urgent a request is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Class {
    /// Somebody waits for it.
    Interactive,
    /// Nobody waits: it takes what is left.
    Bulk,
}

impl Class {
    /// Share of the denoiser relative to the other class, where both want it. Bulk work is slowed down, never stopped.
    pub(super) fn weight(self) -> f64 {
        match self {
            Self::Interactive => 8.0,
            Self::Bulk => 1.0,
        }
    }
}

/// A request for the engine.
#[derive(Debug, Clone)]
pub struct Order {
    /// What to draw.
    pub request: Request,
    /// Who asks; requests of one client share its part of the engine.
    pub client: Arc<str>,
    /// How urgent it is.
    pub class: Class,
    /// After it the result is worthless.
    pub deadline: Option<Instant>,
    /// Previews of each picture on its way, 0 to 3.
    pub previews: usize,
    /// So many of its last pictures may be missing when the deadline comes: they are drawn if there is time.
    pub optional: usize,
    /// Draw it in calls of its own, so that not even a GPU's choice of kernel depends on neighbours.
    pub deterministic: bool,
}

impl Order {
    /// Pictures without which it is worthless.
    pub(super) fn needed(&self) -> usize {
        self.request.count.saturating_sub(self.optional).max(1)
    }
}

/// Why an order was not taken. Nothing was computed.
#[derive(Debug, thiserror::Error)]
pub enum Refusal {
    /// The request is one that this pack cannot do.
    #[error(transparent)]
    Invalid(#[from] PipelineError),
    /// This client has as much waiting as it may.
    #[error("this client has {waiting} row-steps waiting; {limit} are allowed")]
    ClientFull {
        /// Row-steps that wait.
        waiting: u64,
        /// What is allowed.
        limit: u64,
        /// When to come back, by the measured drain rate.
        retry_after: Duration,
    },
    /// The queue is full.
    #[error("the queue is full: {waiting} row-steps wait; {limit} are allowed")]
    Full {
        /// Row-steps that wait.
        waiting: u64,
        /// What is allowed.
        limit: u64,
        /// When to come back, by the measured drain rate.
        retry_after: Duration,
    },
    /// It cannot be done before its deadline.
    #[error("this would take {estimated:.1?}, which is past its deadline")]
    Late {
        /// Waiting and drawing, by the measured drain rate.
        estimated: Duration,
        /// When the queue will have become short enough; `None` where even an idle engine could not do it in time.
        retry_after: Option<Duration>,
    },
    /// The version that serves is exchanged for one that has no room beside it.
    #[error("another version is being loaded, and there is no room for two")]
    Swapping {
        /// When it may be there.
        retry_after: Duration,
    },
    /// The server is shutting down.
    #[error("the server is shutting down")]
    Draining,
    /// A part of the engine panicked. Nothing is drawn until the server is restarted.
    #[error("the engine broke down and must be restarted; the server's log says why")]
    Broken,
}

impl Refusal {
    /// The label under which it is counted; `None` where the request itself is at fault.
    pub fn reason(&self) -> Option<&'static str> {
        match self {
            Self::Invalid(_) => None,
            Self::ClientFull { .. } => Some("client_full"),
            Self::Full { .. } => Some("full"),
            Self::Late { .. } => Some("late"),
            Self::Swapping { .. } => Some("swapping"),
            Self::Draining => Some("draining"),
            Self::Broken => Some("broken"),
        }
    }
}

/// Why an order that was taken ended without all its pictures.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Failure {
    /// Its deadline passed.
    #[error("the deadline passed after {done} of {total} steps")]
    Deadline {
        /// Picture-steps done.
        done: usize,
        /// Picture-steps in all.
        total: usize,
    },
    /// Whoever asked cancelled it or went away.
    #[error("cancelled")]
    Cancelled,
    /// The runtime failed, or a panic did; the message is for the log. Who asked over HTTP hears only that the server failed.
    #[error("{0}")]
    Runtime(String),
}

/// What happens to an order, in this order: `Started`, then `Progress` and `Preview` and `Picture` mixed, then `Finished`
/// or `Failed`, once; nothing comes after those.
#[derive(Debug, Clone)]
pub enum Event {
    /// Its first row joined the denoiser.
    Started {
        /// How long it waited.
        queued: Duration,
    },
    /// A step of one of its pictures is done.
    Progress {
        /// Picture-steps done.
        done: usize,
        /// Picture-steps in all.
        total: usize,
    },
    /// A cheap look at a picture on its way, at latent resolution times the enlargement that makes it full size.
    Preview {
        /// Which of the order's pictures, from 0.
        picture: usize,
        /// Which of this picture's previews, from 0.
        number: usize,
        /// What it shows.
        image: RgbImage,
    },
    /// A picture is ready.
    Picture {
        /// Which of the order's pictures, from 0.
        picture: usize,
        /// Its generator's seed.
        seed: u32,
        /// What it shows; `None` where the safety checker withheld it.
        image: Option<RgbImage>,
    },
    /// All pictures are there.
    Finished {
        /// What the caller should know though it is no error.
        warnings: Vec<Warning>,
        /// Where the time went.
        timings: Timings,
    },
    /// It ended early.
    Failed(Failure),
}

/// Part of an order's way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stage {
    /// From admission to the first step.
    Queue,
    /// Tokens, text features, first latents; part of the queue's time.
    Text,
    /// From the first step to the last.
    Steps,
    /// Decoding a picture.
    Decode,
    /// The safety checker's look at a picture.
    Safety,
}

impl Stage {
    /// As metrics and traces call it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Queue => "queue",
            Self::Text => "text",
            Self::Steps => "steps",
            Self::Decode => "decode",
            Self::Safety => "safety",
        }
    }
}

/// Time spent in a stage.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stretch {
    /// The stage.
    pub stage: Stage,
    /// Its start.
    pub began: Instant,
    /// Its end.
    pub ended: Instant,
}

/// Where an order's time went, in the order in which stages ended. Decoding and checking have a stretch for each picture.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Timings(pub Vec<Stretch>);

impl Timings {
    /// A stage that ends now.
    pub(super) fn end(&mut self, stage: Stage, began: Instant) {
        self.0.push(Stretch { stage, began, ended: Instant::now() });
    }

    /// Time in a stage; `None` where the order did not meet it.
    pub fn total(&self, stage: Stage) -> Option<Duration> {
        let of_stage = self.0.iter().filter(|stretch| stretch.stage == stage);
        of_stage.map(|stretch| stretch.ended - stretch.began).reduce(|sum, time| sum + time)
    }
}

/// A taken order. Dropping it cancels the order.
#[derive(Debug)]
pub struct Ticket {
    pub(super) events: mpsc::UnboundedReceiver<Event>,
}

impl Ticket {
    /// The next event; `None` after the last.
    pub async fn next(&mut self) -> Option<Event> {
        self.events.recv().await
    }

    /// Blocks to the end; why it failed, if it did. Only `Finished` is success.
    pub(super) fn failure(&mut self) -> Option<Failure> {
        loop {
            match self.events.blocking_recv() {
                Some(Event::Finished { .. }) => return None,
                Some(Event::Failed(failure)) => return Some(failure),
                Some(_) => {}
                None => return Some(Failure::Runtime("the engine gave no end".to_owned())),
            }
        }
    }
}
