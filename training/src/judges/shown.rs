//! The vocabulary of what a picture shows.

use image::RgbImage;
use serde::{Deserialize, Serialize};

use crate::miniature::grammar::{Background, Colour, Object, Scene};

/// Objects, and one class for none or several kinds.
pub(super) const OBJECTS: usize = Object::ALL.len() + 1;
/// None, one to six, and more.
pub(super) const COUNTS: usize = 8;
/// Colours, and one class for none or several.
pub(super) const COLOURS: usize = Colour::ALL.len() + 1;
/// Places, and one class for no place at all.
pub(super) const PLACES: usize = Background::ALL.len() + 1;
/// Spoiled or whole.
pub(super) const WHOLES: usize = 2;
/// Classes of each head, in the order of [`Shown::classes`].
pub(super) const HEADS: [(&str, usize); 5] =
    [("object", OBJECTS), ("count", COUNTS), ("colour", COLOURS), ("background", PLACES), ("whole", WHOLES)];

/// The class of whole pictures.
pub(super) const WHOLE: u8 = 1;
/// The last class of a head: none, several, or too many.
pub(super) const OTHER_OBJECT: u8 = OBJECTS as u8 - 1;
/// More than six.
pub(super) const MANY: u8 = COUNTS as u8 - 1;
/// No colour or several.
pub(super) const OTHER_COLOUR: u8 = COLOURS as u8 - 1;
/// No place.
pub(super) const OTHER_PLACE: u8 = PLACES as u8 - 1;

/// What the pack's denoiser has no clear idea of: it makes blocks and crowned lumps of them.
pub(super) const POORLY_REDRAWN: [Object; 2] = [Object::Mug, Object::Fish];

/// What a picture shows, a class for each head; `None` where it cannot be said, and nothing is then learned from it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Shown {
    /// Index in [`Object::ALL`], or the class after it.
    pub object: Option<u8>,
    /// Number of objects, 7 for more than six.
    pub count: Option<u8>,
    /// Index in [`Colour::ALL`], or the class after it.
    pub colour: Option<u8>,
    /// Index in [`Background::ALL`], or the class after it.
    pub background: Option<u8>,
    /// 1 where everything is whole, 0 where something is spoiled.
    pub whole: Option<u8>,
}

/// A picture and what it shows.
#[derive(Debug, Clone)]
pub struct Sample {
    /// The picture, 64×64.
    pub picture: RgbImage,
    /// What it shows.
    pub shown: Shown,
}

impl Shown {
    /// `number` whole objects as `truth` has them, which says everything.
    pub(super) fn drawn(truth: &Scene, number: u8) -> Self {
        let any = number > 0;
        let colour = truth.colour.filter(|_| any).map_or(OTHER_COLOUR, |colour| colour as u8);
        Self {
            object: Some(if any { truth.object as u8 } else { OTHER_OBJECT }),
            count: Some(number.min(MANY)),
            colour: Some(colour),
            background: truth.background.map(|place| place as u8),
            whole: Some(WHOLE),
        }
    }

    /// Nothing that can be named.
    pub(super) fn rubbish() -> Self {
        Self { object: Some(OTHER_OBJECT), count: None, colour: None, background: Some(OTHER_PLACE), whole: Some(0) }
    }

    /// What can be said once the pack has redrawn it: it leaves whole mugs without their handles and gives fish crowns, and nobody can say
    /// whether that is one.
    pub(super) fn redrawn(self) -> Self {
        let doubtful = POORLY_REDRAWN.into_iter().any(|poor| self.object == Some(poor as u8)) && self.whole != Some(0);
        if doubtful { Self { object: None, whole: None, ..self } } else { self }
    }

    /// The classes, in the order of [`HEADS`].
    pub(super) fn classes(&self) -> [Option<u8>; HEADS.len()] {
        [self.object, self.count, self.colour, self.background, self.whole]
    }
}

/// What a scene asks of each head; `None` where it says nothing. An unsaid count means one.
pub(super) fn asked(scene: &Scene) -> [Option<usize>; HEADS.len()] {
    [
        Some(scene.object as usize),
        Some(usize::from(scene.number())),
        scene.colour.map(|colour| colour as usize),
        scene.background.map(|place| place as usize),
        Some(usize::from(WHOLE)),
    ]
}
