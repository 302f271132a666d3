//! `state.json`.

use serde::{Deserialize, Serialize};

use crate::random::Random;

/// Everything of a run that is not a tensor.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct State {
    /// Steps done.
    pub step: u64,
    /// Position in the data; the run's own unit.
    pub position: u64,
    /// The generator.
    pub random: Random,
    /// Length of `metrics.jsonl` at this step, in bytes.
    pub metrics_bytes: u64,
    /// Seconds of training so far, over all legs.
    pub seconds: f64,
    /// The trainer's settings; a run resumed with others is warned about.
    pub settings: serde_json::Value,
    /// SHA-256 of the training graph, in hex; a run resumed with another is warned about.
    pub graph: String,
    /// SHA-256 of `checkpoint.safetensors`, in hex; filled in on saving.
    #[serde(default)]
    pub tensors: String,
}
