//! Other programs: what Hugging Face's `datasets` reads of ours, and what of theirs is read here.
//!
//! `hf_dataset.parquet` was written by `datasets` itself (`tests/golden/scripts/hf_dataset.py`).

use std::{path::Path, process::Command};

use plaudit::feedback::dataset::{Rating, Row};
use serde_json::Value;

use crate::{
    common::golden,
    harness::{FORMATS, full, picture, plain, read, skipped, write},
};

#[test]
fn a_file_that_datasets_wrote_is_read() {
    let entries = read(&golden("hf_dataset.parquet")).expect("it is read");
    assert_eq!(entries.len(), 3);
    let first = &entries[0];
    let expected = Row {
        image_id: "img_0".into(),
        rater: "ann".into(),
        rating: Some(Rating::Up),
        prompt: "two blue stars".into(),
        model_version: "sd15@0123456789ab".into(),
        seed: u32::MAX,
        created: 1_790_000_000,
        sequence: 1,
        weight: Some(0.5),
        ..Row::default()
    };
    assert_eq!(first.row, expected);
    let shown = first.picture(&Default::default()).expect("a picture");
    assert_eq!(shown.dimensions(), (5, 4));
    assert_eq!(shown.get_pixel(1, 2).0, [10, 20, 0]);
}

/// Rows and pictures as `datasets.load_dataset` has them.
fn through_datasets(python: &str, place: &Path) -> Vec<Value> {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/clients/read_dataset.py");
    let cache = tempfile::tempdir().expect("a folder");
    let output = Command::new(python)
        .arg(script)
        .arg(place)
        .env("HF_HOME", cache.path())
        .env("HF_HUB_OFFLINE", "1")
        .output()
        .expect("PLAUDIT_DATASETS_PYTHON runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8(output.stdout).expect("UTF-8");
    text.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect()
}

#[test]
#[ignore = "needs a Python with datasets and pillow, named by PLAUDIT_DATASETS_PYTHON"]
fn datasets_reads_every_row_and_picture_of_both_formats() {
    let python = std::env::var("PLAUDIT_DATASETS_PYTHON").expect("PLAUDIT_DATASETS_PYTHON names a Python");
    let folder = tempfile::tempdir().expect("a folder");
    let mixed: Vec<_> = (0..30).map(|number| [plain, full, skipped][number as usize % 3](number)).collect();
    let bare: Vec<_> = (0..30).map(plain).collect();
    for (name, rows) in [("mixed", mixed), ("bare", bare)] {
        for format in FORMATS {
            let place = folder.path().join(format!("{name} {format:?}"));
            write(&place, format, &rows).expect("it is written");
            let theirs = through_datasets(&python, &place);
            let ours = read(&place).expect("it is read");
            assert_eq!(theirs.len(), ours.len(), "{name} {format:?}");
            for (number, (theirs, ours)) in (0..).zip(theirs.iter().zip(&ours)) {
                // `datasets` gives the picture in the place of its name.
                let row = Row { file_name: None, ..ours.row.clone() };
                assert_eq!(theirs["row"], serde_json::to_value(row).expect("a row"), "{name} {format:?} {number}");
                let pixels: Vec<u8> = serde_json::from_value(theirs["pixels"].clone()).expect("bytes");
                assert_eq!(pixels, picture(number % 5).into_raw());
            }
        }
    }
}
