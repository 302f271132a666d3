//! Pre-training at a thousandth of its size: from nothing to a pack that opens, and on from there with and without a checkpoint.

use std::{
    fs,
    path::{Path, PathBuf},
};

use plaudit::{
    pack::{Pack, verify},
    runtime::SessionSettings,
};
use plaudit_training::pretrain::{PretrainError, Scale, Stage, Workshop, pretrain};
use serde_json::Value;

fn committed() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../onnx/packs/miniature")
}

/// Copies a folder, its folders included.
fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).expect("a folder");
    for entry in fs::read_dir(from).expect("the folder") {
        let entry = entry.expect("an entry");
        let (path, place) = (entry.path(), to.join(entry.file_name()));
        if path.is_dir() {
            copy(&path, &place);
        } else {
            fs::copy(&path, &place).expect("a copy");
        }
    }
}

fn workshop(folder: &Path, steps: u64) -> Workshop {
    Workshop {
        pack: folder.join("pack"),
        data: folder.join("data"),
        threads: 0,
        seed: 0,
        leg: None,
        pictures: 5,
        guidance: None,
        steps: Some(steps),
        fresh: false,
        scale: Scale { shard: 32, shards: 2, measured: 16 },
    }
}

fn state(workshop: &Workshop) -> Value {
    serde_json::from_slice(&fs::read(workshop.pack.join("state.json")).expect("state.json")).expect("JSON")
}

/// A stage's metrics, line by line.
fn metrics(workshop: &Workshop, run: &str) -> Vec<Value> {
    let text = fs::read_to_string(workshop.data.join(run).join("metrics.jsonl")).expect("metrics");
    text.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect()
}

/// Steps of a stage's metrics.
fn lines(workshop: &Workshop, run: &str) -> Vec<u64> {
    metrics(workshop, run).iter().map(|line| line["step"].as_u64().expect("a number")).collect()
}

/// The manifest is true of what lies there.
fn assert_sealed(workshop: &Workshop) {
    let pack = Pack::open(&workshop.pack).expect("a pack");
    verify(&pack, &SessionSettings::default(), |_| {}).expect("true hashes and goldens");
}

fn assert_unet_rate(workshop: &Workshop, step: u64, expected: f64) {
    let metrics = metrics(workshop, "unet");
    let line = metrics.iter().find(|line| line["step"] == step).expect("the step");
    let rate = line["learning_rate"].as_f64().expect("a number");
    assert!((rate - expected).abs() < 1e-9, "step {step}: {rate} instead of {expected}");
}

#[test]
fn a_pack_is_made_from_nothing_and_goes_on_with_and_without_checkpoints() {
    let folder = tempfile::tempdir().unwrap();
    copy(&committed(), &folder.path().join("pack"));
    let first = workshop(folder.path(), 2);

    pretrain(Stage::All, &Workshop { fresh: true, ..first.clone() }).unwrap();
    assert_sealed(&first);
    let reached = state(&first);
    for stage in ["clip", "vae", "unet"] {
        assert_eq!(reached[stage]["steps"], 2, "{stage}: the committed pack's steps are forgotten");
        assert_eq!(lines(&first, stage), [1, 2], "{stage}");
    }
    assert_eq!(reached["latents"]["scenes"]["reached"], 64.0);
    assert!(reached["unet"]["noise_error"]["reached"].as_f64().unwrap() > 0.0);
    let weights = "unet/model.safetensors";
    let read = |path: PathBuf| fs::read(path).unwrap();
    assert!(read(first.data.join("replaced").join(weights)) == read(committed().join(weights)), "set aside, not lost");
    assert!(read(first.pack.join(weights)) != read(committed().join(weights)));

    let again = pretrain(Stage::Unet, &Workshop { fresh: true, ..first.clone() });
    assert!(matches!(again, Err(PretrainError::Begun { .. })), "{again:?}");

    let longer = workshop(folder.path(), 4);
    pretrain(Stage::Clip, &longer).unwrap();
    assert_sealed(&longer);
    assert_eq!(lines(&longer, "clip"), [1, 2, 3, 4], "a checkpoint goes on");

    fs::remove_dir_all(longer.data.join("unet")).unwrap();
    pretrain(Stage::Unet, &longer).unwrap();
    assert_sealed(&longer);
    assert_eq!(lines(&longer, "unet"), [3, 4], "without one the pack's weights go on where state.json says");
    // The third step of a hundred to the peak.
    assert_unet_rate(&longer, 3, 3e-5);
    assert_eq!(state(&longer)["unet"]["steps"], 4);
}
