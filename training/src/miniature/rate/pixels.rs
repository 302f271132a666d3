//! A picture as planes of numbers.

use image::RgbImage;

use crate::miniature::SIDE;

/// Width and height, as an index bound.
pub(super) const EDGE: usize = SIDE as usize;
/// Share of pixels with at most the chroma that counts as the strongest: one object covers 3 % of a picture.
const STRONGEST: f32 = 0.985;

/// Chroma and colour of every pixel, row by row.
pub(super) struct Pixels {
    /// Red, green, blue in 0…1.
    pub(super) rgb: Vec<[f32; 3]>,
    /// Largest minus smallest channel, 0…1.
    pub(super) chroma: Vec<f32>,
    /// The chroma of the most saturated part.
    pub(super) strongest: f32,
}

impl Pixels {
    /// # Panics
    /// If the picture is not 64×64.
    pub(super) fn of(picture: &RgbImage) -> Self {
        assert_eq!(picture.dimensions(), (SIDE, SIDE), "the miniature world is {SIDE}×{SIDE}");
        let rgb: Vec<[f32; 3]> =
            picture.pixels().map(|pixel| pixel.0.map(|channel| f32::from(channel) / 255.0)).collect();
        let chroma: Vec<f32> = rgb.iter().map(chroma).collect();
        let mut sorted = chroma.clone();
        sorted.sort_by(f32::total_cmp);
        let strongest = sorted[(STRONGEST * sorted.len() as f32) as usize];
        Self { rgb, chroma, strongest }
    }
}

fn chroma(&[r, g, b]: &[f32; 3]) -> f32 {
    r.max(g).max(b) - r.min(g).min(b)
}
