//! From a picture to what is in it.

use image::RgbImage;

use super::{components::regions, pixels::Pixels, place, shape, tint};
use crate::miniature::grammar::{Background, Colour, Object};

/// Something saturated in a picture.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Thing {
    /// What it looks like; `None` when it is near to no object.
    pub object: Option<Object>,
    /// Its colour.
    pub colour: Colour,
    /// Squared distance of its silhouette to the nearest drawn example, 0 (equal) to 2.
    pub strangeness: f32,
    /// Size in pixels.
    pub area: usize,
    /// Objects that it could pass for, by their place in [`Object::ALL`].
    passes: [bool; Object::ALL.len()],
}

impl Thing {
    /// Whether someone who asked for `object` would take it for one.
    pub fn passes_for(&self, object: Object) -> bool {
        self.passes[object as usize]
    }
}

/// What is in a picture.
#[derive(Debug, Clone, PartialEq)]
pub struct Observation {
    /// The things, largest first.
    pub things: Vec<Thing>,
    /// The place.
    pub background: Background,
}

/// Looks at a picture of the miniature world.
///
/// # Panics
/// If the picture is not 64×64.
pub fn observe(picture: &RgbImage) -> Observation {
    let pixels = Pixels::of(picture);
    let regions = regions(&pixels);
    let things = regions.iter().map(|region| {
        let shape::Likeness { object, strangeness, passes } = shape::recognise(&pixels, region);
        Thing { object, colour: tint::name(&pixels, region), strangeness, area: region.len(), passes }
    });
    Observation { things: things.collect(), background: place::name(&pixels, &regions) }
}
