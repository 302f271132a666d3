//! Which votes are learned from and which are measured on.
//!
//! Prompts of one meaning are in one part, and so is every rater (but that `test` and `held_out` share theirs): a held-out vote is one of a
//! held-out rater on a held-out prompt. Rows that name their part keep it. For others, meanings and raters are dealt by hash, and a vote
//! whose rater and prompt fell into different parts is left out. With few raters that would leave too little: then prompts alone are dealt.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use super::{
    RewardError,
    data::{Data, meaning},
};
use crate::{collect::Part, miniature::grammar::Scene, random::Random};

/// Raters from which on they are dealt too.
const RATERS: usize = 12;

/// Votes by part.
#[derive(Debug, Clone)]
pub(super) struct Split {
    parts: BTreeMap<Part, Vec<usize>>,
    /// Whether raters are held out as well as prompts.
    pub(super) by_rater: bool,
    /// Votes whose rater and prompt are in different parts.
    pub(super) left_out: usize,
}

impl Split {
    pub(super) fn of(data: &Data, seed: u64, deal_raters: bool) -> Result<Self, RewardError> {
        let given = data.votes.iter().all(|vote| vote.part.is_some());
        let (parts, by_rater) = if given { (given_parts(data), true) } else { dealt_parts(data, seed, deal_raters) };
        let mut split = Self { parts: BTreeMap::new(), by_rater, left_out: 0 };
        for (vote, part) in parts.into_iter().enumerate() {
            match part {
                Some(part) => split.parts.entry(part).or_default().push(vote),
                None => split.left_out += 1,
            }
        }
        split.refuse_leaks(data)?;
        Ok(split)
    }

    /// Numbers of a part's votes.
    pub(super) fn votes(&self, part: Part) -> &[usize] {
        self.parts.get(&part).map_or(&[], Vec::as_slice)
    }

    /// Pictures of a part, each once, in order.
    pub(super) fn images(&self, data: &Data, part: Part) -> Vec<usize> {
        self.votes(part).iter().map(|&vote| data.votes[vote].image).collect::<BTreeSet<_>>().into_iter().collect()
    }

    /// Refuses parts without a good and a bad vote.
    pub(super) fn require_votes(&self, data: &Data) -> Result<(), RewardError> {
        let purposes = [
            (Part::Train, "learn from"),
            (Part::Validation, "say when to stop"),
            (Part::Calibration, "calibrate with"),
            (Part::Test, "measure on"),
        ];
        for (part, purpose) in purposes {
            let good = self.votes(part).iter().filter(|&&vote| data.votes[vote].good).count();
            let bad = self.votes(part).len() - good;
            if good == 0 || bad == 0 {
                return Err(RewardError::Few { part: part.word(), good, bad, purpose });
            }
        }
        Ok(())
    }

    fn refuse_leaks(&self, data: &Data) -> Result<(), RewardError> {
        let mut meanings = HashMap::new();
        let mut raters = HashMap::new();
        for (&part, votes) in &self.parts {
            for &vote in votes {
                let vote = &data.votes[vote];
                let meaning = data.meaning_of(vote.image);
                let before = *meanings.entry(meaning).or_insert(part);
                if before != part {
                    return Err(leak("prompt", &data.meanings[meaning], before, part));
                }
                let before = *raters.entry(&vote.rater).or_insert(part.crew());
                if self.by_rater && before != part.crew() {
                    return Err(leak("rater", &vote.rater, before, part));
                }
            }
        }
        Ok(())
    }
}

fn leak(what: &'static str, name: &str, one: Part, other: Part) -> RewardError {
    RewardError::Leak { what, name: name.to_owned(), one: one.word(), other: other.word() }
}

fn given_parts(data: &Data) -> Vec<Option<Part>> {
    data.votes.iter().map(|vote| vote.part).collect()
}

fn dealt_parts(data: &Data, seed: u64, deal_raters: bool) -> (Vec<Option<Part>>, bool) {
    let meanings: Vec<Part> = data.meanings.iter().map(|meaning| part_of_meaning(meaning, seed)).collect();
    let mut names: Vec<&str> =
        data.votes.iter().map(|vote| vote.rater.as_str()).collect::<BTreeSet<_>>().into_iter().collect();
    names.sort_by(|one, other| place(seed, "rater", one).total_cmp(&place(seed, "rater", other)));
    let by_rater = deal_raters && names.len() >= RATERS;
    let dealt = |(at, name): (usize, &&str)| ((*name).to_owned(), Part::at((at as f64 + 0.5) / names.len() as f64));
    let raters: HashMap<String, Part> = names.iter().enumerate().map(dealt).collect();
    let part = |vote: &super::data::Vote| {
        let part = meanings[data.meaning_of(vote.image)];
        (!by_rater || raters[&vote.rater] == part.crew()).then_some(part)
    };
    (data.votes.iter().map(part).collect(), by_rater)
}

/// The part that votes on a prompt are dealt to. It follows from the prompt's meaning and the seed alone: the same in every dataset.
pub(crate) fn part_of(prompt: &str, seed: u64) -> Part {
    part_of_meaning(&meaning(prompt), seed)
}

fn part_of_meaning(meaning: &str, seed: u64) -> Part {
    let held = meaning.parse::<Scene>().is_ok_and(|scene| scene.object.is_held_out());
    if held { Part::HeldOut } else { Part::at(place(seed, "prompt", meaning)) }
}

/// A place in [0, 1) that depends on seed and name alone.
fn place(seed: u64, what: &str, name: &str) -> f64 {
    Random::stream(seed, &format!("{what} {name}")).unit()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::reward::data::{Image, Prompt, Vote};

    fn data(raters: usize, part: impl Fn(usize, usize) -> Option<Part>) -> Data {
        let meanings: Vec<String> = (0..200).map(|number| format!("prompt {number}")).collect();
        let prompts =
            meanings.iter().enumerate().map(|(meaning, text)| Prompt { text: text.clone(), category: None, meaning });
        let image =
            |number: usize| Image { id: number.to_string(), sha256: None, prompt: number / 4, rank: 0, truth: None };
        let vote = |number: usize| {
            let (image, rater) = (number / 5, number * 7 % raters);
            Vote { image, rater: rater.to_string(), good: true, weight: 1.0, part: part(image / 4, rater) }
        };
        Data {
            prompts: prompts.collect(),
            meanings,
            images: (0..800).map(image).collect(),
            votes: (0..4000).map(vote).collect(),
            sha256: String::new(),
        }
    }

    #[test]
    fn dealt_parts_share_no_prompt_and_no_rater() {
        let data = data(30, |_, _| None);
        let split = Split::of(&data, 0, true).expect("no leak");
        assert!(split.by_rater && split.left_out > 0);
        let raters = |part| split.votes(part).iter().map(|&vote| &data.votes[vote].rater).collect::<BTreeSet<_>>();
        let prompts = |part| {
            split.votes(part).iter().map(|&vote| data.images[data.votes[vote].image].prompt).collect::<BTreeSet<_>>()
        };
        let parts = [Part::Train, Part::Validation, Part::Calibration, Part::Test];
        for (at, &one) in parts.iter().enumerate() {
            assert!(!split.votes(one).is_empty(), "{}", one.word());
            for &other in &parts[at + 1..] {
                assert!(raters(one).is_disjoint(&raters(other)) && prompts(one).is_disjoint(&prompts(other)));
            }
        }
    }

    #[test]
    fn few_raters_are_not_dealt() {
        let data = data(3, |_, _| None);
        let split = Split::of(&data, 0, true).expect("no leak");
        assert!(!split.by_rater && split.left_out == 0);
        let split = Split::of(&self::data(30, |_, _| None), 0, false).expect("no leak");
        assert!(!split.by_rater && split.left_out == 0, "nor where nobody asks for it");
    }

    #[test]
    fn parts_that_leak_are_refused_by_name() {
        let by_prompt = |prompt: usize, _| Some(if prompt < 100 { Part::Train } else { Part::Test });
        let error = Split::of(&data(30, by_prompt), 0, true).expect_err("raters in two parts").to_string();
        assert!(error.contains("rater"), "{error}");
        let by_rater = |_, rater: usize| Some(if rater < 15 { Part::Train } else { Part::Test });
        let error = Split::of(&data(30, by_rater), 0, true).expect_err("prompts in two parts").to_string();
        assert!(error.contains("prompt `prompt 0`"), "{error}");
    }
}
