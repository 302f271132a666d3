//! From votes to a sealed reward, at a hundredth of its size: drawn scenes stand for generated pictures, the committed pack's CLIP is used.

use std::{
    fs,
    io::Cursor,
    path::{Path, PathBuf},
};

use plaudit::{
    feedback::dataset::{Card, Format, Rating, Row, Writer},
    pack::Pack,
    runtime::SessionSettings,
    scoring::{RewardHead, RewardPack},
};
use plaudit_training::{
    collect::Part,
    miniature::{
        draw::draw,
        grammar::{Category, Object, Scene},
    },
    random::Random,
    reward::{Objective, RewardError, Training, reward},
};

const PROMPTS: usize = 60;
const STEPS: u64 = 60;
const LOOK_EVERY: u64 = 20;

fn pack() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../onnx/packs/miniature")
}

/// Four pictures a prompt, two of them of another scene; one vote each, one in ten turned round.
fn dataset(place: &Path) {
    let mut random = Random::new(0);
    let mut writer = Writer::create(place, Format::JsonLines, Card::default()).expect("a writer");
    let seen: Vec<Object> = Object::seen().collect();
    for prompt in 0..PROMPTS {
        let held_out = prompt % 6 == 0;
        let objects = if held_out { &Object::HELD_OUT[..] } else { &seen };
        let asked = Scene { ..Scene::sample(Category::Composition, objects, &mut random) };
        let part = if held_out { Part::HeldOut } else { Part::at(prompt as f64 / PROMPTS as f64) };
        for picture in 0..4 {
            let truth = picture % 2 == 0;
            let shown = if truth { asked } else { asked.some_contrasts(1, &mut random)[0].1 };
            let mut bytes = Cursor::new(Vec::new());
            draw(&shown, random.bits()).picture.write_to(&mut bytes, image::ImageFormat::Png).expect("a picture");
            let up = truth != random.chance(0.1);
            let row = Row {
                image_id: format!("{prompt}-{picture}"),
                rater: part.crew().word().to_owned(),
                rating: Some(if up { Rating::Up } else { Rating::Down }),
                prompt: asked.prompt(),
                model_version: "drawn@0".into(),
                split: Some(part.word().into()),
                category: Some("composition".into()),
                truth: Some(truth),
                ..Row::default()
            };
            writer.push(row, bytes.get_ref()).expect("a row");
        }
    }
    writer.finish(0, 0).expect("a dataset");
}

fn training(folder: &Path, name: &str) -> Training {
    Training {
        pack: pack(),
        dataset: folder.join("dataset"),
        data: folder.join(name),
        out: folder.join(name).join("pack"),
        name: "test-reward".into(),
        hidden: 32,
        product: true,
        objective: Objective { batch: 32, prompts: 4, auxiliary: 0.5, temperature: 2.0 },
        steps: STEPS,
        rate: 3e-3,
        weight_decay: 0.01,
        look_every: LOOK_EVERY,
        patience: 100,
        seed: 0,
        seeds: 1,
        ablations: false,
        deal_raters: true,
        threads: 1,
    }
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).expect("a folder");
    for entry in fs::read_dir(from).expect("the folder") {
        let (path, place) = entry.map(|entry| (entry.path(), to.join(entry.file_name()))).expect("an entry");
        if path.is_dir() { copy(&path, &place) } else { fs::copy(&path, &place).map(drop).expect("a copy") }
    }
}

fn losses(run: &Path) -> Vec<f64> {
    let text = fs::read_to_string(run.join("metrics.jsonl")).expect("metrics");
    let loss = |line: &str| serde_json::from_str::<serde_json::Value>(line).expect("JSON")["loss"].as_f64();
    text.lines().map(|line| loss(line).expect("a number")).collect()
}

#[test]
fn votes_become_a_sealed_reward_and_a_stopped_training_the_same_one() {
    let folder = tempfile::tempdir().unwrap();
    dataset(&folder.path().join("dataset"));
    let whole = training(folder.path(), "whole");
    let version = reward(&whole).unwrap();

    let losses = losses(&whole.data.join("reward-0"));
    let mean = |part: &[f64]| part.iter().sum::<f64>() / part.len() as f64;
    assert_eq!(losses.len() as u64, STEPS);
    assert!(mean(&losses[50..]) < mean(&losses[..10]) - 0.02, "{losses:?}");

    let base = Pack::open(&pack()).unwrap();
    let sealed = RewardPack::open(&whole.out, &base, &SessionSettings::default()).unwrap();
    assert_eq!(sealed.version(), version);
    let mut head = RewardHead::open(&sealed, &SessionSettings::default()).unwrap();
    let point = vec![1.0 / (head.width() as f32).sqrt(); head.width()];
    let answers = head.run([(point.as_slice(), point.as_slice())]).unwrap();
    assert!((0.0..=1.0).contains(&answers[0].reward) && (0.0..=1.0).contains(&answers[0].raw));
    let report: serde_json::Value = serde_json::from_slice(&fs::read(whole.out.join("report.json")).unwrap()).unwrap();
    let scorers: Vec<&str> =
        report["rows"].as_array().unwrap().iter().filter_map(|row| row["scorer"].as_str()).collect();
    assert!(scorers.contains(&"reward") && scorers.contains(&"clip score"), "{scorers:?}");
    for file in ["report.md", "figure3.svg", "calibration.svg"] {
        assert!(whole.data.join(file).exists(), "{file}");
    }

    // What a kill before the last checkpoint leaves behind.
    let stopped = training(folder.path(), "stopped");
    copy(&whole.data.join("embeddings"), &stopped.data.join("embeddings"));
    copy(&whole.data.join("reward-0"), &stopped.data.join("reward-0"));
    fs::remove_dir_all(stopped.data.join(format!("reward-0/checkpoints/step-{STEPS:09}"))).unwrap();
    assert_eq!(reward(&stopped).unwrap(), version, "the version is a hash over weights, graph and figures");
    let weights = |training: &Training| fs::read(training.out.join("model.safetensors")).unwrap();
    assert!(weights(&whole) == weights(&stopped));

    let again = reward(&whole).expect_err("the pack is there");
    assert!(matches!(again, RewardError::There { .. }), "{again}");
    let other = Training { rate: 1e-4, out: folder.path().join("other"), ..training(folder.path(), "whole") };
    assert!(matches!(reward(&other), Err(RewardError::Begun { .. })), "another recipe needs another directory");
}
