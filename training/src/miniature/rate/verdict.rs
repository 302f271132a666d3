//! Whether a picture is what a prompt says, by category.

use super::Observation;
use crate::miniature::grammar::Scene;

/// Each thing that a prompt says, right or wrong; what it does not say is right.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Verdict {
    /// There is something, and everything there could pass for the prompt's object.
    pub object: bool,
    /// There are as many things as the prompt says (one where it says no number).
    pub count: bool,
    /// There is something, and everything has the prompt's colour.
    pub colour: bool,
    /// The place is the prompt's.
    pub background: bool,
}

impl Verdict {
    /// Whether the picture is right in everything.
    pub fn is_good(&self) -> bool {
        self.object && self.count && self.colour && self.background
    }
}

/// Compares what was seen with what was asked for.
pub fn judge(seen: &Observation, asked: &Scene) -> Verdict {
    let things = &seen.things;
    Verdict {
        object: !things.is_empty() && things.iter().all(|thing| thing.passes_for(asked.object)),
        count: things.len() == usize::from(asked.number()),
        colour: asked
            .colour
            .is_none_or(|colour| !things.is_empty() && things.iter().all(|thing| thing.colour == colour)),
        background: asked.background.is_none_or(|place| place == seen.background),
    }
}
