//! Pictures to CLIP's `pixel_values`, as transformers' `CLIPImageProcessor` makes them with PIL: resize, centre crop, rescale,
//! normalise, by the numbers of the pack's `clip/preprocessor_config.json`. Colours are RGB already.

use std::{ops::Range, path::Path, sync::Arc};

use image::RgbImage;
use serde_json::Value;

use super::{
    ScoringError,
    resample::{Filter, matrix, resize},
};

/// Red, green, blue.
const COLOURS: usize = 3;
/// Width and height of OpenAI's CLIP.
const USUAL_SIDE: u64 = 224;
/// A side that no CLIP exceeds; what a foreign file asks for is allocated.
const MOST_SIDE: u64 = 2048;
/// Bicubic, in PIL's numbers.
const USUAL_FILTER: u64 = 3;
/// What OpenAI's CLIP subtracts from and divides each channel (0…1) by.
const USUAL_MEAN: [f32; COLOURS] = [0.481_454_66, 0.457_827_5, 0.408_210_73];
const USUAL_DEVIATION: [f32; COLOURS] = [0.268_629_54, 0.261_302_6, 0.275_777_1];

/// What a picture's size becomes before it is cropped.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Size {
    /// It stays.
    Kept,
    /// The shorter side becomes this, the other follows.
    Shorter(usize),
    /// Width and height, whatever they were.
    Exact(usize, usize),
}

/// How pictures are prepared for a CLIP.
#[derive(Debug, Clone, PartialEq)]
pub struct Preprocessor {
    size: Size,
    filter: Filter,
    /// Width and height of what CLIP sees.
    crop: (usize, usize),
    rescale: f32,
    mean: [f32; COLOURS],
    deviation: [f32; COLOURS],
}

/// One picture as CLIP sees it: f32 `[3, height, width]`. Cheap to clone.
#[derive(Debug, Clone, PartialEq)]
pub struct Pixels(Arc<[f32]>);

impl Pixels {
    /// Its numbers, planes of red, green and blue.
    pub fn values(&self) -> &[f32] {
        &self.0
    }
}

impl Preprocessor {
    /// Reads `preprocessor_config.json`. A file that is not there stands for OpenAI's numbers.
    ///
    /// # Errors
    /// A file that cannot be read, or asks for what is not done here.
    pub fn open(path: &Path) -> Result<Self, ScoringError> {
        let fault = |fault: String| ScoringError::Preprocessor { path: path.to_owned(), fault };
        let text = match std::fs::read_to_string(path) {
            Ok(text) => text,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => "{}".to_owned(),
            Err(error) => return Err(fault(error.to_string())),
        };
        let value = serde_json::from_str(&text).map_err(|error| fault(format!("is not JSON: {error}")))?;
        Self::from_json(&value).map_err(fault)
    }

    /// From the file's content; absent keys have transformers' defaults.
    ///
    /// # Errors
    /// What cannot be done, in words.
    pub fn from_json(config: &Value) -> Result<Self, String> {
        let on = |key: &str| config.get(key).and_then(Value::as_bool).unwrap_or(true);
        let number = config.get("resample").filter(|value| !value.is_null());
        let number = number.map_or(Some(USUAL_FILTER), Value::as_u64).and_then(Filter::of_number);
        let filter = number.ok_or("`resample` should be 1 (Lanczos), 2 (bilinear) or 3 (bicubic)")?;
        let size = if on("do_resize") { size(config.get("size"))? } else { Size::Kept };
        let crop = match (on("do_center_crop"), size) {
            (true, _) => pair(config.get("crop_size"), "crop_size")?,
            (false, Size::Exact(width, height)) => (width, height),
            (false, _) => return Err("without `do_center_crop`, `size` should have a height and a width".to_owned()),
        };
        let rescale = config.get("rescale_factor").and_then(Value::as_f64).unwrap_or(1.0 / 255.0);
        let (mean, deviation) = match on("do_normalize") {
            true => (
                colours(config.get("image_mean"), USUAL_MEAN, "image_mean")?,
                colours(config.get("image_std"), USUAL_DEVIATION, "image_std")?,
            ),
            false => ([0.0; COLOURS], [1.0; COLOURS]),
        };
        if deviation.contains(&0.0) {
            return Err("`image_std` has a zero".to_owned());
        }
        let rescale = if on("do_rescale") { rescale as f32 } else { 1.0 };
        Ok(Self { size, filter, crop, rescale, mean, deviation })
    }

    /// Width and height of what CLIP sees.
    pub fn crop(&self) -> (usize, usize) {
        self.crop
    }

    /// What each channel of 0…1 is reduced by, and then divided by.
    pub fn normalisation(&self) -> ([f32; COLOURS], [f32; COLOURS]) {
        (self.mean, self.deviation)
    }

    /// What resizing and cropping make of a picture of `width` × `height` pixels, without the rounding to bytes: matrices R `[crop height, height]` and C
    /// `[crop width, width]` with R · plane · Cᵀ for each colour. `None` where the crop reaches beyond the picture.
    pub fn resizing(&self, width: usize, height: usize) -> Option<(Vec<f32>, Vec<f32>)> {
        let resized = self.resized((width, height));
        let (columns, rows) = (Kept::of(resized.0, self.crop.0), Kept::of(resized.1, self.crop.1));
        let whole = columns.from.len() == self.crop.0 && rows.from.len() == self.crop.1;
        whole.then(|| {
            let rows = matrix(self.filter, height, resized.1, rows.from);
            (rows, matrix(self.filter, width, resized.0, columns.from))
        })
    }

    /// Prepares a picture.
    pub fn prepare(&self, image: &RgbImage) -> Pixels {
        let resized = self.resized((image.width() as usize, image.height() as usize));
        let (columns, rows) = (Kept::of(resized.0, self.crop.0), Kept::of(resized.1, self.crop.1));
        let kept = (columns.from.clone(), rows.from.clone());
        let bytes = match resized.0 == 0 || resized.1 == 0 {
            true => Vec::new(),
            false => resize(image, self.filter, resized, kept),
        };
        let (width, height) = self.crop;
        let mut planes = vec![0.0; COLOURS * width * height];
        for (colour, plane) in planes.chunks_exact_mut((width * height).max(1)).enumerate() {
            let value = |byte: u8| (f32::from(byte) * self.rescale - self.mean[colour]) / self.deviation[colour];
            // What a crop adds around a small picture is black.
            plane.fill(value(0));
            for (y, row) in bytes.chunks_exact((columns.from.len() * COLOURS).max(1)).enumerate() {
                let start = (rows.to + y) * width + columns.to;
                let places = plane[start..].iter_mut().zip(row.chunks_exact(COLOURS));
                places.for_each(|(place, pixel)| *place = value(pixel[colour]));
            }
        }
        Pixels(planes.into())
    }

    /// Width and height before the crop.
    fn resized(&self, (width, height): (usize, usize)) -> (usize, usize) {
        match self.size {
            Size::Kept => (width, height),
            Size::Exact(width, height) => (width, height),
            Size::Shorter(side) => {
                let shorter = width.min(height).max(1);
                (side * width / shorter, side * height / shorter)
            }
        }
    }
}

/// What a centre crop keeps of an axis, and where that goes.
struct Kept {
    from: Range<usize>,
    to: usize,
}

impl Kept {
    /// An axis of `length` cropped to `crop`; a shorter one is put in the middle, with the odd pixel before it.
    fn of(length: usize, crop: usize) -> Self {
        match length >= crop {
            true => Self { from: (length - crop) / 2..(length - crop) / 2 + crop, to: 0 },
            // transformers pads by ⌈(crop − length) / 2⌉ and crops from ⌊(length − crop) / 2⌋ of it, which is 0.
            false => Self { from: 0..length, to: (crop - length).div_ceil(2) },
        }
    }
}

fn size(value: Option<&Value>) -> Result<Size, String> {
    let shorter = |side: u64| side_within(side, "size").map(Size::Shorter);
    match value.filter(|value| !value.is_null()) {
        None => shorter(USUAL_SIDE),
        Some(Value::Number(number)) => shorter(number.as_u64().unwrap_or(0)),
        Some(value) => match value.get("shortest_edge").and_then(Value::as_u64) {
            Some(_) if value.get("longest_edge").is_some_and(|edge| !edge.is_null()) => {
                Err("`size` bounds the longest edge too, which is not done here".to_owned())
            }
            Some(side) => shorter(side),
            None => pair(Some(value), "size").map(|(width, height)| Size::Exact(width, height)),
        },
    }
}

/// Width and height of `{height, width}` or of one number.
fn pair(value: Option<&Value>, key: &str) -> Result<(usize, usize), String> {
    let value = match value.filter(|value| !value.is_null()) {
        None => return Ok((USUAL_SIDE as usize, USUAL_SIDE as usize)),
        Some(value) => value,
    };
    let side = |name: &str| value.as_u64().or_else(|| value.get(name)?.as_u64()).unwrap_or(0);
    Ok((side_within(side("width"), key)?, side_within(side("height"), key)?))
}

fn side_within(side: u64, key: &str) -> Result<usize, String> {
    let within = (1..=MOST_SIDE).contains(&side);
    within.then_some(side as usize).ok_or_else(|| format!("`{key}` should have sides from 1 to {MOST_SIDE}"))
}

fn colours(value: Option<&Value>, usual: [f32; COLOURS], key: &str) -> Result<[f32; COLOURS], String> {
    let Some(value) = value.filter(|value| !value.is_null()) else { return Ok(usual) };
    serde_json::from_value(value.clone()).map_err(|_| format!("`{key}` should be three numbers"))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn resizing_is_what_preparing_does_before_it_rounds() {
        let config =
            json!({"size": {"shortest_edge": 20}, "crop_size": 16, "image_mean": [0, 0, 0], "image_std": [1, 1, 1]});
        let preprocessor = Preprocessor::from_json(&config).unwrap();
        let picture = RgbImage::from_fn(48, 40, |x, y| image::Rgb([(5 * x) as u8, (6 * y) as u8, (x * y % 251) as u8]));
        let prepared = preprocessor.prepare(&picture);
        let (rows, columns) = preprocessor.resizing(48, 40).unwrap();
        for (place, &found) in prepared.values().iter().enumerate() {
            let (colour, y, x) = (place / 256, place / 16 % 16, place % 16);
            let pixel = |j: usize, i: usize| f32::from(picture.get_pixel(i as u32, j as u32)[colour]) / 255.0;
            let value: f32 = (0..40)
                .flat_map(|j| (0..48).map(move |i| (j, i)))
                .map(|(j, i)| rows[y * 40 + j] * columns[x * 48 + i] * pixel(j, i))
                .sum();
            assert!((value.clamp(0.0, 1.0) - found).abs() < 2.0 / 255.0, "{value} and {found} at {place}");
        }
        assert_eq!(preprocessor.resizing(10, 10).map(|(rows, _)| rows.len()), Some(160));
        let padded = Preprocessor::from_json(&json!({"size": {"shortest_edge": 8}, "crop_size": 16})).unwrap();
        assert_eq!(padded.resizing(10, 10), None);
    }

    #[test]
    fn what_is_not_done_here_is_refused_by_name() {
        let cases = [
            (json!({"resample": 5}), "resample"),
            (json!({"size": {"shortest_edge": 224, "longest_edge": 448}}), "longest edge"),
            (json!({"size": {"shortest_edge": 0}}), "size"),
            (json!({"crop_size": 1_000_000}), "crop_size"),
            (json!({"do_center_crop": false}), "do_center_crop"),
            (json!({"image_mean": [0.5]}), "image_mean"),
            (json!({"image_std": [1.0, 0.0, 1.0]}), "image_std"),
        ];
        for (config, word) in cases {
            let fault = Preprocessor::from_json(&config).expect_err("refused");
            assert!(fault.contains(word), "{config}: {fault}");
        }
    }

    #[test]
    fn a_strip_costs_no_more_than_its_middle() {
        let strip = RgbImage::from_pixel(4096, 1, image::Rgb([10, 20, 30]));
        let usual = Preprocessor::from_json(&json!({})).expect("the defaults");
        assert_eq!(usual.prepare(&strip).values().len(), COLOURS * 224 * 224);
    }
}
