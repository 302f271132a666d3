//! Checkpoints that survive a kill at any moment.
//!
//! A checkpoint is a directory `step-<number>` with `checkpoint.safetensors` (f32: `weight/…`, `first/…`, `second/…`, `average/…` by
//! parameter name) and `state.json`. It is written under another name, made durable, and renamed: a directory of the right name is whole.
//! Where one of the same step is there, that one is first renamed to `step-<number>.replaced`, which is read if nothing took its place.
//! `state.json` names the weights file's SHA-256, so damage after that is noticed too, and the checkpoint before is used.

mod directory;
mod error;
mod state;

pub(crate) use directory::hex;
pub use directory::{KEPT, Loaded, latest, remove_after, save};
pub use error::CheckpointError;
pub use state::State;

#[cfg(test)]
mod tests;
