//! What is damaged is refused by file and line, and never read as something else.

use std::{fs, path::PathBuf};

use image::ImageFormat;
use plaudit::feedback::dataset::{Card, Format, Row, Writer};
use tempfile::TempDir;

use crate::{
    common::all_hold,
    harness::{FORMATS, as_pushed, coded, faults, full, plain, png, read, write},
};

const ROWS: u32 = 20;

fn written(format: Format) -> (TempDir, PathBuf, Vec<Row>) {
    let folder = tempfile::tempdir().expect("a folder");
    let place = folder.path().join("set");
    let rows: Vec<_> = (0..ROWS).map(full).collect();
    write(&place, format, &rows).expect("it is written");
    (folder, place, rows)
}

#[test]
fn lines_that_are_wrong_are_told_one_by_one() {
    let (_folder, place, _) = written(Format::JsonLines);
    let path = place.join("data/metadata.jsonl");
    let text = fs::read_to_string(&path).expect("rows");
    let lines: Vec<_> = text.lines().collect();
    type Change = fn(&str) -> String;
    let cases: [(usize, Change, &str); 8] = [
        (2, |line| line[..line.len() / 2].to_owned(), "EOF"),
        (4, |line| line.replace("\"image_id\"", "\"image\""), "missing field `image_id`"),
        (5, |line| line.replace("\"up\"", "\"great\"").replace("\"down\"", "\"great\""), "great"),
        (7, |line| line.replace("\"skipped\":false", "\"skipped\":true"), "the row is skipped"),
        (8, |line| line.replace("\"seed\":", "\"seed\":-"), "seed"),
        (11, |line| line.replace("\"propensity\":0.", "\"propensity\":7."), "propensity is not between 0 and 1"),
        (12, |line| line.replace("\"image_sha256\":\"", "\"image_sha256\":\"0"), "another one"),
        (20, |_| "[]".to_owned(), ""),
    ];
    let mut changed: Vec<String> = lines.iter().map(|line| (*line).to_owned()).collect();
    for (line, change, _) in cases {
        changed[line - 1] = change(lines[line - 1]);
    }
    fs::write(&path, changed.join("\n")).expect("rows");
    let told = faults(&place);
    let holds = |((line, _, said), told): (&(usize, Change, &str), &String)| {
        let place = format!("metadata.jsonl, line {line}: ");
        (!told.contains(&place) || !told.contains(said)).then(|| format!("{place}{said}: {told}"))
    };
    all_hold(cases.iter().zip(&told).filter_map(holds).collect());
    assert_eq!(told.len(), cases.len(), "{told:?}");
}

#[test]
fn a_dataset_cut_short_is_refused_at_whatever_byte() {
    for format in FORMATS {
        let (_folder, place, rows) = written(format);
        let path = match format {
            Format::JsonLines => place.join("data/metadata.jsonl"),
            Format::Parquet => place.join("data/train-00000.parquet"),
        };
        let whole = fs::read(&path).expect("rows");
        let step = whole.len() / 97;
        for length in (0..whole.len() - 1).step_by(step) {
            fs::write(&path, &whole[..length]).expect("rows");
            assert!(!faults(&place).is_empty(), "{format:?} cut at {length} of {}", whole.len());
        }
        fs::write(&path, &whole).expect("rows");
        assert_eq!(read(&place).expect("it is whole").len(), rows.len());
    }
}

#[test]
fn a_flipped_byte_of_parquet_is_told_or_changes_nothing() {
    let (_folder, place, rows) = written(Format::Parquet);
    let path = place.join("data/train-00000.parquet");
    let whole = fs::read(&path).expect("rows");
    let (mut told, mut unchanged) = (0, 0);
    for at in (0..whole.len()).step_by(13) {
        let mut damaged = whole.clone();
        damaged[at] ^= 0x55;
        fs::write(&path, damaged).expect("rows");
        match read(&place) {
            Err(_) => told += 1,
            Ok(entries) => {
                let same = entries.iter().zip(&rows).all(|(entry, row)| as_pushed(&entry.row) == *row);
                assert!(same && entries.len() == rows.len(), "byte {at} changed a row and nobody said so");
                unchanged += 1;
            }
        }
    }
    assert!(told > unchanged, "{told} told, {unchanged} without effect");
}

#[test]
fn pictures_that_are_none_are_refused() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut damaged = png(0);
    damaged.truncate(20);
    let cases: [(&str, Vec<u8>); 5] = [
        ("neither PNG nor JPEG nor WebP", b"<svg/>".to_vec()),
        ("neither PNG nor JPEG nor WebP", Vec::new()),
        ("neither PNG nor JPEG nor WebP", b"GIF89a\x01\x00\x01\x00\x00\x00\x00;".to_vec()),
        ("cannot be read", damaged),
        ("a side may have", huge()),
    ];
    for (said, bytes) in cases {
        let mut writer = Writer::create(&folder.path().join("out"), Format::JsonLines, Card::default()).expect("begun");
        let error = writer.push(plain(0), &bytes).expect_err(said).to_string();
        assert!(error.contains(said), "{said}: {error}");
        let place = folder.path().join(format!("in {}", bytes.len()));
        write(&place, Format::JsonLines, &[plain(0)]).expect("it is written");
        let images = fs::read_dir(place.join("data/images")).expect("pictures");
        for image in images {
            fs::write(image.expect("an entry").path(), &bytes).expect("a picture");
        }
        assert!(faults(&place)[0].contains(said), "{said}: {:?}", faults(&place));
        fs::remove_dir_all(place).expect("it goes");
    }
    for format in [ImageFormat::Png, ImageFormat::Jpeg, ImageFormat::WebP] {
        let place = folder.path().join(format!("{format:?}"));
        let mut writer = Writer::create(&place, Format::JsonLines, Card::default()).expect("it begins");
        writer.push(plain(0), &coded(0, format)).expect("a picture");
        writer.finish(0, 0).expect("it ends");
        assert_eq!(read(&place).expect("it is read").len(), 1);
    }
}

/// The head of a PNG of 60,000 by 60,000 pixels: nobody may set out to decode it.
fn huge() -> Vec<u8> {
    /// Where width and height of a PNG begin, and its head's checksum.
    const WIDTH: usize = 16;
    const CHECKSUM: usize = 29;
    let mut bytes = png(0);
    let side = 60_000_u32.to_be_bytes();
    bytes[WIDTH..WIDTH + 8].copy_from_slice(&[side, side].concat());
    let checksum = crc(&bytes[12..CHECKSUM]);
    bytes[CHECKSUM..CHECKSUM + 4].copy_from_slice(&checksum.to_be_bytes());
    bytes
}

/// CRC-32 of PNG's annex D.
fn crc(bytes: &[u8]) -> u32 {
    let step = |crc: u32| if crc & 1 == 1 { 0xedb8_8320 ^ (crc >> 1) } else { crc >> 1 };
    !bytes.iter().fold(!0_u32, |crc, byte| (0..8).fold(crc ^ u32::from(*byte), |crc, _| step(crc)))
}

#[test]
fn directories_that_are_no_datasets_say_so() {
    let folder = tempfile::tempdir().expect("a folder");
    assert!(faults(folder.path())[0].contains("is no dataset"));
    assert!(faults(&folder.path().join("none"))[0].contains("is no dataset"));
    fs::write(folder.path().join("a.jsonl"), "").expect("a file");
    fs::write(folder.path().join("a.parquet"), "").expect("a file");
    assert!(faults(folder.path())[0].contains("both"));
    assert!(faults(&folder.path().join("a.parquet"))[0].contains("no Parquet file"));
    let place = folder.path().join("set");
    write(&place, Format::JsonLines, &[plain(0)]).expect("it is written");
    fs::write(place.join("export.json"), "{").expect("a file");
    assert!(faults(&place)[0].contains("export.json"));
}
