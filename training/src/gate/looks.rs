//! What a picture looks like whatever it shows: what a reward must not be deceived by.

use image::{Rgb, RgbImage};

/// Chroma from which on a pixel is saturated, 0 to 1: a colour with little grey in it.
const SATURATED: f64 = 0.75;
/// Luma below which a pixel is dark.
const DARK: f64 = 0.2;
/// Difference in luma to the next pixel, to the right or below, that is an edge.
const EDGE: f64 = 0.1;
/// ITU-R BT.601's weights of red, green and blue.
const LUMA: [f64; 3] = [0.299, 0.587, 0.114];

/// Figures of a picture, each from 0 to 1.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Looks {
    /// Mean chroma: largest less smallest channel.
    pub saturation: f64,
    /// Share of saturated pixels.
    pub saturated: f64,
    /// Share of dark pixels.
    pub dark: f64,
    /// Share of pixels at an edge.
    pub edges: f64,
    /// Mean luma.
    pub brightness: f64,
}

impl Looks {
    /// The figures of a picture.
    pub fn of(picture: &RgbImage) -> Self {
        let area = f64::from(picture.width()) * f64::from(picture.height());
        let mut looks = Self::default();
        for (x, y, pixel) in picture.enumerate_pixels() {
            let (chroma, light) = (chroma(pixel), luma(pixel));
            let step =
                |x: u32, y: u32| picture.get_pixel_checked(x, y).is_some_and(|next| (luma(next) - light).abs() > EDGE);
            looks.saturation += chroma;
            looks.brightness += light;
            looks.saturated += f64::from(u8::from(chroma >= SATURATED));
            looks.dark += f64::from(u8::from(light < DARK));
            looks.edges += f64::from(u8::from(step(x + 1, y) || step(x, y + 1)));
        }
        let share = |sum: f64| sum / area.max(1.0);
        Self {
            saturation: share(looks.saturation),
            saturated: share(looks.saturated),
            dark: share(looks.dark),
            edges: share(looks.edges),
            brightness: share(looks.brightness),
        }
    }
}

/// The picture with every channel multiplied by `factor`, 0 to 1.
pub(super) fn darkened(picture: &RgbImage, factor: f32) -> RgbImage {
    let mut copy = picture.clone();
    copy.iter_mut().for_each(|byte| *byte = (f32::from(*byte) * factor).round() as u8);
    copy
}

fn unit(pixel: &Rgb<u8>) -> [f64; 3] {
    pixel.0.map(|byte| f64::from(byte) / f64::from(u8::MAX))
}

fn chroma(pixel: &Rgb<u8>) -> f64 {
    let [r, g, b] = unit(pixel);
    r.max(g).max(b) - r.min(g).min(b)
}

fn luma(pixel: &Rgb<u8>) -> f64 {
    unit(pixel).iter().zip(LUMA).map(|(value, weight)| value * weight).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn looks_are_those_counted_by_hand() {
        let mut picture = RgbImage::from_pixel(4, 1, Rgb([0; 3]));
        picture.put_pixel(2, 0, Rgb([255, 0, 0]));
        picture.put_pixel(3, 0, Rgb([255; 3]));
        let looks = Looks::of(&picture);
        // Black, black, red (luma 0.299), white: edges between the last three.
        assert_eq!((looks.saturation, looks.saturated, looks.dark, looks.edges), (0.25, 0.25, 0.5, 0.5));
        assert!((looks.brightness - 1.299 / 4.0).abs() < 1e-9, "{looks:?}");
        let half = Looks::of(&darkened(&picture, 0.5));
        assert!((half.brightness - looks.brightness / 2.0).abs() < 0.01 && half.saturated == 0.0, "{half:?}");
    }
}
