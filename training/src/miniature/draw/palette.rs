//! Colours: objects are saturated, everything else is not.

use tiny_skia::Color;

use crate::miniature::{Random, grammar::Colour};

/// Largest change of each channel of an object's colour from one scene to the next, of 255.
const SHADE: f32 = 10.0;
/// The line around objects and their dark parts.
pub(crate) const INK: [u8; 3] = [38, 32, 42];
/// Stems, trunks and masts: visible at night and in the snow.
pub(crate) const STEM: [u8; 3] = [88, 80, 88];
/// Light parts of objects: eyes, windows.
pub(crate) const LIGHT: [u8; 3] = [246, 244, 240];

/// The colour in the middle of what `colour` names, RGB.
pub fn centre(colour: Colour) -> [u8; 3] {
    match colour {
        Colour::Red => [222, 34, 38],
        Colour::Orange => [248, 138, 24],
        Colour::Yellow => [246, 218, 36],
        Colour::Green => [46, 166, 62],
        Colour::Blue => [44, 96, 222],
        Colour::Purple => [140, 54, 190],
        Colour::Pink => [248, 122, 184],
        Colour::Brown => [136, 72, 16],
    }
}

pub(super) fn shade(colour: Colour, random: &mut Random) -> Color {
    vary(centre(colour), SHADE, random)
}

pub(super) fn vary(rgb: [u8; 3], amount: f32, random: &mut Random) -> Color {
    let [r, g, b] = rgb.map(|channel| (f32::from(channel) + random.uniform(-amount, amount)).clamp(0.0, 255.0) as u8);
    Color::from_rgba8(r, g, b, 255)
}

pub(super) fn solid([r, g, b]: [u8; 3]) -> Color {
    Color::from_rgba8(r, g, b, 255)
}
