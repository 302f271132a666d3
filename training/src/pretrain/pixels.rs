//! Pictures as the models' inputs.

use image::RgbImage;

/// Colour channels.
pub(super) const CHANNELS: usize = 3;
/// What CLIP subtracts from and divides each channel (0…1) by.
pub(super) const CLIP_MEAN: [f32; CHANNELS] = [0.481_454_66, 0.457_827_5, 0.408_210_73];
pub(super) const CLIP_DEVIATION: [f32; CHANNELS] = [0.268_629_54, 0.261_302_6, 0.275_777_1];

/// A square of `picture` as planes in −1…1, [3, size, size], left top corner at `(x, y)`.
pub(super) fn planes(picture: &RgbImage, (x, y): (u32, u32), size: u32, planes: &mut [f32]) {
    scaled(picture, (x, y), size, planes, |_, value| 2.0 * value - 1.0);
}

/// The whole picture as CLIP's planes, normalised, [3, side, side].
pub(super) fn clip_planes(picture: &RgbImage, planes: &mut [f32]) {
    let normal = |channel: usize, value: f32| (value - CLIP_MEAN[channel]) / CLIP_DEVIATION[channel];
    scaled(picture, (0, 0), picture.width(), planes, normal);
}

fn scaled(
    picture: &RgbImage,
    (left, top): (u32, u32),
    size: u32,
    planes: &mut [f32],
    scale: impl Fn(usize, f32) -> f32,
) {
    let area = (size * size) as usize;
    for (at, (x, y)) in (0..size).flat_map(|y| (0..size).map(move |x| (x, y))).enumerate() {
        let pixel = picture.get_pixel(left + x, top + y).0;
        for (channel, value) in pixel.into_iter().enumerate() {
            planes[channel * area + at] = scale(channel, f32::from(value) / 255.0);
        }
    }
}

/// Planes in −1…1, [3, side, side], as a picture.
pub(super) fn picture(planes: &[f32], side: u32) -> RgbImage {
    let area = (side * side) as usize;
    RgbImage::from_fn(side, side, |x, y| {
        let at = (y * side + x) as usize;
        let channel = |c: usize| ((planes[c * area + at] + 1.0) * 127.5).round().clamp(0.0, 255.0) as u8;
        image::Rgb([channel(0), channel(1), channel(2)])
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::miniature::{SIDE, draw::draw};

    #[test]
    fn a_picture_survives_the_way_to_planes_and_back() {
        let drawn = draw(&"three pink cars at night".parse().unwrap(), 0).picture;
        let mut values = vec![0.0; CHANNELS * (SIDE * SIDE) as usize];
        planes(&drawn, (0, 0), SIDE, &mut values);
        assert!(values.iter().all(|value| (-1.0..=1.0).contains(value)));
        assert_eq!(picture(&values, SIDE), drawn);
    }

    #[test]
    fn a_crop_is_the_part_at_its_corner() {
        let drawn = draw(&"a red star".parse().unwrap(), 0).picture;
        let mut values = vec![0.0; CHANNELS * 16 * 16];
        planes(&drawn, (20, 30), 16, &mut values);
        let expected = image::imageops::crop_imm(&drawn, 20, 30, 16, 16).to_image();
        assert_eq!(picture(&values, 16), expected);
    }
}
