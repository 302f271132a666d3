//! `plaudit generate --best-of` and `plaudit score` as a user meets them, over the bundled pack.
#![allow(missing_docs)]

use std::{
    path::{Path, PathBuf},
    process::{Command, Output},
};

use serde_json::Value;

const PROMPT: &str = "two blue stars on the beach";

fn plaudit(folder: &Path, arguments: &[&str]) -> Output {
    let library = Path::new(env!("CARGO_MANIFEST_DIR")).join(".ort/libonnxruntime.so");
    let mut command = Command::new(env!("CARGO_BIN_EXE_plaudit"));
    command.current_dir(folder).args(arguments).args(["--device", "cpu", "--pack", &pack()]);
    command.env("ORT_DYLIB_PATH", library).output().expect("a run")
}

fn pack() -> String {
    format!("{}/onnx/packs/miniature", env!("CARGO_MANIFEST_DIR"))
}

fn said(output: Output) -> String {
    let error = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{error}");
    String::from_utf8(output.stdout).expect("text")
}

/// Files in the order in which they are told of, each with its reward.
fn told(text: &str) -> Vec<(PathBuf, f64)> {
    let line = |line: &str| {
        let (path, facts) = line.split_once("  reward ")?;
        Some((path.into(), facts.split(',').next()?.parse().ok()?))
    };
    text.lines().filter_map(line).collect()
}

#[test]
fn the_best_of_many_are_written_and_score_as_they_were_chosen() {
    let folder = tempfile::tempdir().expect("a folder");
    let draw = ["generate", PROMPT, "-n", "2", "--best-of", "6", "--steps", "4", "--seed", "7"];
    let chosen = told(&said(plaudit(folder.path(), &draw)));
    assert_eq!(chosen.len(), 2);
    assert!(chosen[0].1 >= chosen[1].1, "{chosen:?}");
    let files: Vec<&str> = chosen.iter().filter_map(|(path, _)| path.to_str()).collect();
    let scored = said(plaudit(folder.path(), &[&["score", "--json", "--prompt", PROMPT][..], &files].concat()));
    let scored: Value = serde_json::from_str(&scored).expect("JSON");
    let data = scored["data"].as_array().expect("a list");
    assert_eq!(data.len(), 2, "{scored}");
    for ((_, reward), scored) in chosen.iter().zip(data) {
        // The table has three digits.
        assert!((scored["reward"].as_f64().expect("a reward") - reward).abs() < 1e-3, "{scored}");
    }
    // All six, drawn without a choice: none is better than the best.
    let all =
        said(plaudit(folder.path(), &["generate", PROMPT, "-n", "6", "--steps", "4", "--seed", "7", "-o", "all"]));
    let all: Vec<&str> = all.lines().collect();
    let scored = said(plaudit(folder.path(), &[&["score", "--json", "--prompt", PROMPT][..], &all].concat()));
    let scored: Value = serde_json::from_str(&scored).expect("JSON");
    let best = scored["data"].as_array().expect("a list").iter().filter_map(|one| one["reward"].as_f64());
    assert!((best.fold(0.0, f64::max) - chosen[0].1).abs() < 1e-3, "{scored}");
}

#[test]
fn what_cannot_be_scored_is_named() {
    let folder = tempfile::tempdir().expect("a folder");
    std::fs::write(folder.path().join("no.png"), "text").expect("written");
    let cases: [(&[&str], &str); 3] = [
        (&["score", "--prompt", PROMPT, "no.png"], "no.png"),
        (&["score", "--prompt", PROMPT, "gone.png"], "gone.png"),
        (&["generate", PROMPT, "--best-of", "2", "--reward", "nowhere"], "nowhere"),
    ];
    for (arguments, named) in cases {
        let output = plaudit(folder.path(), arguments);
        let error = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(!output.status.success() && error.contains(named), "{arguments:?}: {error}");
    }
}
