//! Contact sheets: many pictures on one.

use image::{RgbImage, imageops};

/// Pixels between pictures.
const GAP: u32 = 2;

/// Lays `pictures` (all of one size) out in rows of `columns`, each `scale` times as large, on white.
///
/// # Panics
/// If there is no picture or `columns` is 0.
pub fn sheet(pictures: &[RgbImage], columns: u32, scale: u32) -> RgbImage {
    let (width, height) = pictures[0].dimensions();
    let (cell_width, cell_height) = (width * scale + GAP, height * scale + GAP);
    let rows = (pictures.len() as u32).div_ceil(columns);
    let mut page = RgbImage::from_pixel(columns * cell_width + GAP, rows * cell_height + GAP, image::Rgb([255; 3]));
    for (index, picture) in pictures.iter().enumerate() {
        let (column, row) = (index as u32 % columns, index as u32 / columns);
        let large = imageops::resize(picture, width * scale, height * scale, imageops::FilterType::Nearest);
        let (x, y) = (GAP + column * cell_width, GAP + row * cell_height);
        imageops::replace(&mut page, &large, i64::from(x), i64::from(y));
    }
    page
}
