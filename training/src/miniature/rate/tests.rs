use super::*;
use crate::{
    miniature::{
        draw::draw,
        grammar::{Category, Object, Scene},
    },
    random::Random,
};

/// The least share of right answers about drawn scenes.
const PASS: f64 = 0.99;

fn scenes(amount: u64, seed: u64) -> impl Iterator<Item = (Scene, u64)> {
    let mut random = Random::new(seed);
    (0..amount).map(move |index| {
        let category = Category::ALL[index as usize % Category::ALL.len()];
        (Scene::sample(category, &Object::ALL, &mut random), 0xd0_0000 + index)
    })
}

#[test]
fn drawn_scenes_are_recognised_and_near_misses_refused() {
    let (mut right, mut asked, mut missed) = (0, 0, Vec::new());
    let mut random = Random::new(9);
    for (scene, seed) in scenes(600, 11) {
        let drawing = draw(&scene, seed);
        let seen = observe(&drawing.picture);
        let wrong = drawing.truth.some_contrasts(1, &mut random)[0].1;
        for (prompt, expected) in [(scene, true), (wrong, false)] {
            asked += 1;
            let good = judge(&seen, &prompt).is_good();
            right += usize::from(good == expected);
            if good != expected {
                missed.push(format!("{scene} asked as {prompt}: {seen:?}"));
            }
        }
    }
    let share = right as f64 / asked as f64;
    assert!(share >= PASS, "{share}\n{}", missed.join("\n"));
}

#[test]
fn a_verdict_names_what_is_wrong() {
    let drawn = draw(&"two blue stars on the beach".parse().unwrap(), 3).picture;
    let cases = [
        ("two blue stars on the beach", (true, true, true, true)),
        ("three blue stars on the beach", (true, false, true, true)),
        ("two red stars on the beach", (true, true, false, true)),
        ("two blue cats on the beach", (false, true, true, true)),
        ("two blue stars in the snow", (true, true, true, false)),
        ("two stars", (true, true, true, true)),
        ("a star", (true, false, true, true)),
    ];
    for (prompt, expected) in cases {
        let verdict = judge(&observe(&drawn), &prompt.parse().unwrap());
        assert_eq!((verdict.object, verdict.count, verdict.colour, verdict.background), expected, "{prompt}");
    }
}

#[test]
fn an_empty_or_random_picture_shows_nothing() {
    let grey = image::RgbImage::from_pixel(64, 64, image::Rgb([128; 3]));
    assert!(observe(&grey).things.is_empty());
    let mut random = Random::new(4);
    let noise = image::RgbImage::from_fn(64, 64, |_, _| image::Rgb(std::array::from_fn(|_| random.below(256) as u8)));
    for (scene, _) in scenes(60, 2) {
        assert!(!judge(&observe(&noise), &scene).is_good(), "{scene}");
    }
}

#[test]
fn raters_skip_err_and_forgive_as_often_as_they_are_told() {
    let scene: Scene = "three red hearts".parse().unwrap();
    let more: Scene = "four red hearts".parse().unwrap();
    let picture = draw(&scene, 1).picture;
    let share = |settings: RaterSettings, asked: &Scene, vote: Vote| {
        let mut rater = Rater::new(settings, 7);
        (0..100).filter(|_| rater.vote(&picture, asked) == vote).count() as f32 / 100.0
    };
    let near = |share: f32, rate: f32| (share - rate).abs() < 0.12;
    let perfect = RaterSettings::default();
    assert_eq!(share(perfect, &scene, Vote::Up), 1.0);
    assert_eq!(share(perfect, &more, Vote::Down), 1.0);
    assert!(near(share(RaterSettings { skip_rate: 0.3, ..perfect }, &scene, Vote::Skip), 0.3));
    assert!(near(share(RaterSettings { error_rate: 0.2, ..perfect }, &scene, Vote::Down), 0.2));
    assert!(near(share(RaterSettings { leniency: 0.5, ..perfect }, &more, Vote::Up), 0.5));
}
