//! The contact sheet: a row a prompt, the champion's pictures and the candidate's beside them.

use std::path::Path;

use image::{Rgb, RgbImage, imageops};

use super::{GateError, draw::Gallery};
use crate::miniature::draw::sheet;

/// Prompts on the sheet.
pub(super) const ROWS: usize = 15;
/// Width and height of a picture on it at most, in pixels.
const SIDE: u32 = 128;
const FILE: &str = "sheet.png";

/// Writes the sheet of the first prompts.
pub(super) fn write(out: &Path, gallery: &Gallery) -> Result<(), GateError> {
    let (mut cells, mut columns) = (Vec::new(), 1);
    for number in 0..gallery.asked.len().min(ROWS) {
        let drawn = gallery.read(number)?;
        columns = drawn.champion.len() as u32 * 2 + 1;
        cells.extend(drawn.champion.iter().map(small));
        // An empty column between the two.
        cells.extend(
            drawn
                .champion
                .first()
                .map(|one| RgbImage::from_pixel(small(one).width(), small(one).height(), Rgb([255; 3]))),
        );
        cells.extend(drawn.candidate.iter().map(small));
    }
    let path = out.join(FILE);
    sheet(&cells, columns, 1).save(&path).map_err(GateError::picture(&path))
}

/// Brought to [`SIDE`], larger or smaller.
fn small(picture: &RgbImage) -> RgbImage {
    let longer = picture.width().max(picture.height()).max(1);
    let side = |length: u32| (length * SIDE / longer).max(1);
    let filter = if longer < SIDE { imageops::FilterType::Nearest } else { imageops::FilterType::Triangle };
    imageops::resize(picture, side(picture.width()), side(picture.height()), filter)
}
