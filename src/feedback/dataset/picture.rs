//! Pictures as bytes: which coding, how large, which content.

use std::io::Cursor;

use image::{ImageFormat, ImageReader, Limits, RgbImage};
use sha2::{Digest, Sha256};

use super::DatasetLimits;

/// Bytes that a decoded pixel takes at most: four channels of 16 bits.
const PIXEL_BYTES: u64 = 8;

/// The coding of a picture that may come from anywhere. Nothing is decoded but its head.
///
/// # Errors
/// Neither PNG nor JPEG nor WebP by its first bytes, no dimensions, or larger than the limits.
pub(super) fn check(bytes: &[u8], limits: &DatasetLimits) -> Result<ImageFormat, String> {
    if bytes.len() as u64 > limits.max_image_bytes {
        return Err(format!("the picture has {} bytes, more than {}", bytes.len(), limits.max_image_bytes));
    }
    let format = image::guess_format(bytes).ok().filter(|format| extension(*format).is_some());
    let format = format.ok_or("the picture is neither PNG nor JPEG nor WebP")?;
    let head = ImageReader::with_format(Cursor::new(bytes), format).into_dimensions();
    let (width, height) = head.map_err(|error| format!("the picture cannot be read: {error}"))?;
    let side = limits.max_image_side;
    if width.max(height) > side {
        return Err(format!("the picture has {width}x{height} pixels; a side may have {side}"));
    }
    if width.min(height) == 0 {
        return Err("the picture has no pixels".into());
    }
    Ok(format)
}

/// The picture of bytes that were checked.
pub(super) fn decode(bytes: &[u8], limits: &DatasetLimits) -> Result<RgbImage, String> {
    let format = check(bytes, limits)?;
    let mut reader = ImageReader::with_format(Cursor::new(bytes), format);
    let side = limits.max_image_side;
    let mut within = Limits::default();
    within.max_image_width = Some(side);
    within.max_image_height = Some(side);
    within.max_alloc = Some(u64::from(side) * u64::from(side) * PIXEL_BYTES);
    reader.limits(within);
    reader.decode().map(|picture| picture.into_rgb8()).map_err(|error| format!("the picture is damaged: {error}"))
}

/// What files of a coding end in; `None` for codings that datasets do not hold.
pub(super) fn extension(format: ImageFormat) -> Option<&'static str> {
    match format {
        ImageFormat::Png => Some("png"),
        ImageFormat::Jpeg => Some("jpg"),
        ImageFormat::WebP => Some("webp"),
        _ => None,
    }
}

/// SHA-256 in lower-case hexadecimal digits.
pub(super) fn digest(bytes: &[u8]) -> String {
    hex(&Sha256::digest(bytes))
}

pub(super) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
