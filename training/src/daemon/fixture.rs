//! A store with champions and votes, small enough to learn from in seconds.

use std::{
    io::Cursor,
    path::{Path, PathBuf},
};

use plaudit::{
    domain::{Kind, Owner},
    feedback::{
        dataset::{Card, Format, Rating, Row, Writer},
        exchange::{ImportSettings, import},
    },
    registry::{Lineage, Promotion, Registry, RegistrySettings, VersionId},
    store::Store,
};

use super::{DaemonSettings, Learning, Passing, Release, Soundness, Watermark};
use crate::{
    gate::{GeneratorBounds, RewardBounds},
    miniature::{
        draw::draw,
        grammar::{Category, Object, Scene},
    },
    random::Random,
};

/// Enough that each part of the reward's data has good and bad votes.
const PROMPTS: usize = 48;
const PICTURES: usize = 2;
/// Votes of the fixture in all.
pub(super) const VOTES: usize = PROMPTS * PICTURES * 2;
const RATERS: usize = 8;
/// Wider than any figure is: these tests are not about gates.
const ANY: f64 = 1e6;

pub(super) fn bundled() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../onnx/packs/miniature")
}

/// Drawn scenes stand for pictures, every other one is wrong; two votes each, as `good` turns the truth.
pub(super) fn votes(place: &Path, up: impl Fn(usize, bool) -> bool, rater: impl Fn(usize) -> String) {
    let mut random = Random::new(0);
    let mut writer = Writer::create(place, Format::JsonLines, Card::default()).expect("a writer");
    let seen: Vec<Object> = Object::seen().collect();
    let mut number = 0;
    for prompt in 0..PROMPTS {
        let objects = if prompt % 6 == 0 { &Object::HELD_OUT[..] } else { &seen };
        let asked = Scene::sample(Category::Composition, objects, &mut random);
        for picture in 0..PICTURES {
            let truth = picture % 2 == 0;
            let shown = if truth { asked } else { asked.some_contrasts(1, &mut random)[0].1 };
            let mut bytes = Cursor::new(Vec::new());
            draw(&shown, random.bits()).picture.write_to(&mut bytes, image::ImageFormat::Png).expect("a picture");
            for _ in 0..2 {
                let row = Row {
                    image_id: format!("00000000-0000-7000-8000-{prompt:08x}{picture:04x}"),
                    rater: rater(number),
                    rating: Some(if up(number, truth) { Rating::Up } else { Rating::Down }),
                    prompt: asked.prompt(),
                    model_version: "drawn@0".into(),
                    category: Some("composition".into()),
                    created: number as i64,
                    ..Row::default()
                };
                writer.push(row, bytes.get_ref()).expect("a row");
                number += 1;
            }
        }
    }
    writer.finish(0, 0).expect("a dataset");
}

/// One of eight raters, a different one for each vote on a picture.
pub(super) fn anybody(vote: usize) -> String {
    format!("rater-{}", vote % RATERS)
}

/// A store whose champions are the bundled pack and its reward, with these votes.
pub(super) async fn store(data: &Path, up: impl Fn(usize, bool) -> bool, rater: impl Fn(usize) -> String) -> VersionId {
    let aside = tempfile::tempdir().expect("a folder");
    votes(&aside.path().join("votes"), up, rater);
    let store = Store::attach(data).await.expect("a store");
    let owner = Some(Owner::from_stored("key:test".to_owned()));
    let settings = ImportSettings { owner, origin: "test".into(), ..ImportSettings::default() };
    let added = import(&store, &aside.path().join("votes"), &settings).await.expect("votes").added;
    assert_eq!(added as usize, VOTES);
    let registry = Registry::open(store.clone(), RegistrySettings::default()).await.expect("a registry");
    let mut first = None;
    for (kind, folder) in [(Kind::Generator, bundled()), (Kind::Reward, bundled().join("reward"))] {
        let lineage = Lineage { published_by: "test".into(), ..Lineage::default() };
        let version = registry.publish(kind, &folder, lineage).await.expect("published").version;
        let (actor, reason) = ("test".to_owned(), "the first one".to_owned());
        let promotion = Promotion { kind, version: version.clone(), expected: None, actor, reason };
        registry.promote(promotion).await.expect("promoted");
        first.get_or_insert(version);
    }
    store.close().await;
    first.expect("a generator")
}

/// A round of a few steps on one thread, whose gates let everything pass.
pub(super) fn settings(data: &Path) -> DaemonSettings {
    let usual = DaemonSettings::new(data);
    let reward_bounds = RewardBounds {
        auroc_loss: ANY,
        calibration_rise: ANY,
        objects_loss: ANY,
        category_loss: ANY,
        dark_correlation_rise: ANY,
        look_correlation_change: ANY,
        darkened_rise: ANY,
    };
    let generator_bounds = GeneratorBounds {
        reward_loss: ANY,
        judge_loss: ANY,
        clip_loss: ANY,
        diversity_loss: ANY,
        right_diversity_loss: ANY,
        saturation_change: ANY,
        saturated_change: ANY,
        dark_change: ANY,
        edge_change: ANY,
        distance: ANY,
        flagged_rise: ANY,
        latency_ratio: ANY,
        objects_loss: ANY,
        category_loss: ANY,
    };
    DaemonSettings {
        lease: 3,
        watermark: Watermark { new_votes: 100, rounds_per_day: 100, ..usual.watermark.clone() },
        soundness: Soundness { min_votes: 100, ..usual.soundness.clone() },
        learning: Learning {
            reward_steps: 20,
            tune_pictures: 1,
            tune_steps: Some(2),
            tune_rows: 2,
            threads: 1,
            ..usual.learning.clone()
        },
        passing: Passing {
            gate_prompts: 6,
            gate_pictures: 2,
            gate_steps: 2,
            accept_inconclusive: true,
            release: Release::Trial,
            share: 0.5,
            shadow: 0,
            reward_bounds,
            generator_bounds,
            ..usual.passing.clone()
        },
        ..usual
    }
}
