//! Checkpoints that survive a kill at any moment.
//!
//! A checkpoint is a directory `step-<number>` with `checkpoint.safetensors` (f32: `weight/…`, `first/…`, `second/…`, `average/…` by
//! parameter name) and `state.json`. It is written under another name, made durable, and renamed: a directory of the right name is whole.
//! `state.json` names the weights file's SHA-256, so damage after that is noticed too, and the checkpoint before is used.

mod directory;
mod error;
mod state;

pub(crate) use directory::hex;
pub use directory::{KEPT, Loaded, latest, save};
pub use error::CheckpointError;
pub use state::State;

#[cfg(test)]
mod tests;
