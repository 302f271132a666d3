//! Where objects stand, how large they are and how they lean.

use super::{Object, figure::Figure};
use crate::miniature::{Random, SIDE};

/// Half the extent of an object, in pixels: one range for every count.
const RADIUS: (f32, f32) = (8.2, 10.4);
/// How much objects of one scene differ in size.
const VARIATION: f32 = 0.06;
/// Empty pixels between the circles around two objects.
const GAP: f32 = 2.5;
/// Pixels kept free at the border, for the outline.
const MARGIN: f32 = 1.0;
/// Placements tried from scratch before everything shrinks a little.
const ATTEMPTS: usize = 60;
/// Positions tried for one object.
const TRIES: usize = 24;
/// Factor on every radius when the objects do not fit.
const SHRINK: f32 = 0.97;

/// One object's place on the canvas.
#[derive(Debug, Clone, Copy)]
pub(super) struct Pose {
    /// Centre, in pixels.
    pub(super) x: f32,
    /// Centre, in pixels.
    pub(super) y: f32,
    /// Pixels to one unit of the figure.
    pub(super) radius: f32,
    /// Clockwise, in degrees.
    pub(super) lean: f32,
    /// Whether left and right are exchanged.
    pub(super) mirrored: bool,
}

pub(super) fn poses(object: Object, count: u8, random: &mut Random) -> Vec<Pose> {
    let figure = Figure::of(object);
    let base = random.uniform(RADIUS.0, RADIUS.1);
    let mut radii: Vec<f32> = (0..count).map(|_| base * random.uniform(1.0 - VARIATION, 1.0 + VARIATION)).collect();
    loop {
        for _ in 0..ATTEMPTS {
            if let Some(centres) = place(&radii, random) {
                let posed = radii.iter().zip(centres).map(|(&radius, (x, y))| Pose {
                    x,
                    y,
                    radius,
                    lean: random.uniform(-figure.lean, figure.lean),
                    mirrored: random.chance(0.5),
                });
                return posed.collect();
            }
        }
        radii.iter_mut().for_each(|radius| *radius *= SHRINK);
    }
}

fn place(radii: &[f32], random: &mut Random) -> Option<Vec<(f32, f32)>> {
    let mut centres: Vec<(f32, f32)> = Vec::with_capacity(radii.len());
    for (index, &radius) in radii.iter().enumerate() {
        let (low, high) = (radius + MARGIN, SIDE as f32 - radius - MARGIN);
        let free = |x: f32, y: f32| {
            let others = centres.iter().zip(&radii[..index]);
            others.into_iter().all(|(&(ox, oy), &other)| (x - ox).hypot(y - oy) >= radius + other + GAP)
        };
        let mut tries = (0..TRIES).map(|_| (random.uniform(low, high), random.uniform(low, high)));
        let found = tries.find(|&(x, y)| free(x, y))?;
        centres.push(found);
    }
    Some(centres)
}
