//! Pictures that callers send: known by their first bytes, bounded before anything is decoded.

use std::io::Cursor;

use bytes::Bytes;
use image::{DynamicImage, ImageDecoder, ImageFormat, ImageReader, Limits, RgbImage};

use super::{ApiError, Code};

/// Bytes of a decoded pixel at most: four channels of 16 bits.
const PIXEL: u64 = 8;
/// Transparent places show what is behind the picture: paper.
const PAPER: u8 = u8::MAX;

/// Decodes a PNG, JPEG or WebP picture of at most `max_side` pixels each way.
///
/// Blocks: call it on a thread for that.
pub(super) fn decode(bytes: &Bytes, max_side: u32) -> Result<RgbImage, ApiError> {
    let known = image::guess_format(bytes).ok();
    let format = known.filter(|format| matches!(format, ImageFormat::Png | ImageFormat::Jpeg | ImageFormat::WebP));
    let format = format.ok_or_else(|| ApiError::invalid("image", "it is not a PNG, JPEG or WebP file"))?;
    let unreadable = |error| ApiError::invalid("image", format!("it cannot be read: {error}"));
    let mut reader = ImageReader::with_format(Cursor::new(bytes), format);
    let mut limits = Limits::default();
    limits.max_alloc = Some(u64::from(max_side) * u64::from(max_side) * PIXEL);
    reader.limits(limits);
    let decoder = reader.into_decoder().map_err(unreadable)?;
    let (width, height) = decoder.dimensions();
    if width > max_side || height > max_side {
        let message = format!("the picture is {width}×{height} pixels; {max_side} each way are the most that is taken");
        return Err(ApiError::new(Code::TooLarge, message).at("image"));
    }
    DynamicImage::from_decoder(decoder).map(on_paper).map_err(unreadable)
}

fn on_paper(image: DynamicImage) -> RgbImage {
    if !image.color().has_alpha() {
        return image.into_rgb8();
    }
    let image = image.into_rgba8();
    let over = |pixel: &image::Rgba<u8>| {
        let [channels @ .., alpha] = pixel.0;
        let alpha = u32::from(alpha);
        let full = u32::from(u8::MAX);
        let mix =
            |channel: u8| ((u32::from(channel) * alpha + u32::from(PAPER) * (full - alpha) + full / 2) / full) as u8;
        image::Rgb(channels.map(mix))
    };
    RgbImage::from_fn(image.width(), image.height(), |x, y| over(image.get_pixel(x, y)))
}

#[cfg(test)]
mod tests {
    use image::Rgba;

    use super::*;

    fn file(width: u32, height: u32, format: ImageFormat) -> Bytes {
        let mut bytes = Cursor::new(Vec::new());
        let picture = DynamicImage::ImageRgb8(RgbImage::from_pixel(width, height, image::Rgb([200, 100, 50])));
        picture.write_to(&mut bytes, format).expect("a file");
        bytes.into_inner().into()
    }

    #[test]
    fn three_formats_are_read() {
        for format in [ImageFormat::Png, ImageFormat::Jpeg, ImageFormat::WebP] {
            let picture = decode(&file(8, 6, format), 16).expect("a picture");
            assert_eq!(picture.dimensions(), (8, 6));
        }
    }

    #[test]
    fn sides_are_bounded_before_pixels_are_decoded() {
        let error = decode(&file(17, 4, ImageFormat::Png), 16).expect_err("too wide");
        assert_eq!(error.code(), Code::TooLarge);
    }

    #[test]
    fn what_is_no_picture_says_so() {
        for bytes in [&b""[..], b"GIF89a", b"\x89PNG\r\n\x1a\nrubbish", b"hello"] {
            let error = decode(&Bytes::copy_from_slice(bytes), 16).expect_err("no picture");
            assert_eq!(error.code(), Code::InvalidValue, "{bytes:?}");
        }
    }

    #[test]
    fn transparent_places_are_white() {
        let mut bytes = Cursor::new(Vec::new());
        let picture = DynamicImage::ImageRgba8(image::RgbaImage::from_pixel(2, 2, Rgba([0, 0, 0, 0])));
        picture.write_to(&mut bytes, ImageFormat::Png).expect("a file");
        let decoded = decode(&bytes.into_inner().into(), 16).expect("a picture");
        assert_eq!(decoded.get_pixel(0, 0).0, [PAPER; 3]);
    }
}
