//! How well scores tell good pictures from bad ones: ranking, probability, and how sure the figures are.
//!
//! Every function takes plain numbers, so that any scorer can be measured: a reward, a CLIP score, a judge.

mod bootstrap;
mod probability;
mod ranking;

pub use bootstrap::{Interval, bootstrap};
pub use probability::{Bin, accuracy, bins, brier, expected_calibration_error, log_loss};
pub use ranking::{auroc, pairs_by_group, within_group_auroc};

/// A score, what it should have told, and the group (a prompt) it is ranked in.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Scored {
    /// The score; a probability where the measure says so.
    pub score: f64,
    /// What it should tell.
    pub good: bool,
    /// The group.
    pub group: usize,
}
