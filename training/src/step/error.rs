//! What can go wrong in building and running a step.

use plaudit::runtime::RuntimeError;
use plaudit_onnx::expr::BuildError;

use crate::{autodiff::AutodiffError, checkpoint::CheckpointError};

/// Why a training step cannot be built or run.
#[derive(Debug, thiserror::Error)]
pub enum StepError {
    /// The graph has no scalar f32 output named `loss`.
    #[error("the training graph `{graph}` has no scalar f32 output `loss`; it has {outputs}")]
    NoLoss {
        /// The graph's name.
        graph: String,
        /// The outputs it has.
        outputs: String,
    },
    /// The selection holds no weight that the loss depends on.
    #[error(
        "nothing to train: of {weights} weights in `{graph}`, none is selected by {selection} and reaches the loss"
    )]
    NothingToTrain {
        /// The graph's name.
        graph: String,
        /// Weights in the graph.
        weights: usize,
        /// The selection, printed.
        selection: String,
    },
    /// The loss or a gradient is not a number any more.
    #[error(
        "step {step} diverged: loss {loss}, gradient norm {grad_norm}; lower the learning rate, or resume from an earlier checkpoint"
    )]
    Diverged {
        /// The step, counted from 1.
        step: u64,
        /// Its loss.
        loss: f32,
        /// Its gradient's norm.
        grad_norm: f32,
    },
    /// A batch names an input that the graph does not read.
    #[error("the training graph has no input `{name}`")]
    UnknownInput {
        /// The name.
        name: String,
    },
    /// A resident trainer takes a batch whole.
    #[error(
        "{asked} micro-batches asked for; a trainer over device tensors takes one: build its graph with the whole batch"
    )]
    MicroBatches {
        /// The number asked for.
        asked: usize,
    },
    /// The update cannot be written as a graph.
    #[error(transparent)]
    Update(#[from] BuildError),
    /// The graph cannot be differentiated.
    #[error(transparent)]
    Autodiff(#[from] AutodiffError),
    /// The runtime refused or failed.
    #[error(transparent)]
    Runtime(#[from] RuntimeError),
    /// A checkpoint cannot be written, read or used.
    #[error(transparent)]
    Checkpoint(#[from] CheckpointError),
}
