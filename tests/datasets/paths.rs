//! No path leads out of a dataset.

use std::{
    fs,
    os::unix::fs::symlink,
    path::{Path, PathBuf},
    process::Command,
};

use plaudit::feedback::dataset::Format;

use crate::{
    common::all_hold,
    harness::{faults, plain, png, read, write},
};

/// A dataset of one row, whose `file_name` is this, beside pictures that it must not reach.
fn dataset(folder: &Path, file_name: &str) -> PathBuf {
    let place = folder.join("set");
    let data = place.join("data");
    fs::create_dir_all(data.join("images")).expect("folders");
    fs::create_dir_all(folder.join("elsewhere")).expect("a folder");
    fs::write(folder.join("outside.png"), png(1)).expect("a picture");
    fs::write(folder.join("elsewhere/inner.png"), png(1)).expect("a picture");
    fs::write(place.join("above.png"), png(1)).expect("a picture");
    fs::write(data.join("images/own.png"), png(0)).expect("a picture");
    symlink(folder.join("outside.png"), data.join("images/link.png")).expect("a link");
    symlink("own.png", data.join("images/inner-link.png")).expect("a link");
    symlink(folder.join("elsewhere"), data.join("linked")).expect("a link");
    fs::hard_link(folder.join("outside.png"), data.join("images/hard.png")).expect("a hard link");
    let made = Command::new("mkfifo").arg(data.join("images/pipe.png")).status().expect("mkfifo");
    assert!(made.success());
    let mut row = plain(0);
    row.file_name = Some(file_name.to_owned());
    let line = serde_json::to_string(&row).expect("a row");
    fs::write(data.join("metadata.jsonl"), line).expect("rows");
    place
}

#[test]
fn paths_that_lead_elsewhere_are_refused_by_line() {
    let absolute = |folder: &Path| folder.join("outside.png").display().to_string();
    type Name = Box<dyn Fn(&Path) -> String>;
    let is = |text: &str| -> Name {
        let text = text.to_owned();
        Box::new(move |_| text.clone())
    };
    let cases: Vec<(Name, &str)> = vec![
        (is(""), "is empty"),
        (is("."), "empty part"),
        (is("../above.png"), "leads out"),
        (is("images/../../above.png"), "leads out"),
        (is("images/../images/own.png"), "leads out"),
        (Box::new(absolute), "is absolute"),
        (is("images//own.png"), "empty part"),
        (is("..\\above.png"), "backslash"),
        (is("C:/above.png"), "colon"),
        (is("images/own.png\0.txt"), "control characters"),
        (is("images/link.png"), "symbolic link"),
        (is("images/inner-link.png"), "symbolic link"),
        (is("linked/inner.png"), "symbolic link"),
        (is("images/hard.png"), "hard link"),
        (is("images/pipe.png"), "is not a file"),
        (is("images"), "is not a file"),
        (is("images/none.png"), "cannot open"),
        (is(&"x/".repeat(600)), "bytes, more than"),
    ];
    let mut failures = Vec::new();
    for (name, said) in cases {
        let folder = tempfile::tempdir().expect("a folder");
        let name = name(folder.path());
        let place = dataset(folder.path(), &name);
        let told = faults(&place);
        if !(told.len() == 1 && told[0].contains("metadata.jsonl, line 1: ") && told[0].contains(said)) {
            failures.push(format!("{name:?} should say {said:?}: {told:?}"));
        }
    }
    all_hold(failures);
    let folder = tempfile::tempdir().expect("a folder");
    let place = dataset(folder.path(), "images/own.png");
    assert_eq!(read(&place).expect("it is its own").len(), 1);
}

#[test]
fn the_files_of_rows_are_the_datasets_own_too() {
    for (format, name) in [(Format::JsonLines, "metadata.jsonl"), (Format::Parquet, "train-00000.parquet")] {
        let folder = tempfile::tempdir().expect("a folder");
        let place = folder.path().join("set");
        write(&place, format, &[plain(0)]).expect("it is written");
        let (rows, away) = (place.join("data").join(name), folder.path().join("rows"));
        fs::hard_link(&rows, &away).expect("a hard link");
        assert!(faults(&place)[0].contains("hard link"), "{:?}", faults(&place));
        fs::remove_file(&rows).expect("it goes");
        symlink(&away, &rows).expect("a link");
        assert!(faults(&place)[0].contains("symbolic link"), "{:?}", faults(&place));
        let data = folder.path().join("data");
        fs::rename(place.join("data"), &data).expect("it moves");
        symlink(&data, place.join("data")).expect("a link");
        assert!(faults(&place)[0].contains("symbolic link"), "{:?}", faults(&place));
    }
}
