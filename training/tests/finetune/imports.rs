//! `data import`: captioned pictures in every form, and what is refused.

use std::{
    fs,
    path::{Path, PathBuf},
};

use image::{Rgb, RgbImage};
use plaudit::feedback::dataset::{Captioned, DatasetLimits, Format};
use plaudit_training::finetune::{FinetuneError, Import, Imported, import};

use crate::harness::{bundled, captioned, dataset, png};

fn settings(source: PathBuf, out: &Path) -> Import {
    Import {
        source,
        pack: bundled(),
        out: out.to_owned(),
        no_small: false,
        most: None,
        skip_faulty: false,
        show: false,
    }
}

fn captions(folder: &Path) -> Vec<String> {
    let pairs = Captioned::open(folder, &DatasetLimits::default()).expect("a set");
    pairs.map(|pair| pair.expect("a picture").caption).collect()
}

#[test]
fn every_form_becomes_the_same_set() {
    let folder = tempfile::tempdir().unwrap();
    let beside = captioned(folder.path(), 3, |_| {});
    let expected = captions(&beside);
    let listed = folder.path().join("listed");
    fs::create_dir_all(listed.join("pictures")).unwrap();
    let line = |(number, caption): (usize, &String)| {
        fs::copy(beside.join(format!("{number:02}.png")), listed.join(format!("pictures/{number}.png"))).unwrap();
        serde_json::json!({"file_name": format!("pictures/{number}.png"), "text": caption}).to_string() + "\n"
    };
    let lines: String = expected.iter().enumerate().map(line).collect();
    fs::write(listed.join("metadata.jsonl"), lines).unwrap();

    let made = |source: &Path, out: &str| {
        let out = folder.path().join(out);
        (import(&settings(source.to_owned(), &out)).expect("a set"), out)
    };
    let (one, out) = made(&beside, "one");
    let (other, _) = made(&listed, "other");
    assert_eq!((one.pictures, one.side, captions(&out)), (3, 64, expected));
    assert_eq!(one.metadata_sha256, other.metadata_sha256, "the same pictures and captions");
    let (again, _) = made(&out, "again");
    assert_eq!(again.metadata_sha256, one.metadata_sha256, "a set imports as itself");

    // Votes in Parquet have Hugging Face's layout, with `prompt` for a caption.
    let votes = dataset(folder.path(), 4, Format::Parquet);
    let (parquet, out) = made(&votes, "parquet");
    assert_eq!((parquet.pictures, captions(&out).len()), (8, 8));
    let taken = import(&settings(beside, &out)).expect_err("a place that is taken");
    assert!(matches!(taken, FinetuneError::There { .. }), "{taken}");
}

#[test]
fn pictures_are_cut_and_small_repeated_and_faulty_ones_counted() {
    let folder = tempfile::tempdir().unwrap();
    let source = folder.path().join("source");
    fs::create_dir_all(&source).unwrap();
    let wide = RgbImage::from_fn(200, 100, |x, _| if (50..150).contains(&x) { Rgb([255; 3]) } else { Rgb([0; 3]) });
    for (name, bytes) in
        [("a", png(&wide)), ("b", png(&wide)), ("c", png(&RgbImage::new(8, 8))), ("d", b"no picture".to_vec())]
    {
        fs::write(source.join(format!("{name}.png")), bytes).unwrap();
        fs::write(source.join(format!("{name}.txt")), "a white wall").unwrap();
    }
    let out = folder.path().join("out");
    let strict = settings(source, &out);
    let error = import(&strict).expect_err("no picture").to_string();
    assert!(error.contains("d.png"), "{error}");
    assert!(!out.exists(), "whole or not at all");
    let Imported { pictures, repeated, small, faulty, faults, .. } =
        import(&Import { no_small: true, skip_faulty: true, ..strict }).expect("a set");
    assert_eq!((pictures, repeated, small, faulty), (1, 1, 1, 1));
    assert!(faults[0].contains("d.png"), "{faults:?}");
    let pair = Captioned::open(&out, &DatasetLimits::default()).unwrap().next().unwrap().unwrap();
    let picture = pair.picture(&DatasetLimits::default()).unwrap();
    assert_eq!(picture.dimensions(), (64, 64));
    assert!(picture.pixels().all(|pixel| *pixel == Rgb([255; 3])), "the middle square");
}
