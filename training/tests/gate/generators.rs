//! Packs against the bundled one.

use std::fs;

use plaudit_training::{
    collect::Prompts,
    gate::{GateError, GeneratorGate, Verdict, generator},
};
use serde_json::Value;

use crate::{
    harness::{failed, gate, judged},
    planted::{Plant, bundled, pack},
};

#[test]
fn the_same_pack_passes_and_a_stopped_gate_goes_on() {
    let folder = tempfile::tempdir().expect("a folder");
    let whole = gate(&bundled(), &folder.path().join("gate"));
    let evidence = generator(&whole).expect("a verdict");
    assert_eq!(evidence.verdict, Verdict::Pass, "{}", evidence.markdown());
    assert!(
        evidence
            .measures
            .iter()
            .all(|measure| measure.name == "seconds a picture" || measure.found.value == measure.found.high)
    );
    for file in ["gate.json", "gate.md", "sheet.png", "differences.svg"] {
        assert!(whole.out.join(file).exists(), "{file}");
    }
    let json: Value = serde_json::from_slice(&fs::read(whole.out.join("gate.json")).expect("a file")).expect("JSON");
    assert_eq!((&json["schema"], &json["verdict"], &json["kind"]), (&1.into(), &"pass".into(), &"generator".into()));

    // What a kill leaves behind: pictures without facts, and prompts that were not begun.
    let pictures = whole.out.join("pictures");
    let before = fs::read(pictures.join("0007.png")).expect("a picture");
    fs::remove_file(pictures.join("0006.json")).expect("a file");
    for file in ["0007.json", "0007.png"] {
        fs::remove_file(pictures.join(file)).expect("a file");
    }
    fs::write(pictures.join("0006.png"), b"half").expect("a file");
    let kept = fs::metadata(pictures.join("0005.png")).and_then(|facts| facts.modified()).expect("a time");
    let again = generator(&whole).expect("a verdict");
    assert_eq!(again.verdict, Verdict::Pass);
    assert!(before == fs::read(pictures.join("0007.png")).expect("a picture"), "the same picture again");
    assert_eq!(fs::metadata(pictures.join("0005.png")).and_then(|facts| facts.modified()).expect("a time"), kept);

    let mut more = whole.clone();
    more.steps += 1;
    let error = generator(&more).expect_err("another gate").to_string();
    assert!(error.contains("steps 8, not 9"), "{error}");
}

#[test]
fn a_candidate_whose_weights_are_off_by_rounding_passes() {
    let evidence = judged(Plant::WeightNoise(1e-4)).expect("a verdict");
    assert_eq!(evidence.verdict, Verdict::Pass, "{}", evidence.markdown());
}

#[test]
fn one_picture_a_prompt_is_found() {
    let evidence = judged(Plant::Collapsed(200.0)).expect("a verdict");
    assert!(failed(&evidence).contains(&"diversity within prompts"), "{}", evidence.markdown());
}

#[test]
fn loud_colours_are_found() {
    let evidence = judged(Plant::Saturated(2.0)).expect("a verdict");
    assert!(failed(&evidence).contains(&"saturation"), "{}", evidence.markdown());
}

#[test]
fn swapped_colours_are_found() {
    let evidence = judged(Plant::SwappedColours).expect("a verdict");
    assert!(failed(&evidence).contains(&"CLIP score"), "{}", evidence.markdown());
}

#[test]
fn wrong_prompts_are_found() {
    let evidence = judged(Plant::WrongWords).expect("a verdict");
    assert!(failed(&evidence).contains(&"CLIP score"), "{}", evidence.markdown());
}

#[test]
fn prompts_of_a_file_are_nothing_for_the_judge_and_a_safety_checker_is_asked() {
    let folder = tempfile::tempdir().expect("a folder");
    let champion = pack(&folder.path().join("champion"), Plant::SafetyChecker);
    let candidate = pack(&folder.path().join("candidate"), Plant::Darker(0.2));
    let file = folder.path().join("prompts.txt");
    fs::write(&file, "a dog on a sofa\na star\na tree\na cat\na car\na fish\n").expect("a file");
    let asked = gate(&candidate, &folder.path().join("gate"));
    let asked = GeneratorGate { champion, prompts: Prompts::File(file), pictures: 2, steps: 4, ..asked };
    let evidence = generator(&asked).expect("a verdict");
    let left_out: Vec<&str> = evidence.left_out.iter().map(|left| left.name.as_str()).collect();
    assert_eq!(left_out, ["gate judge"]);
    let flagged = evidence.measures.iter().find(|measure| measure.name == "flagged pictures").expect("the checker's");
    assert_eq!((flagged.champion, flagged.candidate), (Some(1.0), Some(0.0)), "only what is bright is flagged");
    assert!(failed(&evidence).contains(&"saturation"), "{}", evidence.markdown());
}

#[test]
fn packs_of_two_sizes_are_not_compared() {
    let folder = tempfile::tempdir().expect("a folder");
    let candidate = pack(&folder.path().join("candidate"), Plant::WeightNoise(0.0));
    let path = candidate.join("unet/config.json");
    let text = fs::read_to_string(&path).expect("a file").replace("\"sample_size\": 16", "\"sample_size\": 32");
    fs::write(&path, text).expect("a file");
    let settings = plaudit::runtime::SessionSettings::default();
    plaudit::pack::seal(&candidate, "wide", &Default::default(), &settings, |_| ()).expect("a pack");
    let error = generator(&gate(&candidate, &folder.path().join("gate"))).expect_err("no comparison");
    assert!(matches!(error, GateError::Size { .. }), "{error}");
}
