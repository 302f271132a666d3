//! The optimiser: AdamW with decoupled decay, global-norm clipping, a warm-up and cosine schedule, and an average of the weights.

mod adamw;
mod decay;
mod graph;
mod schedule;

pub use adamw::{AdamW, AdamWSettings, GRADIENT_CHUNK, Moments, Slot, gradient_norm};
pub use decay::DecayRule;
pub use graph::{GRAD_NORM, SCALARS, Updated, update_graph};
pub use schedule::Schedule;
