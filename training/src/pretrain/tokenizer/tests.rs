use std::{collections::BTreeSet, fs, path::PathBuf};

use super::*;
use crate::miniature::grammar::{Background, Colour, Count, Object};

fn pack() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../onnx/packs/miniature/tokenizer")
}

#[test]
fn the_vocabulary_has_the_size_of_the_embedding_and_no_token_twice() {
    let vocabulary = train();
    assert_eq!(vocabulary.tokens.len(), TEXT_TOKENS);
    assert_eq!(vocabulary.tokens.iter().collect::<BTreeSet<_>>().len(), TEXT_TOKENS);
    assert_eq!(vocabulary.merges.len(), TEXT_TOKENS - 512);
}

#[test]
fn every_word_that_carries_meaning_is_one_token() {
    let tokens: BTreeSet<String> = train().tokens.into_iter().collect();
    let nouns = Object::ALL.into_iter().flat_map(|object| [object.words().0, object.words().1]);
    let places = Background::ALL.into_iter().flat_map(|place| place.phrases()[0].split(' '));
    let others = Colour::ALL.into_iter().map(Colour::word).chain(Count::all().map(Count::word));
    for word in nouns.chain(places).chain(others) {
        assert!(tokens.contains(&format!("{word}{WORD_END}")), "{word}");
    }
}

#[test]
fn the_packs_tokenizer_is_what_training_gives() {
    let fresh = tempfile::tempdir().unwrap();
    write(&train(), fresh.path()).unwrap();
    for name in ["vocab.json", "merges.txt", "tokenizer_config.json", "special_tokens_map.json"] {
        let [ours, committed] = [fresh.path(), &pack()].map(|folder| fs::read_to_string(folder.join(name)).unwrap());
        assert!(ours == committed, "{name} differs; run `plaudit-train pretrain --stage tokenizer`");
    }
}
