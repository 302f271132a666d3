//! Prompts become the ids that diffusers feeds. Fixtures: `tests/golden/scripts/tokens.py`.

mod common;

use std::fs;

use common::{all_hold, golden, json};
use plaudit::pipeline::tokenize::Tokenizer;
use serde::Deserialize;

#[derive(Deserialize)]
struct Case {
    text: String,
    ids: Vec<i64>,
    length: usize,
}

fn all_equal(tokenizer: &Tokenizer) {
    let differs = |case: Case| {
        let tokens = tokenizer.encode(&case.text).expect("tokens");
        let was_cut = case.length > tokenizer.length();
        let same = tokens.ids == case.ids && tokens.cut.is_some() == was_cut;
        (!same).then(|| format!("{:?}:\n  {:?}\n  {:?}", case.text, tokens.ids, case.ids))
    };
    all_hold(json::<Vec<Case>>("tokens.json").into_iter().filter_map(differs).collect());
}

#[test]
fn ids_are_those_of_diffusers_from_vocabulary_and_merges() {
    all_equal(&Tokenizer::open(&golden("tiny_sd/tokenizer")).unwrap());
}

#[test]
fn ids_are_those_of_diffusers_from_tokenizer_json() {
    let folder = tempfile::tempdir().unwrap();
    fs::copy(golden("tokenizer.json"), folder.path().join("tokenizer.json")).unwrap();
    for name in ["tokenizer_config.json", "special_tokens_map.json"] {
        fs::copy(golden("tiny_sd/tokenizer").join(name), folder.path().join(name)).unwrap();
    }
    all_equal(&Tokenizer::open(folder.path()).unwrap());
}

#[test]
fn what_was_cut_is_quoted() {
    let tokenizer = Tokenizer::open(&golden("tiny_sd/tokenizer")).unwrap();
    let prompt = format!("{}fish, Two Hearts", "a ".repeat(75));
    let tokens = tokenizer.encode(&prompt).unwrap();
    assert_eq!(tokens.cut.as_deref(), Some("fish , two hearts"));
    assert_eq!(tokens.ids.len(), 77);
    assert_eq!(tokenizer.encode("a fish").unwrap().cut, None);
}

#[test]
fn the_padding_of_the_special_tokens_map_is_used() {
    let folder = tempfile::tempdir().unwrap();
    for name in ["vocab.json", "merges.txt", "tokenizer_config.json"] {
        fs::copy(golden("tiny_sd/tokenizer").join(name), folder.path().join(name)).unwrap();
    }
    fs::write(folder.path().join("special_tokens_map.json"), r#"{"pad_token": "!"}"#).unwrap();
    let ids = Tokenizer::open(folder.path()).unwrap().encode("a cat").unwrap().ids;
    assert_eq!(ids.last(), Some(&0));
}

#[test]
fn a_folder_without_a_tokenizer_says_what_is_missing() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("tokenizer_config.json"), r#"{"model_max_length": 77}"#).unwrap();
    let message = Tokenizer::open(folder.path()).unwrap_err().to_string();
    assert!(message.contains("vocab.json") && message.contains("tokenizer.json"), "{message}");
}
