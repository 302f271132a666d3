//! Shapes that no scene has, and that generated pictures have: the rater must know them too.

use std::f32::consts::TAU;

use image::RgbImage;

use super::{
    background, blank,
    figure::{Figure, Parts},
    layout::Pose,
    outline::{crescent, parts_of, path, pointed, polygon},
    palette, to_rgb,
};
use crate::miniature::{
    Random, SIDE,
    grammar::{Background, Colour},
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
}

/// Draws one on a plain background; form, pose and colour are the seed's.
pub(crate) fn draw_odd(odd: Odd, seed: u64) -> RgbImage {
    let random = &mut Random::new(seed);
    let parts = match odd {
        Odd::Star => pointed(if random.chance(0.5) { 6 } else { 5 }, random.uniform(0.38, 0.58)),
        Odd::Moon => crescent(random.uniform(0.25, 1.0), random.uniform(0.7, 1.1)),
        Odd::Lump => lump(random),
    };
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
