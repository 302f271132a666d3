//! What may happen to a picture without changing what it shows.

use image::{Rgb, RgbImage, imageops};

use crate::{miniature::SIDE, random::Random};

/// Largest shift, in pixels, and change of scale.
const SHIFT: f32 = 3.0;
const SCALE: f32 = 0.1;
/// Largest displacement by a trembling hand, in pixels.
const TREMBLE: f32 = 1.2;
/// How often each of the following is done.
const RATE: f32 = 0.5;
const BLUR: (f32, f32) = (0.3, 1.0);
/// Deviation of the noise at most, of 255.
const NOISE: f32 = 14.0;
/// Changes of contrast, saturation (factors) and brightness (of 255).
const CONTRAST: (f32, f32) = (0.85, 1.15);
const SATURATION: (f32, f32) = (0.75, 1.3);
const BRIGHTNESS: f32 = 12.0;

/// The same scene, moved, mirrored, trembling, blurred, noisy, in other light.
pub(super) fn wear(picture: &RgbImage, random: &mut Random) -> RgbImage {
    let mut worn = moved(picture, random);
    if random.chance(RATE) {
        worn = imageops::blur(&worn, random.uniform(BLUR.0, BLUR.1));
    }
    if random.chance(RATE) {
        relight(&mut worn, random);
    }
    if random.chance(RATE) {
        let deviation = random.uniform(0.0, NOISE);
        worn.iter_mut().for_each(|value| *value = byte(f32::from(*value) + deviation * random.normal()));
    }
    worn
}

fn byte(value: f32) -> u8 {
    value.round().clamp(0.0, 255.0) as u8
}

fn relight(picture: &mut RgbImage, random: &mut Random) {
    let contrast = random.uniform(CONTRAST.0, CONTRAST.1);
    let saturation = random.uniform(SATURATION.0, SATURATION.1);
    let light = random.uniform(-BRIGHTNESS, BRIGHTNESS);
    for pixel in picture.pixels_mut() {
        let rgb = pixel.0.map(f32::from);
        let grey = rgb.iter().sum::<f32>() / 3.0;
        pixel.0 = rgb.map(|value| byte(128.0 + contrast * (grey + saturation * (value - grey) - 128.0) + light));
    }
}

/// Shift, scale, mirror and a smooth displacement in one bilinear look-up.
fn moved(picture: &RgbImage, random: &mut Random) -> RgbImage {
    let centre = SIDE as f32 / 2.0 - 0.5;
    let scale = 1.0 + random.uniform(-SCALE, SCALE / 2.0);
    let mirror = if random.chance(RATE) { -1.0 } else { 1.0 };
    let (right, down) = (random.uniform(-SHIFT, SHIFT), random.uniform(-SHIFT, SHIFT));
    let tremble = random.uniform(0.0, TREMBLE);
    let waves: [f32; 6] = std::array::from_fn(|index| {
        if index < 2 { random.uniform(0.15, 0.5) } else { random.uniform(0.0, std::f32::consts::TAU) }
    });
    RgbImage::from_fn(SIDE, SIDE, |x, y| {
        let (x, y) = (x as f32 - centre, y as f32 - centre);
        let bend_x = tremble * (waves[0] * y + waves[2]).sin() * (waves[1] * x + waves[3]).cos();
        let bend_y = tremble * (waves[1] * x + waves[4]).sin() * (waves[0] * y + waves[5]).cos();
        look_up(picture, centre + mirror * x / scale + right + bend_x, centre + y / scale + down + bend_y)
    })
}

/// The picture between its pixels; beyond its border it goes on as at the border.
fn look_up(picture: &RgbImage, x: f32, y: f32) -> Rgb<u8> {
    let last = SIDE as f32 - 1.0;
    let (x, y) = (x.clamp(0.0, last), y.clamp(0.0, last));
    let (left, top) = (x as u32, y as u32);
    let (right, bottom) = ((left + 1).min(SIDE - 1), (top + 1).min(SIDE - 1));
    let (fx, fy) = (x.fract(), y.fract());
    let at = |x: u32, y: u32| picture.get_pixel(x, y).0.map(f32::from);
    let (a, b, c, d) = (at(left, top), at(right, top), at(left, bottom), at(right, bottom));
    let mix = |i: usize| (a[i] * (1.0 - fx) + b[i] * fx) * (1.0 - fy) + (c[i] * (1.0 - fx) + d[i] * fx) * fy;
    Rgb([byte(mix(0)), byte(mix(1)), byte(mix(2))])
}
