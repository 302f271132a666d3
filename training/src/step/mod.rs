//! The training step: a graph with a loss becomes a graph with gradients, and a trainer runs it and updates its weights.
//!
//! [`TrainGraph::build`] turns the selected weights into inputs, fixes all shapes, and appends the backward pass. [`Trainer`] owns the session,
//! whose input buffers *are* the weights, and the optimiser's state. [`crate::progress::Run`] adds what surrounds a loop.

mod error;
mod graph;
mod lora;
mod rejoin;
mod resident;
mod selection;
mod snapshot;
mod trainer;

pub use error::StepError;
pub(crate) use graph::differentiate;
pub use graph::{LOSS, Parameter, TrainGraph};
pub use lora::{Adapter, adapt};
pub use resident::ResidentTrainer;
pub use selection::{Lora, Selection, is_parameter, modules};
pub use snapshot::{Checkpointed, Which};
pub use trainer::{Batch, StepReport, Trainer, TrainerSettings};
