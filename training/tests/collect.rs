//! Collecting votes with the committed pack: from prompts to a dataset, in one go and in two.

use std::{
    fs,
    path::{Path, PathBuf},
};

use plaudit::feedback::dataset::{DatasetLimits, Format, Rating, Reader, Row};
use plaudit_training::{
    collect::{CollectError, Collection, Prompts, Voters, collect},
    miniature::rate::RaterSettings,
};

fn collection(out: &Path, prompts: usize) -> Collection {
    Collection {
        pack: Path::new(env!("CARGO_MANIFEST_DIR")).join("../onnx/packs/miniature"),
        out: out.to_owned(),
        prompts: Prompts::Grammar { amount: prompts, held_out: 0.5 },
        images: 2,
        voters: Voters::Simulated {
            raters: 8,
            votes: 2,
            settings: RaterSettings { error_rate: 0.1, skip_rate: 0.05, leniency: 0.0 },
        },
        format: Format::JsonLines,
        seed: 3,
        threads: 1,
    }
}

/// The dataset's rows, without the time of the votes.
fn rows(out: &Path) -> Vec<Row> {
    let reader = Reader::open(&out.join("dataset"), &DatasetLimits::default()).expect("a dataset");
    reader.entries().map(|entry| Row { created: 0, ..entry.expect("a row").row }).collect()
}

fn csv(folder: &Path, text: &str) -> PathBuf {
    let path = folder.join("votes.csv");
    fs::write(&path, text).expect("a file");
    path
}

#[test]
fn a_collection_that_was_stopped_is_the_one_that_was_not() {
    let folder = tempfile::tempdir().unwrap();
    let (whole, parts) = (folder.path().join("whole"), folder.path().join("parts"));
    collect(&collection(&whole, 3)).unwrap();
    collect(&collection(&parts, 1)).unwrap();
    // What a kill leaves: a picture of a prompt that was not finished, and half a line.
    let path = parts.join("drawn.jsonl");
    let torn = fs::read_to_string(&path).unwrap() + "{\"image_id\":\"";
    fs::write(&path, torn).unwrap();
    collect(&collection(&parts, 3)).unwrap();
    let drawn = |out: &Path| fs::read_to_string(out.join("drawn.jsonl")).unwrap();
    assert_eq!(drawn(&whole), drawn(&parts));
    assert_eq!(rows(&whole), rows(&parts));
    assert_eq!(rows(&whole).len(), 12, "three prompts of two pictures, two votes each");

    let other = Collection { images: 3, ..collection(&parts, 3) };
    let error = collect(&other).expect_err("another collection").to_string();
    assert!(error.contains("images 2, not 3"), "{error}");
}

#[test]
fn peoples_votes_are_joined_by_id_or_file_name() {
    let folder = tempfile::tempdir().unwrap();
    let prompts = folder.path().join("prompts.txt");
    fs::write(&prompts, "a dog on a sofa\n").unwrap();
    let out = folder.path().join("out");
    let drawing = Collection { prompts: Prompts::File(prompts), voters: Voters::Nobody, ..collection(&out, 1) };
    collect(&drawing).unwrap();
    assert!(!out.join("dataset").exists(), "nobody voted yet");
    let text = fs::read_to_string(out.join("drawn.jsonl")).unwrap();
    let ids: Vec<String> = text
        .lines()
        .map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap()["image_id"].as_str().unwrap().to_owned())
        .collect();

    let votes =
        format!("image_id,rater,rating\n{},ann,up\nimages/{}.png,bob,down\n{},ann,down\n", ids[0], ids[1], ids[0]);
    collect(&Collection { voters: Voters::People(csv(folder.path(), &votes)), ..drawing.clone() }).unwrap();
    let found: Vec<(String, Option<Rating>)> = rows(&out).into_iter().map(|row| (row.rater, row.rating)).collect();
    assert_eq!(found, [("ann".to_owned(), Some(Rating::Down)), ("bob".to_owned(), Some(Rating::Down))]);

    let stray = csv(folder.path(), "image_id,rater,rating\nnone.png,ann,up\n");
    let error = collect(&Collection { voters: Voters::People(stray), ..drawing.clone() }).expect_err("a stray vote");
    assert!(error.to_string().contains("`none.png`"), "{error}");
    let simulated = Collection { voters: collection(&out, 1).voters, ..drawing };
    assert!(matches!(collect(&simulated), Err(CollectError::Unratable { .. })));
}
