//! Prompts with another meaning, made by rule: the prompt with its count, a colour, a thing or its place changed.
//!
//! Prompt classification (Lee et al. 2023, §4.1) learns to tell a picture's own prompt from them, and a text-normalised
//! score (TextNorm) asks by how much the own prompt wins. Plain English is read by a lexicon, no model: what it does not
//! know stays as it is, and a prompt without a word of it has no contrasts.

mod lexicon;
mod sites;
mod text;

use lexicon::{COLOURS, MOST, NUMBERS, PLACES, THINGS};
use sites::{Noun, Site, sites};
use text::{Change, Word, article, changed, words};

/// What a contrast changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// How many.
    Count,
    /// In which colour.
    Colour,
    /// What.
    Object,
    /// Where.
    Background,
}

impl Kind {
    /// All, in the order in which contrasts take turns.
    pub const ALL: [Self; 4] = [Self::Count, Self::Colour, Self::Object, Self::Background];
}

/// A prompt that differs from another in one thing that it says.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Contrast {
    /// What was changed.
    pub kind: Kind,
    /// The changed prompt.
    pub prompt: String,
}

/// At most `most` contrasts of a prompt, always the same ones: the kinds take turns, the nearer changes of a kind come
/// first. Empty where the prompt says nothing that the lexicon knows.
pub fn contrasts(prompt: &str, most: usize) -> Vec<Contrast> {
    contrasts_among(prompt, most, |_| true)
}

/// [`contrasts`] that bring in only words for which `known` holds, for texts that a model with a small vocabulary reads.
pub fn contrasts_among(prompt: &str, most: usize, known: impl Fn(&str) -> bool) -> Vec<Contrast> {
    let words = words(prompt);
    let sites = sites(&words);
    let mut queues: Vec<Vec<Contrast>> = Kind::ALL
        .iter()
        .map(|kind| {
            let each = sites.iter().map(|site| of_site(prompt, &words, site, *kind, &known)).collect();
            interleaved(each)
        })
        .collect();
    for queue in &mut queues {
        queue.truncate(most);
    }
    let mut all = interleaved(queues);
    all.truncate(most);
    all
}

/// The first of each, then the second of each, and so on; what was there before is left out.
fn interleaved(lists: Vec<Vec<Contrast>>) -> Vec<Contrast> {
    let longest = lists.iter().map(Vec::len).max().unwrap_or(0);
    let turns = (0..longest).flat_map(|turn| lists.iter().filter_map(move |list| list.get(turn)));
    let mut seen = std::collections::HashSet::new();
    turns.filter(|contrast| seen.insert(&contrast.prompt)).cloned().collect()
}

fn of_site(prompt: &str, words: &[Word], site: &Site, kind: Kind, known: &impl Fn(&str) -> bool) -> Vec<Contrast> {
    let changes: Vec<Vec<Change>> = match (kind, site) {
        (Kind::Count, Site::Count { at, noun, number }) => counts(words, *at, *noun, *number, known),
        (Kind::Colour, Site::Colour { at, row }) => {
            let others = others(COLOURS.len(), *row).map(|other| COLOURS[other][0]);
            others.filter(|name| known(name)).map(|name| replaced(words, *at, name)).collect()
        }
        (Kind::Object, Site::Thing(noun)) => things(*noun, known).map(|name| replaced(words, noun.at, name)).collect(),
        (Kind::Background, Site::Place { words: said, row }) => {
            let at = words[said.start].at.start..words[said.end - 1].at.end;
            let others = others(PLACES.len(), *row).map(|other| PLACES[other][0]);
            let others = others.filter(|phrase| phrase.split(' ').all(known));
            others.map(|phrase| vec![(at.clone(), phrase.to_owned())]).collect()
        }
        _ => return Vec::new(),
    };
    changes.iter().map(|changes| Contrast { kind, prompt: changed(prompt, changes) }).collect()
}

/// All of a table but one, from its next on.
fn others(all: usize, but: usize) -> impl Iterator<Item = usize> {
    (1..all).map(move |step| (but + step) % all)
}

/// Other numbers, the nearest first. The noun agrees.
fn counts(words: &[Word], at: usize, noun: Noun, said: usize, known: &impl Fn(&str) -> bool) -> Vec<Vec<Change>> {
    let mut numbers: Vec<usize> = (1..=MOST).filter(|number| *number != said).collect();
    numbers.sort_by_key(|number| (number.abs_diff(said), *number));
    let (one, many) = THINGS[noun.kind][noun.thing];
    let change = |number: usize| {
        let name = if number == 1 { one } else { many };
        (known(NUMBERS[number - 1]) && known(name)).then(|| {
            vec![(words[at].at.clone(), NUMBERS[number - 1].to_owned()), (words[noun.at].at.clone(), name.to_owned())]
        })
    };
    numbers.into_iter().filter_map(change).collect()
}

/// Other things in the same number: one of the same kind, one of another kind, and so on.
fn things(noun: Noun, known: &impl Fn(&str) -> bool) -> impl Iterator<Item = &'static str> {
    let name = |(one, many): (&'static str, &'static str)| if noun.plural { many } else { one };
    let row = THINGS[noun.kind];
    let like = others(row.len(), noun.thing).map(|thing| name(row[thing])).filter(|name| known(name));
    let longest = THINGS.iter().map(|row| row.len()).max().unwrap_or(0);
    let kinds = || others(THINGS.len(), noun.kind);
    let unlike = (0..longest).flat_map(|thing| kinds().filter_map(move |kind| THINGS[kind].get(thing)));
    let unlike = unlike.map(|thing| name(*thing)).filter(|name| known(name));
    let (like, unlike): (Vec<_>, Vec<_>) = (like.collect(), unlike.collect());
    let longest = like.len().max(unlike.len());
    (0..longest).flat_map(move |turn| [like.get(turn).copied(), unlike.get(turn).copied()]).flatten()
}

/// Another word at a place. An article before it agrees.
fn replaced(words: &[Word], at: usize, name: &str) -> Vec<Change> {
    let before = at.checked_sub(1).map(|before| &words[before]).filter(|word| matches!(word.text.as_str(), "a" | "an"));
    let article = before.map(|word| (word.at.clone(), article(name).to_owned()));
    article.into_iter().chain([(words[at].at.clone(), name.to_owned())]).collect()
}

#[cfg(test)]
mod tests;
