use std::collections::BTreeSet;

use super::*;
use crate::miniature::Random;

fn every_scene() -> impl Iterator<Item = Scene> {
    let counts = || std::iter::once(None).chain(Count::all().map(Some));
    let colours = || std::iter::once(None).chain(Colour::ALL.map(Some));
    let places = || std::iter::once(None).chain(Background::ALL.map(Some));
    Object::ALL.into_iter().flat_map(move |object| {
        counts().flat_map(move |count| {
            colours()
                .flat_map(move |colour| places().map(move |background| Scene { object, count, colour, background }))
        })
    })
}

#[test]
fn every_scene_is_read_back_from_its_prompt() {
    for scene in every_scene() {
        assert_eq!(scene.prompt().parse(), Ok(scene), "{scene}");
    }
}

#[test]
fn every_paraphrase_means_the_same() {
    let mut random = Random::new(1);
    for scene in every_scene() {
        let text = scene.paraphrase(&mut random);
        assert_eq!(text.parse(), Ok(scene), "{text}");
    }
}

#[test]
fn prompts_read_as_english() {
    let cases = [
        ("a star", "a star"),
        ("one star", "one star"),
        ("an orange fish", "an orange fish"),
        ("3 cats", "three cats"),
        ("Six fish in the woods.", "six fish in the forest"),
        ("an umbrella at night", "an umbrella at night"),
        ("a drawing of two pink houses in a city", "two pink houses in the city"),
    ];
    for (said, canonical) in cases {
        let scene: Scene = said.parse().unwrap();
        assert_eq!(scene.prompt(), canonical, "{said}");
    }
}

#[test]
fn what_the_grammar_does_not_know_is_refused_by_name() {
    assert_eq!("two red".parse::<Scene>(), Err(ParseError::NoObject("two red".to_owned())));
    let error = "two shiny stars".parse::<Scene>().unwrap_err();
    assert!(error.to_string().contains("`shiny`"), "{error}");
    assert!("seven stars".parse::<Scene>().is_err());
}

#[test]
fn contrasts_change_exactly_one_said_thing() {
    for scene in every_scene() {
        let contrasts = scene.contrasts();
        let distinct: BTreeSet<Scene> = contrasts.iter().map(|(_, contrast)| *contrast).collect();
        assert_eq!(distinct.len(), contrasts.len());
        for (change, other) in contrasts {
            let differs = [
                (Change::Object, other.object != scene.object),
                (Change::Count, other.number() != scene.number()),
                (Change::Colour, other.colour != scene.colour),
                (Change::Background, other.background != scene.background),
            ];
            assert!(differs.iter().all(|(kind, differs)| *differs == (*kind == change)), "{scene} / {other}");
        }
    }
}

#[test]
fn contrasts_of_seen_objects_never_name_held_out_ones() {
    for scene in every_scene().filter(|scene| !scene.object.is_held_out()) {
        assert!(scene.contrasts().iter().all(|(_, contrast)| !contrast.object.is_held_out()), "{scene}");
    }
}

#[test]
fn a_choice_of_contrasts_covers_every_kind_before_repeating_one() {
    let scene: Scene = "two red stars on the beach".parse().unwrap();
    for seed in 0..50 {
        let kinds: BTreeSet<_> =
            scene.some_contrasts(4, &mut Random::new(seed)).iter().map(|(change, _)| *change as u8).collect();
        assert_eq!(kinds.len(), 4);
    }
    assert_eq!(scene.some_contrasts(9, &mut Random::new(0)).len(), 9);
}

#[test]
fn samples_belong_to_their_category() {
    let mut random = Random::new(3);
    for category in Category::ALL {
        for _ in 0..100 {
            assert_eq!(Scene::sample(category, &Object::ALL, &mut random).category(), category);
        }
    }
}
