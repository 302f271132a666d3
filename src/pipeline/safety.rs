//! The safety checker: which pictures must not be shown.

use image::{RgbImage, imageops};

use super::PipelineError;
use crate::{
    pack::Component,
    runtime::{Session, View},
};

/// Pixels along a side of what CLIP sees.
const SIDE: u32 = 224;
/// Mean and deviation of CLIP's training pictures, by colour.
const MEAN: [f32; 3] = [0.481_454_66, 0.457_827_5, 0.408_210_73];
const DEVIATION: [f32; 3] = [0.268_629_54, 0.261_302_6, 0.275_777_1];

/// A pack's safety checker.
#[derive(Debug)]
pub(crate) struct SafetyChecker {
    session: Session,
}

impl SafetyChecker {
    pub(crate) fn new(session: Session) -> Self {
        Self { session }
    }

    /// Whether a picture must be withheld.
    pub(crate) fn flags(&mut self, image: &RgbImage) -> Result<bool, PipelineError> {
        let (clip, pixels) = (clip_input(image), unit(image));
        let side = SIDE as usize;
        let clip_shape = [1, 3, side, side];
        let shape = [1, image.height() as usize, image.width() as usize, 3];
        let inputs = [("clip_input", View::new(&clip_shape, &clip)), ("images", View::new(&shape, &pixels))];
        let component = Component::SafetyChecker;
        let outputs = self.session.run_views(&inputs).map_err(PipelineError::component(component))?;
        let flags = outputs.get("has_nsfw_concepts").map(|view| view.bytes().iter().any(|&flag| flag != 0));
        flags.ok_or(PipelineError::Answer { component, output: "has_nsfw_concepts" })
    }
}

/// Interleaved f32 in 0 … 1.
fn unit(image: &RgbImage) -> Vec<f32> {
    image.as_raw().iter().map(|&byte| f32::from(byte) / f32::from(u8::MAX)).collect()
}

/// Shorter side to 224 (bicubic), the middle cut out, normalised: f32 `[3, 224, 224]`.
fn clip_input(image: &RgbImage) -> Vec<f32> {
    let (width, height) = image.dimensions();
    let shorter = width.min(height).max(1);
    let scaled = |side: u32| (u64::from(side) * u64::from(SIDE) / u64::from(shorter)).max(u64::from(SIDE)) as u32;
    let (width, height) = (scaled(width), scaled(height));
    let resized = imageops::resize(image, width, height, imageops::FilterType::CatmullRom);
    let middle = imageops::crop_imm(&resized, (width - SIDE) / 2, (height - SIDE) / 2, SIDE, SIDE).to_image();
    let area = (SIDE * SIDE) as usize;
    let mut planes = vec![0.0; MEAN.len() * area];
    for (at, pixel) in middle.pixels().enumerate() {
        for (colour, &byte) in pixel.0.iter().enumerate() {
            let unit = f32::from(byte) / f32::from(u8::MAX);
            planes[colour * area + at] = (unit - MEAN[colour]) / DEVIATION[colour];
        }
    }
    planes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_clip_sees_is_the_normalised_middle() {
        let mut image = RgbImage::from_pixel(100, 50, image::Rgb([0; 3]));
        (25..75).for_each(|x| (0..50).for_each(|y| image.put_pixel(x, y, image::Rgb([255; 3]))));
        let planes = clip_input(&image);
        let area = (SIDE * SIDE) as usize;
        let middle = planes[area / 2 + SIDE as usize / 2];
        assert!((middle - (1.0 - MEAN[0]) / DEVIATION[0]).abs() < 1e-3, "{middle}");
        assert_eq!(planes.len(), 3 * area);
    }
}
