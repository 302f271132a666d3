//! What is written is what is read.

use std::{fs, os::unix::fs::MetadataExt, path::Path};

use plaudit::feedback::dataset::{Card, DatasetLimits, Format, Writer};
use sha2::{Digest, Sha256};

use crate::harness::{FORMATS, as_pushed, faults, full, picture, plain, png, read, skipped, write};

/// More than a row group has.
const MANY: u32 = 1200;

#[test]
fn rows_and_pictures_survive_both_formats_unchanged() {
    let rows: Vec<_> = (0..MANY)
        .map(|number| match number % 3 {
            0 => plain(number),
            1 => full(number),
            _ => skipped(number),
        })
        .collect();
    let folder = tempfile::tempdir().expect("a folder");
    let mut digests = Vec::new();
    for format in FORMATS {
        let place = folder.path().join(format!("{format:?}"));
        let facts = write(&place, format, &rows).expect("it is written");
        assert_eq!((facts.rows, facts.images, facts.to_sequence), (u64::from(MANY), 5, i64::from(MANY)));
        let entries = read(&place).expect("it is read");
        assert_eq!(entries.len(), rows.len());
        for (number, (entry, row)) in (0..).zip(entries.iter().zip(&rows)) {
            assert_eq!(as_pushed(&entry.row), *row);
            assert_eq!(entry.image.as_deref(), Some(&*png(number % 5)));
            let drawn = entry.picture(&DatasetLimits::default()).expect("a picture");
            assert_eq!(drawn, picture(number % 5));
        }
        digests.push(facts.rows_sha256);
    }
    assert_eq!(digests[0], digests[1], "the digest is over rows, whatever the format");
    let lines = fs::read(folder.path().join("JsonLines/data/metadata.jsonl")).expect("rows");
    let digest: String = Sha256::digest(lines).iter().map(|byte| format!("{byte:02x}")).collect();
    assert_eq!(digests[0], digest, "as sha256sum says");
}

#[test]
fn a_dataset_without_rows_is_one() {
    let folder = tempfile::tempdir().expect("a folder");
    for format in FORMATS {
        let place = folder.path().join(format!("{format:?}"));
        write(&place, format, &[]).expect("it is written");
        assert_eq!(faults(&place), [""; 0]);
        assert!(read(&place).expect("it is read").is_empty());
    }
}

#[test]
fn the_card_says_what_it_is_how_many_and_under_which_licence() {
    let folder = tempfile::tempdir().expect("a folder");
    let place = folder.path().join("votes");
    let card = Card { licence: "cc-by-4.0".into(), title: "Stars: \"ours\"".into(), ..Card::default() };
    let mut writer = Writer::create(&place, Format::Parquet, card).expect("it begins");
    writer.push(plain(0), &png(0)).expect("a row");
    writer.finish(3, 9).expect("it ends");
    let text = fs::read_to_string(place.join("README.md")).expect("a card");
    for said in ["license: \"cc-by-4.0\"", "1 votes on 1 pictures", "Events 3 to 9", "| `rating` | string |"] {
        assert!(text.contains(said), "{said}: {text}");
    }
}

#[test]
fn until_the_end_there_is_nothing_and_a_writer_that_is_dropped_leaves_nothing() {
    let folder = tempfile::tempdir().expect("a folder");
    let place = folder.path().join("votes");
    for format in FORMATS {
        let mut writer = Writer::create(&place, format, Card::default()).expect("it begins");
        writer.push(plain(0), &png(0)).expect("a row");
        assert!(!place.exists());
        drop(writer);
        assert_eq!(names(folder.path()), [""; 0]);
    }
}

#[test]
fn what_is_there_is_not_written_over() {
    let folder = tempfile::tempdir().expect("a folder");
    let at = |name: &str| folder.path().join(name);
    fs::create_dir(at("empty")).expect("a folder");
    fs::create_dir(at("full")).expect("a folder");
    fs::write(at("full/mine"), "mine").expect("a file");
    fs::write(at("file"), "mine").expect("a file");
    std::os::unix::fs::symlink(at("empty"), at("link")).expect("a link");
    std::os::unix::fs::symlink(at("nowhere"), at("dangling")).expect("a link");
    for name in ["full", "file", "link", "dangling"] {
        let error = write(&at(name), Format::JsonLines, &[plain(0)]).expect_err(name).to_string();
        assert!(error.contains("is there already"), "{name}: {error}");
    }
    assert_eq!(names(&at("empty")), [""; 0], "nothing went through the link");
    assert_eq!(fs::read_to_string(at("full/mine")).expect("it is there"), "mine");
    write(&at("empty"), Format::JsonLines, &[plain(0)]).expect("an empty directory is a place");
    let late = Writer::create(&at("late"), Format::JsonLines, Card::default()).expect("it begins");
    fs::create_dir(at("late")).expect("a folder");
    fs::write(at("late/mine"), "mine").expect("a file");
    late.finish(0, 0).expect_err("somebody was faster");
    assert_eq!(names(&at("late")), ["mine"]);
}

#[test]
fn pictures_are_files_of_their_own_and_the_directory_is_open_to_readers() {
    let folder = tempfile::tempdir().expect("a folder");
    let place = folder.path().join("votes");
    write(&place, Format::JsonLines, &[plain(0), plain(1)]).expect("it is written");
    let images = place.join("data/images");
    for name in names(&images) {
        assert_eq!(fs::metadata(images.join(&name)).expect("a picture").nlink(), 1, "{name}");
    }
    assert_eq!(fs::metadata(&place).expect("a folder").mode() & 0o777, 0o755);
}

fn names(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).expect("a folder");
    entries.map(|entry| entry.expect("an entry").file_name().to_string_lossy().into_owned()).collect()
}
