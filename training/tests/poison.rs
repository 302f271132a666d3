//! Promise 25: poison is bounded. Some raters turn their votes round, or strangers come who do; the gate blocks the reward that learned from them,
//! or it is right nearly as often on prompts and raters that it never saw.
#![allow(missing_docs)]

use std::{
    io::Cursor,
    path::{Path, PathBuf},
};

use plaudit::{
    feedback::dataset::{Card, DatasetLimits, Format, Rating, Reader, Row, Writer},
    pack::Pack,
    runtime::SessionSettings,
    scoring::{ClipModel, RewardHead, RewardPack},
};
use plaudit_training::{
    collect::Part,
    gate::{self, RewardBounds, RewardGate, Verdict},
    miniature::{
        draw::draw,
        grammar::{Category, Object, Scene},
    },
    random::Random,
    reward::{Objective, Training, reward},
};

/// What the promise allows, in accuracy.
const ONE_POINT: f64 = 0.01;
/// Votes that are turned round by mistake.
const HONEST_ERRORS: f32 = 0.1;
/// Votes on a picture.
const VOTES: usize = 2;
/// Honest raters of the part that is learned from.
const RATERS: usize = 20;
const PICTURES: usize = 4;

/// How votes are poisoned.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Attack {
    /// A share of the raters turn all their votes round.
    Flipped(f64),
    /// Strangers add votes against the truth: a share of all.
    Sybil(f64),
}

struct Size {
    prompts: usize,
    golden: usize,
    steps: u64,
    seeds: u64,
}

fn bundled() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../onnx/packs/miniature")
}

fn row(at: (usize, usize), asked: &Scene, rater: String, up: bool, part: Part, truth: bool) -> Row {
    Row {
        image_id: format!("{}-{}", at.0, at.1),
        rater,
        rating: Some(if up { Rating::Up } else { Rating::Down }),
        prompt: asked.prompt(),
        model_version: "drawn@0".into(),
        split: Some(part.word().into()),
        category: Some(asked.category().word().into()),
        truth: Some(truth),
        ..Row::default()
    }
}

/// A prompt's part follows from its meaning: golden votes are about prompts that nothing learned from.
fn part(asked: &Scene) -> Part {
    Part::at(Random::stream(0, &asked.prompt()).unit())
}

/// Drawn scenes, every other one of something near to what was asked for. Only votes of the part that is learned from are poisoned.
fn dataset(place: &Path, prompts: usize, seed: u64, attack: Option<Attack>, only: Option<Part>) {
    let mut random = Random::stream(seed, "pictures");
    let mut minds = Random::stream(seed, "votes");
    let mut writer = Writer::create(place, Format::JsonLines, Card::default()).expect("a writer");
    let seen: Vec<Object> = Object::seen().collect();
    for prompt in 0..prompts {
        let category = Category::ALL[prompt % Category::ALL.len()];
        let mut asked = Scene::sample(category, &seen, &mut random);
        while only.is_some_and(|only| part(&asked) != only) {
            // A category may have no prompt of the part.
            asked = Scene::sample(Category::Composition, &seen, &mut random);
        }
        let part = part(&asked);
        for picture in 0..PICTURES {
            let truth = picture % 2 == 0;
            let shown = if truth { asked } else { asked.some_contrasts(1, &mut random)[0].1 };
            let mut bytes = Cursor::new(Vec::new());
            draw(&shown, random.bits()).picture.write_to(&mut bytes, image::ImageFormat::Png).expect("a picture");
            let (at, bytes) = ((prompt, picture), bytes.get_ref());
            for vote in 0..VOTES {
                let number = (prompt * PICTURES + picture) * VOTES + vote;
                let rater = number % RATERS;
                let errs = minds.chance(HONEST_ERRORS);
                let hostile = part == Part::Train
                    && matches!(attack, Some(Attack::Flipped(share)) if (rater as f64) < share * RATERS as f64);
                let name = format!("{} {rater}", part.crew().word());
                let up = truth != (errs != hostile);
                writer.push(row(at, &asked, name, up, part, truth), bytes).expect("a row");
            }
            if let Some(Attack::Sybil(share)) = attack
                && part == Part::Train
                && minds.unit() < VOTES as f64 * share / (1.0 - share)
            {
                let name = format!("stranger {prompt} {picture}");
                writer.push(row(at, &asked, name, !truth, part, truth), bytes).expect("a row");
            }
        }
    }
    writer.finish(0, 0).expect("a dataset");
}

fn trained(folder: &Path, name: &str, dataset: &Path, size: &Size, seed: u64) -> PathBuf {
    let data = folder.join(name);
    let training = Training {
        pack: bundled(),
        dataset: dataset.to_owned(),
        out: data.join("pack"),
        data,
        name: "poison".into(),
        hidden: 64,
        product: true,
        objective: Objective { batch: 64, prompts: 4, auxiliary: 0.5, temperature: 2.0 },
        steps: size.steps,
        rate: 2e-3,
        seed,
        seeds: 1,
        ablations: false,
        threads: 1,
        ..Training::default()
    };
    reward(&training).expect("a reward");
    training.out
}

/// Share of pictures on which a probability of a half or more is the truth.
fn accuracy(pack: &Path, golden: &Path) -> f64 {
    let settings = SessionSettings { threads: 1, spinning: false, ..SessionSettings::default() };
    let generator = Pack::open(&bundled()).expect("the pack");
    let mut clip = ClipModel::open(&generator, &settings).expect("CLIP");
    let reward = RewardPack::open(pack, &generator, &settings).expect("the reward");
    let mut head = RewardHead::open(&reward, &settings).expect("its head");
    let (mut right, mut all, mut last) = (0, 0, String::new());
    for entry in Reader::open(golden, &DatasetLimits::default()).expect("golden votes").entries() {
        let entry = entry.expect("a row");
        if entry.row.image_id == last {
            continue;
        }
        let picture = entry.picture(&DatasetLimits::default()).expect("a picture");
        let (point, text) = (
            clip.image_embeddings(&[&picture]).expect("a point"),
            clip.text_embeddings(&[&entry.row.prompt]).expect("a point"),
        );
        let answer = head.run([(point[0].as_slice(), text[0].as_slice())]).expect("a reward")[0].reward;
        right += usize::from((answer >= 0.5) == (entry.row.truth == Some(true)));
        all += 1;
        last = entry.row.image_id;
    }
    f64::from(right as u32) / f64::from(all)
}

/// What the gate says of the poisoned reward beside the clean one, and by how much its accuracy falls; means over seeds.
fn judged(attack: Attack, size: &Size) -> (Vec<Verdict>, f64, f64) {
    let (mut verdicts, mut clean_sum, mut fall) = (Vec::new(), 0.0, 0.0);
    for seed in 0..size.seeds {
        let folder = tempfile::tempdir().expect("a folder");
        let place = |name: &str| folder.path().join(name);
        dataset(&place("clean votes"), size.prompts, seed, None, None);
        dataset(&place("poisoned votes"), size.prompts, seed, Some(attack), None);
        dataset(&place("golden"), size.golden, 1_000 + seed, None, Some(Part::Test));
        let clean = trained(folder.path(), "clean", &place("clean votes"), size, seed);
        let poisoned = trained(folder.path(), "poisoned", &place("poisoned votes"), size, seed);
        let gate = RewardGate {
            champion: clean.clone(),
            candidate: poisoned.clone(),
            pack: bundled(),
            golden: place("golden"),
            newest: None,
            bounds: RewardBounds::default(),
            out: place("gate"),
            threads: 1,
        };
        verdicts.push(gate::reward(&gate).expect("a verdict").verdict);
        let before = accuracy(&clean, &gate.golden);
        clean_sum += before;
        fall += before - accuracy(&poisoned, &gate.golden);
    }
    (verdicts, clean_sum / size.seeds as f64, fall / size.seeds as f64)
}

/// At this size an accuracy is known to two points, so that the short test allows three. The long one holds to the promise.
#[test]
fn a_twentieth_of_flipped_votes_is_blocked_or_costs_little() {
    let size = Size { prompts: 80, golden: 60, steps: 120, seeds: 1 };
    let (verdicts, clean, fall) = judged(Attack::Flipped(0.05), &size);
    assert!(clean > 0.6, "a reward that learned nothing has nothing to lose: {clean:.3}");
    assert!(verdicts.contains(&Verdict::Fail) || fall < 3.0 * ONE_POINT, "{verdicts:?}, {clean:.3} falls by {fall:.3}");
}

#[test]
#[ignore = "eighteen rewards at full size: minutes in release, most of an hour otherwise"]
fn the_table_of_poison() {
    let size = Size { prompts: 600, golden: 500, steps: 1500, seeds: 3 };
    println!("| poison | gate | accuracy, clean | falls by, points |\n|---|---|---|---|");
    let mut failures = Vec::new();
    for attack in [0.01, 0.05, 0.1].into_iter().flat_map(|share| [Attack::Flipped(share), Attack::Sybil(share)]) {
        let (verdicts, clean, fall) = judged(attack, &size);
        let words: Vec<&str> = verdicts.iter().map(|verdict| verdict.word()).collect();
        println!("| {attack:?} | {} | {:.1} % | {:.2} |", words.join(", "), 100.0 * clean, 100.0 * fall);
        let within = matches!(attack, Attack::Flipped(share) | Attack::Sybil(share) if share <= 0.05);
        if within && fall >= ONE_POINT && !verdicts.iter().all(|verdict| *verdict == Verdict::Fail) {
            failures.push(format!("{attack:?}: {verdicts:?}, falls by {fall:.3}"));
        }
    }
    assert!(failures.is_empty(), "{failures:#?}");
}
