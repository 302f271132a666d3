//! Many requests, one denoiser: rows of different requests share each call of the UNet.

mod settings;

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use image::RgbImage;
use tokio::sync::mpsc;

pub use settings::EngineSettings;

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
    /// Draw it in calls of its own, so that not even a GPU's choice of kernel depends on neighbours.
    pub deterministic: bool,
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
    },
    /// The server is shutting down.
    #[error("the server is shutting down")]
    Draining,
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
    /// The runtime failed; the message is for the log and the caller.
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

/// Where an order's time went.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Timings {
    /// From admission to the first step.
    pub queued: Duration,
    /// Tokens and text features.
    pub text: Duration,
    /// From the first step to the last.
    pub steps: Duration,
    /// Decoding and checking.
    pub decode: Duration,
}

/// A taken order. Dropping it cancels the order.
#[derive(Debug)]
pub struct Ticket {
    events: mpsc::UnboundedReceiver<Event>,
}

impl Ticket {
    /// The next event; `None` after the last.
    pub async fn next(&mut self) -> Option<Event> {
        self.events.recv().await
    }
}

/// How busy the engine is.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Load {
    /// Orders that wait.
    pub waiting: usize,
    /// Orders with a row in the denoiser.
    pub running: usize,
    /// Row-steps that wait or are under way.
    pub row_steps: u64,
    /// Row-steps a second, measured; `None` before the first calls.
    pub rate: Option<f64>,
    /// Age of the oldest order that waits.
    pub oldest: Option<Duration>,
}

/// What the engine serves, as others need to know it.
#[derive(Debug, Clone, PartialEq)]
pub struct ModelFacts {
    /// `name@hash` of the pack.
    pub version: String,
    /// The pack's name.
    pub name: String,
    /// Width and height in pixels where a request names none.
    pub size: (usize, usize),
    /// Width and height must be multiples of it.
    pub size_multiple: usize,
    /// The scheduler where a request names none.
    pub scheduler: crate::pipeline::schedule::SchedulerKind,
    /// Whether it can start from a picture (has a VAE encoder).
    pub image_to_image: bool,
}

/// The step engine over one pack.
#[derive(Debug)]
pub struct Engine {}

impl Engine {
    /// Opens a session for each component and starts the threads; returns when all are warm.
    ///
    /// # Errors
    /// A pack that cannot be used, a missing library or device.
    pub fn start(
        _pack: &crate::pack::Pack,
        _device: crate::runtime::Device,
        _settings: &EngineSettings,
        _metrics: crate::metrics::Metrics,
    ) -> Result<Self, PipelineError> {
        todo!()
    }

    /// What it serves.
    pub fn model(&self) -> &ModelFacts {
        todo!()
    }

    /// Orders ahead of a new one of this class and client, and a guess at how long it would take.
    pub fn estimate(&self, _order: &Order) -> (usize, Duration) {
        todo!()
    }

    /// Admits an order, or says why not.
    ///
    /// # Errors
    /// A request that the pack cannot do, or no room for it.
    pub fn submit(&self, _order: Order) -> Result<Ticket, Refusal> {
        todo!()
    }

    /// How busy it is.
    pub fn load(&self) -> Load {
        todo!()
    }

    /// Takes no more orders; those that were taken are drawn.
    pub fn drain(&self) {
        todo!()
    }
}
