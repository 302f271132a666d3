//! The miniature world: a grammar of prompts, a painter of their scenes, and a judge that sees only pixels.
//!
//! It is the paper's own set of categories (an object, alone or with a count, a colour, a background, or all of them)
//! at a size where everything can be trained from nothing on two CPU cores.

mod album;
pub mod draw;
pub mod grammar;
mod random;
pub mod rate;

pub use crate::random::Random;
pub use album::album;

/// Width and height of every picture of the miniature world, in pixels.
pub const SIDE: u32 = 64;
