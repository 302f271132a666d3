//! Rows and pictures to write, and what reading gives back.

use std::{io::Cursor, path::Path};

use image::{ImageFormat, Rgb, RgbImage};
use plaudit::feedback::dataset::{
    Card, DatasetError, DatasetLimits, Entry, ExportFacts, Format, Rating, Reader, Row, Writer,
};

pub(crate) const FORMATS: [Format; 2] = [Format::JsonLines, Format::Parquet];

/// A picture of 8 by 6 pixels, another for each number.
pub(crate) fn picture(number: u32) -> RgbImage {
    RgbImage::from_fn(8, 6, |x, y| Rgb([x as u8 * 30, y as u8 * 40, (number % 256) as u8]))
}

pub(crate) fn coded(number: u32, format: ImageFormat) -> Vec<u8> {
    let mut bytes = Cursor::new(Vec::new());
    picture(number).write_to(&mut bytes, format).expect("a picture is coded");
    bytes.into_inner()
}

pub(crate) fn png(number: u32) -> Vec<u8> {
    coded(number, ImageFormat::Png)
}

/// A row with what every row has.
pub(crate) fn plain(number: u32) -> Row {
    Row {
        image_id: format!("img_{number}"),
        rater: format!("rater {}", number % 3),
        rating: Some(if number.is_multiple_of(2) { Rating::Up } else { Rating::Down }),
        prompt: format!("{number} blue stars, \"quoted\"\nü 🌟"),
        model_version: "miniature@0123456789ab".into(),
        reward_version: None,
        seed: u32::MAX - number,
        created: 1_790_000_000 + i64::from(number),
        sequence: i64::from(number) + 1,
        ..Row::default()
    }
}

/// A row with everything.
pub(crate) fn full(number: u32) -> Row {
    Row {
        reward_version: Some("reward@ba9876543210".into()),
        feedback_id: Some(format!("fb_{number}")),
        negative_prompt: Some(String::new()),
        split: Some("train".into()),
        category: Some("count".into()),
        truth: Some(true),
        skipped: Some(false),
        quarantined: Some(false),
        weight: Some(0.1 + 0.2),
        reward: Some(1.0),
        rank: Some(u32::MAX),
        propensity: Some(1.0 / 3.0),
        position: Some(0),
        surface: Some("page".into()),
        dwell_ms: Some(1 << 40),
        reward_visible: Some(true),
        reasons: vec!["count".into(), "colour, \"both\"".into()],
        origin: Some("elsewhere".into()),
        ..plain(number)
    }
}

/// A row of a rater who passed over the picture.
pub(crate) fn skipped(number: u32) -> Row {
    Row { rating: None, skipped: Some(true), ..plain(number) }
}

/// Writes rows with the pictures of their numbers; two rows share one where numbers are equal modulo 5.
pub(crate) fn write(place: &Path, format: Format, rows: &[Row]) -> Result<ExportFacts, DatasetError> {
    let mut writer = Writer::create(place, format, Card::default())?;
    for (number, row) in (0..).zip(rows) {
        writer.push(row.clone(), &png(number % 5))?;
    }
    writer.finish(1, rows.len() as i64)
}

pub(crate) fn read(place: &Path) -> Result<Vec<Entry>, DatasetError> {
    Reader::open(place, &DatasetLimits::default())?.entries().collect()
}

/// All that is wrong with a dataset.
pub(crate) fn faults(place: &Path) -> Vec<String> {
    match Reader::open(place, &DatasetLimits::default()) {
        Err(error) => vec![error.to_string()],
        Ok(reader) => reader.entries().filter_map(Result::err).map(|error| error.to_string()).collect(),
    }
}

/// A row without what the writer sets.
pub(crate) fn as_pushed(row: &Row) -> Row {
    Row { file_name: None, image_sha256: None, ..row.clone() }
}
