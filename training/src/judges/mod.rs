//! Two judges besides the rule-based rater: one decides on promotions, the other is heard in evidence only.
//!
//! Each is a small classifier that looks at a 64×64 picture and says what it shows: object, count, colour, place, and whether all of it
//! is whole. The probability that a picture is what a scene says is the product of the asked attributes' probabilities.
//! The rater computes from rules; the gate is a convolutional net over RGB with pooled features; the report judge is a dilated net over
//! luma and chroma whose cells vote. They have their own networks, weights, drawings and ways to spoil drawings;
//! what they share is the vocabulary ([`Shown`]), the trainer, and the machinery that sends drawings through the pack (`redraw`).
//! Neither has seen a vote, a verdict of the rater, or a picture that was labelled by hand.

mod course;
mod error;
mod gate;
mod redraw;
mod report;
mod shown;

use std::{path::PathBuf, time::Duration};

pub use error::JudgeError;
pub use gate::GateJudge;
pub use report::ReportJudge;
pub use shown::{Sample, Shown};

/// One of the two judges.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Which {
    /// For promotion decisions.
    Gate,
    /// For evidence, and used nowhere else.
    Report,
}

impl Which {
    /// Name of its directories.
    pub fn name(self) -> &'static str {
        match self {
            Self::Gate => "gate",
            Self::Report => "report",
        }
    }
}

/// How a judge is trained.
#[derive(Debug, Clone)]
pub struct Training {
    /// Whose autoencoder and UNet redraw some of the drawings.
    pub pack: PathBuf,
    /// Checkpoints, metrics and redrawn pictures.
    pub data: PathBuf,
    /// Where the finished judge goes.
    pub out: PathBuf,
    /// A finished judge whose weights are gone on from, at a lower rate and with other drawings; `None`: from nothing.
    pub from: Option<PathBuf>,
    /// Minutes until the leg ends; the next run goes on. `None`: to the last step.
    pub leg: Option<Duration>,
    /// Steps in all.
    pub steps: u64,
    /// Drawings that the pack redraws.
    pub redrawn: usize,
    /// Threads; 0 means one for each core.
    pub threads: usize,
    /// Seed of weights and drawings.
    pub seed: u64,
}

/// Trains a leg of a judge and writes what it has learned so far.
///
/// # Errors
/// If the pack lacks a part, training diverges, or the disk refuses.
pub fn train(which: Which, training: &Training) -> Result<(), JudgeError> {
    match which {
        Which::Gate => gate::train(training),
        Which::Report => report::train(training),
    }
}
