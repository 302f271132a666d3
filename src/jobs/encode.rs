//! Pictures to bytes, away from the threads that serve.

use bytes::Bytes;
use image::{ExtendedColorType, RgbImage, codecs::jpeg::JpegEncoder, codecs::webp::WebPEncoder};

use super::ImageFormat;
use crate::pipeline::{
    Picture, Request,
    encode::{Provenance, png, png_with_text},
    schedule::SchedulerKind,
};

/// Beyond it files grow and nobody sees why.
const JPEG_QUALITY: u8 = 95;

/// What a picture's file tells about how it was made.
#[derive(Debug, Clone)]
pub(super) struct Origin {
    pub(super) request: std::sync::Arc<Request>,
    pub(super) scheduler: SchedulerKind,
    pub(super) version: String,
}

/// A finished picture, coded; a PNG tells how it was made.
pub(super) async fn picture(format: ImageFormat, seed: u32, pixels: RgbImage, origin: Origin) -> anyhow::Result<Bytes> {
    let code = move || match format {
        ImageFormat::Png => {
            let Origin { request, scheduler, version } = &origin;
            let provenance = Provenance { request, scheduler: *scheduler, version };
            Ok(png(&Picture { seed, latent: Vec::new(), pixels }, &provenance)?)
        }
        _ => plain(format, &pixels),
    };
    Ok(tokio::task::spawn_blocking(code).await??.into())
}

/// A picture on its way, coded.
pub(super) async fn preview(format: ImageFormat, pixels: RgbImage) -> anyhow::Result<Bytes> {
    Ok(tokio::task::spawn_blocking(move || plain(format, &pixels)).await??.into())
}

/// A picture without loss and without texts: what a kept job starts from.
pub(super) async fn start(pixels: std::sync::Arc<RgbImage>) -> anyhow::Result<Bytes> {
    Ok(tokio::task::spawn_blocking(move || plain(ImageFormat::Png, &pixels)).await??.into())
}

fn plain(format: ImageFormat, pixels: &RgbImage) -> anyhow::Result<Vec<u8>> {
    let (mut bytes, (width, height)) = (Vec::new(), pixels.dimensions());
    match format {
        ImageFormat::Png => bytes = png_with_text(pixels, &[])?,
        ImageFormat::Webp => {
            WebPEncoder::new_lossless(&mut bytes).encode(pixels, width, height, ExtendedColorType::Rgb8)?;
        }
        ImageFormat::Jpeg => JpegEncoder::new_with_quality(&mut bytes, JPEG_QUALITY).encode_image(pixels)?,
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn gradient() -> RgbImage {
        RgbImage::from_fn(32, 24, |x, y| image::Rgb([x as u8 * 8, y as u8 * 10, 128]))
    }

    #[tokio::test]
    async fn every_format_is_what_its_name_says_and_keeps_the_picture() {
        use image::ImageFormat as Known;
        /// A smooth gradient at quality 95 changes by a few grey levels.
        const JPEG_TOLERANCE: u8 = 12;
        let cases = [
            (ImageFormat::Png, Known::Png, 0),
            (ImageFormat::Webp, Known::WebP, 0),
            (ImageFormat::Jpeg, Known::Jpeg, JPEG_TOLERANCE),
        ];
        let origin =
            Origin { request: Request::default().into(), scheduler: SchedulerKind::Euler, version: "a@0".into() };
        for (format, known, tolerance) in cases {
            for bytes in [preview(format, gradient()).await, picture(format, 1, gradient(), origin.clone()).await] {
                let bytes = bytes.unwrap_or_else(|error| panic!("{format:?}: {error}"));
                assert_eq!(image::guess_format(&bytes).expect("an image"), known);
                let read = image::load_from_memory(&bytes).expect("an image").to_rgb8();
                let worst = read.iter().zip(gradient().iter()).map(|(a, b)| a.abs_diff(*b)).max();
                assert!(read.dimensions() == (32, 24) && worst <= Some(tolerance), "{format:?}: {worst:?}");
            }
        }
    }
}
