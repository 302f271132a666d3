//! A judge that sees only pixels: what is in a picture, and whether it is what a prompt says.
//!
//! Objects are the only saturated things of the miniature world, so a threshold on chroma separates them; each connected
//! part is then compared with drawn examples of every object in a frame that its own moments give (centre and spread),
//! (what is about as near to the prompt's object as to another passes for it), its hue names the colour, and what is left, row by row, names the place. Nothing is learned but the tables of
//! examples, which are drawn at first use.

mod components;
mod observe;
mod pixels;
mod place;
mod rater;
mod shape;
#[cfg(test)]
mod tests;
mod tint;
mod verdict;

pub use observe::{Observation, Thing, observe};
pub use rater::{Rater, RaterSettings, Vote};
pub use verdict::{Verdict, judge};
