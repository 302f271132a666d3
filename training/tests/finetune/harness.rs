//! Small sets of drawn pictures, and runs of a few steps on them.

use std::{
    fs,
    path::{Path, PathBuf},
};

use image::RgbImage;
use plaudit::{
    feedback::dataset::{Card, Format, Rating, Row, Writer},
    runtime::SessionSettings,
};
use plaudit_training::{
    finetune::{Finetune, Tuned, finetune},
    miniature::{
        draw::draw,
        grammar::{Category, Object, Scene},
    },
    random::Random,
};

pub(crate) fn bundled() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../onnx/packs/miniature")
}

/// One thread: tests run beside each other.
pub(crate) fn session() -> SessionSettings {
    SessionSettings { threads: 1, spinning: false, ..SessionSettings::default() }
}

pub(crate) fn png(picture: &RgbImage) -> Vec<u8> {
    let mut bytes = std::io::Cursor::new(Vec::new());
    picture.write_to(&mut bytes, image::ImageFormat::Png).expect("a picture");
    bytes.into_inner()
}

/// Scenes and what is drawn of them.
pub(crate) fn drawings(count: usize) -> Vec<(Scene, RgbImage)> {
    let mut random = Random::stream(7, "finetune tests");
    let objects: Vec<Object> = Object::seen().collect();
    let one = |number: usize| {
        let scene = Scene::sample(Category::ALL[number % Category::ALL.len()], &objects, &mut random);
        let picture = draw(&scene, number as u64).picture;
        (scene, picture)
    };
    (0..count).map(one).collect()
}

/// A dataset: each of `prompts` prompts with its own picture, voted up, and with the next prompt's, voted down. Every fifth is of the part test.
pub(crate) fn dataset(folder: &Path, prompts: usize, format: Format) -> PathBuf {
    let drawings = drawings(prompts);
    let place = folder.join("dataset");
    let mut writer = Writer::create(&place, format, Card::default()).expect("a writer");
    for (number, (scene, own)) in drawings.iter().enumerate() {
        let other = &drawings[(number + 1) % prompts].1;
        for (rating, picture) in [(Rating::Up, own), (Rating::Down, other)] {
            let row = Row {
                image_id: format!("{number}-{}", rating.name()),
                rater: "ann".into(),
                rating: Some(rating),
                prompt: scene.prompt(),
                model_version: "drawn@0123456789ab".into(),
                split: Some(if number % 5 == 4 { "test" } else { "train" }.into()),
                sequence: number as i64 + 1,
                ..Row::default()
            };
            writer.push(row, &png(picture)).expect("a row");
        }
    }
    writer.finish(1, prompts as i64).expect("a dataset");
    place
}

/// Pictures with their captions in text files; `change` spoils the pictures.
pub(crate) fn captioned(folder: &Path, count: usize, change: impl Fn(&mut RgbImage)) -> PathBuf {
    let place = folder.join("captioned");
    fs::create_dir_all(&place).expect("a folder");
    for (number, (scene, mut picture)) in drawings(count).into_iter().enumerate() {
        change(&mut picture);
        fs::write(place.join(format!("{number:02}.png")), png(&picture)).expect("a file");
        fs::write(place.join(format!("{number:02}.txt")), scene.prompt()).expect("a file");
    }
    place
}

/// Four rows, few steps, no sheets.
pub(crate) fn settings(folder: &Path, name: &str) -> Finetune {
    Finetune {
        rows: 2,
        micro_batches: 2,
        steps: 4,
        rate: 1e-4,
        warmup: 1,
        sheet_every: 0,
        checkpoint_every: 2,
        validation_share: 0.0,
        threads: 1,
        show: false,
        ..Finetune::new(bundled(), folder.join(name), folder.join(format!("{name}-pack")))
    }
}

pub(crate) fn tuned(settings: &Finetune) -> Tuned {
    finetune(settings).expect("a tuned pack")
}

pub(crate) fn weights(pack: &Path) -> Vec<u8> {
    fs::read(pack.join("unet/model.safetensors")).expect("weights")
}

/// The lines of a run's metrics.
pub(crate) fn metrics(settings: &Finetune) -> Vec<serde_json::Value> {
    let text = fs::read_to_string(settings.data.join("run/metrics.jsonl")).expect("metrics");
    text.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect()
}

/// A column of the metrics.
pub(crate) fn column(settings: &Finetune, name: &str) -> Vec<f64> {
    metrics(settings).iter().map(|line| line[name].as_f64().unwrap_or_else(|| panic!("no {name} in {line}"))).collect()
}
