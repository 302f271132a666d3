//! What the tokenizer learns from: every prompt of the grammar, and common English words at Zipf's frequencies.

use std::collections::BTreeMap;

use crate::{
    miniature::grammar::{Background, Colour, Count, Object, Scene},
    random::Random,
};

/// The commonest word's weight; word `n` has this over `n`. Far below what grammar words reach, so each of those becomes
/// one token before any of these.
const COMMON_WEIGHT: u64 = 600;
/// Weight of one occurrence in a prompt, beside [`COMMON_WEIGHT`].
const PROMPT_WEIGHT: u64 = 4;
/// Seed of the paraphrases.
const SEED: u64 = 2302_12192;

const COMMON: &str = "the of and to in a is that for it was on are as with his they at be this from have or by one had \
    not but what all were when we there can an your which their said if do will each about how up out them then she \
    many some so these would other into has more her two like him see time could no make than first been its who now \
    people my made over did down only way find use may water long little very after words called just where most know \
    get through back much before go good new write our used me man too any day same right look think also around \
    another came come work three word must because does part even place well such here take why things help put years \
    different away again off went old number great tell men say small every found still between name should home big \
    give air line set own under read last never us left end along while might next sound below saw something thought \
    both few those always looked show large often together asked house world going want school important until form \
    food keep children feet land side without boy once animals life enough took sometimes four head above kind began \
    almost live page got earth need far hand high year mother light parts country father let night following picture \
    being study second eyes soon times story boys since white days ever paper hard near sentence better best across \
    during today others however sure means knew try told young miles sun ways thing whole hear example heard several \
    change answer room sea against top turned learn point city play toward five using himself usually photo painting \
    bright dark black gray golden silver happy sad tiny huge beautiful dog bird horse tree river mountain sky cloud";

/// Words with their weights.
pub(super) fn words() -> BTreeMap<String, u64> {
    let mut weights = BTreeMap::new();
    for (rank, word) in (1..).zip(COMMON.split_whitespace()) {
        *weights.entry(word.to_owned()).or_default() += (COMMON_WEIGHT / rank).max(1);
    }
    let mut random = Random::new(SEED);
    for scene in scenes() {
        for text in [scene.prompt(), scene.paraphrase(&mut random)] {
            for word in text.split_whitespace() {
                *weights.entry(word.to_owned()).or_default() += PROMPT_WEIGHT;
            }
        }
    }
    weights
}

fn scenes() -> impl Iterator<Item = Scene> {
    Object::ALL.into_iter().flat_map(|object| {
        Count::all().flat_map(move |count| {
            Colour::ALL.into_iter().flat_map(move |colour| {
                Background::ALL.into_iter().map(move |background| Scene {
                    object,
                    count: (count.get() > 1 || (colour as u8).is_multiple_of(2)).then_some(count),
                    colour: Some(colour),
                    background: Some(background),
                })
            })
        })
    })
}
