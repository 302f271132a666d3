//! Shapes that no scene has, and that generated pictures have: judges must know them too.

use std::f32::consts::{PI, TAU};

use image::RgbImage;

use super::{
    background, blank,
    figure::{Figure, Parts},
    layout::Pose,
    outline::{crescent, mug, parts_of, path, pointed, polygon},
    palette, to_rgb,
};
use crate::miniature::{
    Random, SIDE,
    grammar::{Background, Colour, Object},
};

/// Half the extent, in pixels, as in scenes.
const RADIUS: (f32, f32) = (8.2, 10.4);
/// Corners that stand for a curve.
const CORNERS: usize = 48;

/// A shape beside the twelve figures.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Odd {
    /// Five or six points, thin or stout: a star all the same.
    Star,
    /// A thin or a fat crescent: a moon.
    Moon,
    /// A rounded lump between an oval, a square and a diamond: nothing.
    Lump,
    /// A star whose points are uneven, five or six of them.
    RoughStar,
    /// A mug whose handle is small and thick.
    StoutMug,
    /// A mug's body without a handle, its sides uneven, perhaps with a spot where one might be: nothing.
    Block,
}

impl Odd {
    /// The form that the pack gives an object, where it is another one than the painter's: right all the same.
    pub(crate) fn of(object: Object) -> Option<Self> {
        match object {
            Object::Star => Some(Self::RoughStar),
            Object::Mug => Some(Self::StoutMug),
            _ => None,
        }
    }

    /// Its form; the seed decides on the rest of it.
    pub(super) fn parts(self, random: &mut Random) -> Parts {
        match self {
            Self::Star => pointed(if random.chance(0.5) { 6 } else { 5 }, random.uniform(0.38, 0.58)),
            Self::Moon => crescent(random.uniform(0.25, 1.0), random.uniform(0.7, 1.1)),
            Self::Lump => lump(random),
            Self::RoughStar => rough_star(random),
            Self::StoutMug => mug(random.uniform(0.4, 0.56), random.uniform(0.12, 0.28)),
            Self::Block => block(random),
        }
    }
}

/// Draws one on a plain background; form, pose and colour are the seed's.
pub(crate) fn draw_odd(odd: Odd, seed: u64) -> RgbImage {
    let random = &mut Random::new(seed);
    let parts = odd.parts(random);
    let radius = random.uniform(RADIUS.0, RADIUS.1);
    let middle = SIDE as f32 / 2.0;
    let pose = Pose {
        x: middle,
        y: middle,
        radius,
        lean: random.uniform(-parts.lean, parts.lean),
        mirrored: random.chance(0.5),
    };
    let mut canvas = blank();
    background::paint(&mut canvas, Background::Plain, random);
    let colour = palette::shade(*random.pick(&Colour::ALL), random);
    Figure::new(parts).paint(&mut canvas, &pose, colour);
    to_rgb(&canvas)
}

/// `|x|^n + |y|^n = 1` with a trembling radius.
fn lump(random: &mut Random) -> Parts {
    /// Between a diamond (1), an oval (2) and a square.
    const EXPONENTS: (f32, f32) = (1.1, 6.0);
    /// Height to width.
    const ASPECTS: (f32, f32) = (0.65, 1.4);
    /// Waves around the outline, and how high they are at most.
    const WAVES: [f32; 3] = [2.0, 3.0, 5.0];
    const HEIGHT: f32 = 0.06;
    let exponent = random.uniform(EXPONENTS.0, EXPONENTS.1);
    let (aspect, size) = (random.uniform(ASPECTS.0, ASPECTS.1), 0.85);
    let waves = WAVES.map(|number| (number, random.uniform(0.0, HEIGHT), random.uniform(0.0, TAU)));
    let corner = |at: usize| {
        let angle = at as f32 * TAU / CORNERS as f32;
        let (cos, sin) = (angle.cos(), angle.sin());
        let radius = (cos.abs().powf(exponent) + sin.abs().powf(exponent)).powf(-1.0 / exponent);
        let trembles: f32 = waves.iter().map(|(number, height, phase)| height * (number * angle + phase).sin()).sum();
        let reach = size * radius * (1.0 + trembles) / aspect.max(1.0);
        (reach * cos, reach * sin * aspect)
    };
    let corners: Vec<(f32, f32)> = (0..CORNERS).map(corner).collect();
    /// It stands as it likes.
    const ANY: f32 = 180.0;
    parts_of(path(|builder| polygon(builder, &corners)), ANY)
}

fn rough_star(random: &mut Random) -> Parts {
    let points = if random.chance(0.6) { 5 } else { 6 };
    let inner = random.uniform(0.38, 0.56);
    let corners: Vec<(f32, f32)> = (0..2 * points)
        .map(|index| {
            let angle = index as f32 * PI / points as f32 - PI / 2.0 + random.uniform(-0.1, 0.1);
            let radius = if index % 2 == 0 { random.uniform(0.72, 1.0) } else { inner * random.uniform(0.85, 1.15) };
            (radius * angle.cos(), radius * angle.sin())
        })
        .collect();
    parts_of(path(|builder| polygon(builder, &corners)), 180.0 / points as f32)
}

fn block(random: &mut Random) -> Parts {
    /// Degrees that it may lean.
    const LEAN: f32 = 14.0;
    let (half, tall) = (random.uniform(0.55, 0.85), random.uniform(0.55, 0.8));
    let exponents: [f32; 4] = std::array::from_fn(|_| random.uniform(2.2, 9.0));
    let waves = [2.0, 3.0, 4.0].map(|number| (number, random.uniform(0.0, 0.06), random.uniform(0.0, TAU)));
    let corner = |at: usize| {
        let angle = at as f32 * TAU / CORNERS as f32;
        let (cos, sin) = (angle.cos(), angle.sin());
        // Each quarter has a corner of its own, sharp or round.
        let exponent = exponents[at * exponents.len() / CORNERS];
        let radius = (cos.abs().powf(exponent) + sin.abs().powf(exponent)).powf(-1.0 / exponent);
        let trembles: f32 = waves.iter().map(|(number, height, phase)| height * (number * angle + phase).sin()).sum();
        let reach = radius * (1.0 + trembles);
        ((half * reach * cos).clamp(-1.0, 1.0), (tall * reach * sin).clamp(-1.0, 1.0))
    };
    let corners: Vec<(f32, f32)> = (0..CORNERS).map(corner).collect();
    let spot = |random: &mut Random, size: f32| {
        let (x, y) = (random.uniform(-0.75, 0.75) * half, random.uniform(-0.6, 0.6) * tall);
        path(|builder| {
            polygon(builder, &[(x - size, y), (x, y - size), (x + size, y), (x, y + size)]);
        })
    };
    let dark = match random.below(3) {
        0 => None,
        1 => Some(spot(random, 0.12)),
        // A rim as wide as it is.
        _ => Some(path(|builder| {
            let (left, right, top) = (-0.8 * half, 0.8 * half, -tall);
            polygon(builder, &[(left, top - 0.04), (right, top - 0.04), (right, top + 0.14), (left, top + 0.14)]);
        })),
    };
    let light = random.chance(0.3).then(|| spot(random, 0.1));
    Parts { dark, light, ..parts_of(path(|builder| polygon(builder, &corners)), LEAN) }
}
