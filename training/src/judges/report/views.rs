//! The same picture as a camera might see it: cropped a little, softened, quantised, tinted.

use image::{RgbImage, imageops};

use crate::{miniature::SIDE, random::Random};

/// Pixels that may be cut from or added to each side.
const BORDER: usize = 5;
/// Levels of coarse quantisation of a channel, least and most.
const LEVELS: (f32, f32) = (24.0, 96.0);
/// Share of a picture that survives halving its size and doubling it.
const SOFT: (f32, f32) = (0.0, 0.7);
/// Factor on each channel, least and most, and the exponent of its tone curve.
const TINT: (f32, f32) = (0.92, 1.08);
const TONE: (f32, f32) = (0.85, 1.18);
/// Deviation of grain, of 255.
const GRAIN: f32 = 10.0;

/// One view of it.
pub(super) fn view(picture: RgbImage, random: &mut Random) -> RgbImage {
    let mut edge = || random.below(2 * BORDER + 1) as i64 - BORDER as i64;
    let frame = [edge(), edge(), edge(), edge()];
    let mut seen = framed(&picture, frame);
    if random.chance(0.5) {
        imageops::flip_horizontal_in_place(&mut seen);
    }
    if random.chance(0.4) {
        soften(&mut seen, random.uniform(SOFT.0, SOFT.1));
    }
    if random.chance(0.6) {
        develop(&mut seen, random);
    }
    seen
}

/// What a frame shows that is so many pixels inside or outside of each border; what is outside repeats the border.
pub(super) fn framed(picture: &RgbImage, [left, top, right, bottom]: [i64; 4]) -> RgbImage {
    let (width, height) = (i64::from(SIDE) - left - right, i64::from(SIDE) - top - bottom);
    let frame = RgbImage::from_fn(width as u32, height as u32, |x, y| {
        let inside = |at: i64| at.clamp(0, i64::from(SIDE) - 1) as u32;
        *picture.get_pixel(inside(i64::from(x) + left), inside(i64::from(y) + top))
    });
    imageops::resize(&frame, SIDE, SIDE, imageops::FilterType::Triangle)
}

fn soften(picture: &mut RgbImage, share: f32) {
    let half = imageops::resize(picture, SIDE / 2, SIDE / 2, imageops::FilterType::Triangle);
    let soft = imageops::resize(&half, SIDE, SIDE, imageops::FilterType::Triangle);
    for (value, soft) in picture.iter_mut().zip(soft.iter()) {
        *value = (f32::from(*value) * (1.0 - share) + f32::from(*soft) * share) as u8;
    }
}

/// Tint, tone, grain and few levels.
fn develop(picture: &mut RgbImage, random: &mut Random) {
    let tint: [f32; 3] = std::array::from_fn(|_| random.uniform(TINT.0, TINT.1));
    let (tone, levels) = (random.uniform(TONE.0, TONE.1), random.uniform(LEVELS.0, LEVELS.1));
    let grain = random.uniform(0.0, GRAIN);
    for pixel in picture.pixels_mut() {
        for (value, tint) in pixel.0.iter_mut().zip(tint) {
            let toned = 255.0 * (f32::from(*value) / 255.0 * tint).min(1.0).powf(tone) + grain * random.normal();
            *value = ((toned / 255.0 * levels).round() / levels * 255.0).clamp(0.0, 255.0) as u8;
        }
    }
}
