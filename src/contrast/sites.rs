//! Where a prompt says a count, a colour, a thing or a place.

use std::ops::Range;

use super::{
    lexicon::{COLOURS, NO_NOUNS, NUMBERS, PLACES, THINGS},
    text::Word,
};

/// Words between a count and the thing it counts, at most: "two very small red cars".
const REACH: usize = 4;

/// Something that a prompt says and that can be said otherwise. Numbers are places in the list of words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Site {
    /// `number` things.
    Count { at: usize, noun: Noun, number: usize },
    /// Row of [`COLOURS`].
    Colour { at: usize, row: usize },
    /// A thing.
    Thing(Noun),
    /// Row of [`PLACES`].
    Place { words: Range<usize>, row: usize },
}

/// A thing of the lexicon.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Noun {
    pub(super) at: usize,
    /// Its row of [`THINGS`], and its place there.
    pub(super) kind: usize,
    pub(super) thing: usize,
    pub(super) plural: bool,
}

/// All of them, in the order of the prompt.
pub(super) fn sites(words: &[Word]) -> Vec<Site> {
    let mut sites = Vec::new();
    let mut at = 0;
    while at < words.len() {
        if let Some((length, row)) = place(&words[at..]) {
            sites.push(Site::Place { words: at..at + length, row });
            at += length;
            continue;
        }
        if let Some(number) = number(&words[at].text)
            && let Some(noun) = counted(words, at)
        {
            sites.push(Site::Count { at, noun, number });
        } else if let Some(row) = colour(words, at) {
            sites.push(Site::Colour { at, row });
        } else if let Some(noun) = noun(words, at) {
            sites.push(Site::Thing(noun));
        }
        at += 1;
    }
    sites
}

/// The longest place that begins here: how many words, and its row.
fn place(words: &[Word]) -> Option<(usize, usize)> {
    let begins = |phrase: &str| {
        let mut length = 0;
        for said in phrase.split(' ') {
            if words.get(length).is_none_or(|word| word.text != said) {
                return None;
            }
            length += 1;
        }
        Some(length)
    };
    let rows = PLACES.iter().enumerate();
    rows.flat_map(|(row, phrases)| phrases.iter().filter_map(move |phrase| Some((begins(phrase)?, row))))
        .max_by_key(|(length, _)| *length)
}

/// An article means one, where a thing follows.
fn number(word: &str) -> Option<usize> {
    if matches!(word, "a" | "an") {
        return Some(1);
    }
    let spelled = NUMBERS.iter().position(|known| *known == word).map(|at| at + 1);
    spelled.or_else(|| word.parse().ok().filter(|number| (1..=NUMBERS.len()).contains(number)))
}

/// The thing that a count at this place counts.
fn counted(words: &[Word], at: usize) -> Option<Noun> {
    let said = number(&words[at].text)?;
    for next in at + 1..words.len().min(at + 2 + REACH) {
        if let Some(noun) = noun(words, next) {
            let plural = said > 1;
            let same = {
                let (one, many) = THINGS[noun.kind][noun.thing];
                one == many
            };
            return (noun.plural == plural || same).then_some(Noun { plural, ..noun });
        }
        let word = words[next].text.as_str();
        // "a bowl of …", "one of …": something else is counted.
        if NO_NOUNS.contains(&word) || number(word).is_some() {
            return None;
        }
    }
    None
}

fn colour(words: &[Word], at: usize) -> Option<usize> {
    let row = COLOURS.iter().position(|names| names.contains(&words[at].text.as_str()))?;
    let follows = words.get(at + 1)?;
    (!NO_NOUNS.contains(&follows.text.as_str())).then_some(row)
}

fn noun(words: &[Word], at: usize) -> Option<Noun> {
    let word = words[at].text.as_str();
    let found = |plural: bool| {
        THINGS.iter().enumerate().find_map(|(kind, things)| {
            let thing = things.iter().position(|(one, many)| word == if plural { *many } else { *one })?;
            Some(Noun { at, kind, thing, plural })
        })
    };
    found(false).or_else(|| found(true))
}
