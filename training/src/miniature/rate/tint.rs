//! Names a region's colour by hue; brown is dark orange.

use super::{components::Region, pixels::Pixels};
use crate::miniature::{draw::palette, grammar::Colour};

/// Share of a region that is judged: its most saturated pixels, which neither outline nor details touch.
const PUREST: f32 = 0.5;
/// Brightness (largest channel) between brown and orange: 136 and 248 of 255 at their centres.
const DARK: f32 = 0.75;

pub(super) fn name(pixels: &Pixels, region: &Region) -> Colour {
    let mut purest: Vec<usize> = region.clone();
    purest.sort_by(|&one, &other| pixels.chroma[other].total_cmp(&pixels.chroma[one]));
    purest.truncate((PUREST * region.len() as f32).ceil() as usize);
    let mean: [f32; 3] = std::array::from_fn(|channel| {
        purest.iter().map(|&at| pixels.rgb[at][channel]).sum::<f32>() / purest.len() as f32
    });
    let bright = mean.into_iter().fold(0.0, f32::max);
    let seen = hue(mean);
    let nearest = Colour::ALL.into_iter().filter(|colour| *colour != Colour::Brown).min_by(|&one, &other| {
        let away = |colour| turn(seen, hue(palette::centre(colour).map(f32::from)));
        away(one).total_cmp(&away(other))
    });
    match nearest {
        Some(Colour::Orange | Colour::Yellow) if bright < DARK => Colour::Brown,
        Some(colour) => colour,
        None => Colour::Brown,
    }
}

/// Hue in sixths of a turn, 0 red, 2 green, 4 blue.
fn hue([r, g, b]: [f32; 3]) -> f32 {
    let (high, low) = (r.max(g).max(b), r.min(g).min(b));
    let range = (high - low).max(f32::EPSILON);
    let sector = if high == r {
        (g - b) / range
    } else if high == g {
        2.0 + (b - r) / range
    } else {
        4.0 + (r - g) / range
    };
    sector.rem_euclid(6.0)
}

fn turn(one: f32, other: f32) -> f32 {
    let away = (one - other).abs();
    away.min(6.0 - away)
}
