//! What a scorer is worth: ranking and probability, on seen and held-out objects, against votes and truth, by category.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

use super::{Calibration, RewardError, fit::Bench};
use crate::{
    collect::Part,
    measure::{
        Bin, Interval, Scored, accuracy, auroc, bins, bootstrap, brier, expected_calibration_error, pairs_by_group,
    },
};

/// Equal-mass bins of the calibration error.
const BINS: usize = 10;
/// Seed of every bootstrap.
const RESAMPLING: u64 = 0;
/// The name that stands for all categories.
const ALL: &str = "all";

/// Prompts that are measured on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Set {
    /// Objects that were learned from, prompts and raters that were not.
    Seen,
    /// Objects, prompts and raters that were not learned from.
    HeldOut,
    /// Both.
    Both,
}

impl Set {
    pub(super) const ALL: [Self; 3] = [Self::Seen, Self::HeldOut, Self::Both];

    fn parts(self) -> &'static [Part] {
        match self {
            Self::Seen => &[Part::Test],
            Self::HeldOut => &[Part::HeldOut],
            Self::Both => &[Part::Test, Part::HeldOut],
        }
    }

    pub(super) fn word(self) -> &'static str {
        match self {
            Self::Seen => "seen objects",
            Self::HeldOut => "held-out objects",
            Self::Both => "both",
        }
    }
}

/// Raw scores of pairs (picture, text) by their numbers.
pub(super) type Score<'a> = Box<dyn Fn(&[(usize, usize)]) -> Result<Vec<f64>, RewardError> + 'a>;

/// A scorer under measurement.
pub(super) struct Scorer<'a> {
    pub(super) name: &'static str,
    /// One for each seed: raw scores of pairs (picture, text).
    pub(super) raw: Vec<Score<'a>>,
    /// The seeds' calibrations.
    pub(super) calibrations: Vec<Calibration>,
}

/// One row of the report: a scorer on a set and a category.
#[derive(Debug, Clone, Serialize)]
pub(super) struct Row {
    pub(super) scorer: &'static str,
    pub(super) set: Set,
    pub(super) category: String,
    pub(super) votes: usize,
    pub(super) images: usize,
    pub(super) prompts: usize,
    /// Against held-out votes.
    pub(super) accuracy: f64,
    pub(super) brier: f64,
    /// Before and after calibration, over equal-mass bins.
    pub(super) ece_raw: f64,
    pub(super) ece: f64,
    pub(super) auroc: Option<f64>,
    pub(super) within: Option<Interval>,
    /// Against truth, where it is known.
    pub(super) truth_accuracy: Option<f64>,
    pub(super) truth_auroc: Option<f64>,
    pub(super) truth_within: Option<Interval>,
    /// How often a right picture's own prompt scores above all its contrasts.
    pub(super) top1: Option<Interval>,
}

/// Numbers of one scorer for one seed, for every vote and picture of the measured parts.
struct Scores {
    raw: Vec<f64>,
    calibrated: Vec<f64>,
    truth: Vec<f64>,
    top1: Vec<f64>,
}

/// Calibrated scores beside the truth, one list for each seed.
pub(super) type BySeed = Vec<Vec<Scored>>;

/// Rows of a scorer, and its scores for the figures that compare scorers.
pub(super) struct Measured {
    pub(super) rows: Vec<Row>,
    /// Against truth, per seed, by set.
    pub(super) truth: Vec<(Set, BySeed)>,
    /// Reliability of the first seed on both sets, before and after.
    pub(super) reliability: [Vec<Bin>; 2],
}

/// Measures a scorer on every set and category.
pub(super) fn measure(bench: &Bench<'_>, scorer: &Scorer<'_>, contrasts: usize) -> Result<Measured, RewardError> {
    let mut measured = Measured { rows: Vec::new(), truth: Vec::new(), reliability: [Vec::new(), Vec::new()] };
    for set in Set::ALL {
        let subject = Subject::of(bench, set, contrasts);
        if subject.votes.is_empty() {
            continue;
        }
        let scores = scorer.raw.iter().zip(&scorer.calibrations).map(|(raw, calibration)| {
            let votes = raw(&bench.pairs(&subject.votes))?;
            let calibrated = votes.iter().map(|&score| calibration.apply(score)).collect();
            let truth = raw(&subject.own)?.into_iter().map(|score| calibration.apply(score)).collect();
            Ok(Scores { raw: votes, calibrated, truth, top1: subject.top1(&raw(&subject.choices)?, contrasts) })
        });
        let scores: Vec<Scores> = scores.collect::<Result<_, RewardError>>()?;
        for category in subject.categories() {
            measured.rows.push(row(bench, scorer.name, set, &category, &subject, &scores));
        }
        let truth = scores.iter().map(|scores| subject.against_truth(bench, &scores.truth, ALL)).collect();
        measured.truth.push((set, truth));
        if set == Set::Both {
            let first = |scores: &[f64]| bins(&bench.scored(&subject.votes, scores), BINS);
            measured.reliability = [first(&scores[0].raw), first(&scores[0].calibrated)];
        }
    }
    Ok(measured)
}

/// Votes and pictures of a set.
struct Subject {
    votes: Vec<usize>,
    categories: Vec<String>,
    /// Pictures whose truth is known, with their own texts.
    own: Vec<(usize, usize)>,
    truths: Vec<(bool, usize, String)>,
    /// Right pictures with their own text and contrasts, one after the other.
    choices: Vec<(usize, usize)>,
    chosen: Vec<(usize, String)>,
}

impl Subject {
    fn of(bench: &Bench<'_>, set: Set, contrasts: usize) -> Self {
        let votes: Vec<usize> = set.parts().iter().flat_map(|&part| bench.split.votes(part)).copied().collect();
        let category = |image: usize| bench.data.prompt_of(image).category.clone().unwrap_or_else(|| "other".into());
        let categories = votes.iter().map(|&vote| category(bench.data.votes[vote].image)).collect();
        let mut subject =
            Self { votes, categories, own: Vec::new(), truths: Vec::new(), choices: Vec::new(), chosen: Vec::new() };
        for image in set.parts().iter().flat_map(|&part| bench.split.images(bench.data, part)) {
            let Some(good) = bench.data.images[image].truth else { continue };
            let (prompt, meaning) = (bench.data.images[image].prompt, bench.data.meaning_of(image));
            let (own, others) = (bench.embedded.own(prompt), bench.embedded.contrasts(prompt));
            subject.own.push((image, own));
            subject.truths.push((good, meaning, category(image)));
            if good && others.len() >= contrasts {
                subject.chosen.push((meaning, category(image)));
                let texts = std::iter::once(own).chain(others[..contrasts].iter().copied());
                subject.choices.extend(texts.map(|text| (image, text)));
            }
        }
        subject
    }

    /// Whether each right picture's own text scores highest: 1 or 0.
    fn top1(&self, scores: &[f64], contrasts: usize) -> Vec<f64> {
        let first = |choice: &[f64]| f64::from(u8::from(choice[1..].iter().all(|&other| other < choice[0])));
        scores.chunks(contrasts + 1).map(first).collect()
    }

    fn categories(&self) -> Vec<String> {
        let named: BTreeSet<String> = self.categories.iter().cloned().collect();
        std::iter::once(ALL.to_owned()).chain(named).collect()
    }

    fn against_votes(&self, bench: &Bench<'_>, scores: &[f64], category: &str) -> Vec<Scored> {
        let all = bench.scored(&self.votes, scores);
        let chosen = all.into_iter().zip(&self.categories);
        chosen.filter(|(_, found)| category == ALL || *found == category).map(|(one, _)| one).collect()
    }

    fn against_truth(&self, _: &Bench<'_>, scores: &[f64], category: &str) -> Vec<Scored> {
        let chosen = self.truths.iter().zip(scores).filter(|((.., found), _)| category == ALL || found == category);
        chosen.map(|(&(good, group, _), &score)| Scored { score, good, group }).collect()
    }
}

fn row(bench: &Bench<'_>, scorer: &'static str, set: Set, category: &str, subject: &Subject, scores: &[Scores]) -> Row {
    let votes = |of: fn(&Scores) -> &Vec<f64>| -> Vec<Vec<Scored>> {
        scores.iter().map(|scores| subject.against_votes(bench, of(scores), category)).collect()
    };
    let (raw, calibrated) = (votes(|scores| &scores.raw), votes(|scores| &scores.calibrated));
    let truth: Vec<Vec<Scored>> =
        scores.iter().map(|scores| subject.against_truth(bench, &scores.truth, category)).collect();
    let ece = |scored: &[Scored]| Some(expected_calibration_error(scored, BINS));
    let known = |figure: Option<f64>| figure.filter(|figure| figure.is_finite());
    Row {
        scorer,
        set,
        category: category.to_owned(),
        votes: calibrated[0].len(),
        images: truth[0].len(),
        prompts: calibrated[0].iter().map(|one| one.group).collect::<BTreeSet<_>>().len(),
        accuracy: mean(&calibrated, |scored| Some(accuracy(scored))).unwrap_or(f64::NAN),
        brier: mean(&calibrated, |scored| Some(brier(scored))).unwrap_or(f64::NAN),
        ece_raw: mean(&raw, ece).unwrap_or(f64::NAN),
        ece: mean(&calibrated, ece).unwrap_or(f64::NAN),
        auroc: mean(&calibrated, auroc),
        within: within(&calibrated),
        // A vote's probability is never far from one half where raters err; the truth is on its side of one half all the same.
        truth_accuracy: known(mean(&truth, |scored| Some(accuracy(scored)))),
        truth_auroc: mean(&truth, auroc),
        truth_within: within(&truth),
        top1: top1(subject, scores, category),
    }
}

fn mean(sets: &[Vec<Scored>], figure: impl Fn(&[Scored]) -> Option<f64>) -> Option<f64> {
    let found: Option<Vec<f64>> = sets.iter().map(|scored| figure(scored)).collect();
    found.map(|found| found.iter().sum::<f64>() / found.len() as f64)
}

/// Area within prompts, the mean over seeds, with an interval over prompts.
pub(super) fn within(sets: &[Vec<Scored>]) -> Option<Interval> {
    let sums: Vec<Vec<(f64, f64)>> = sets.iter().map(|scored| pairs_by_group(scored).into_values().collect()).collect();
    let groups = sums.first()?.len();
    bootstrap(groups, RESAMPLING, |drawn| area(&sums, drawn))
}

/// By how much one scorer's area within prompts is above another's, over the same prompts.
pub(crate) fn gain(one: &[Vec<Scored>], other: &[Vec<Scored>]) -> Option<Interval> {
    let sums = |sets: &[Vec<Scored>]| -> Vec<Vec<(f64, f64)>> {
        sets.iter().map(|scored| pairs_by_group(scored).into_values().collect()).collect()
    };
    let (one, other) = (sums(one), sums(other));
    let groups = one.first()?.len();
    bootstrap(groups, RESAMPLING, |drawn| Some(area(&one, drawn)? - area(&other, drawn)?))
}

fn area(seeds: &[Vec<(f64, f64)>], drawn: &[usize]) -> Option<f64> {
    let one = |sums: &Vec<(f64, f64)>| {
        let (area, pairs) = drawn.iter().fold((0.0, 0.0), |(a, p), &group| (a + sums[group].0, p + sums[group].1));
        (pairs > 0.0).then(|| area / pairs)
    };
    let areas: Option<Vec<f64>> = seeds.iter().map(one).collect();
    areas.map(|areas| areas.iter().sum::<f64>() / areas.len() as f64)
}

fn top1(subject: &Subject, scores: &[Scores], category: &str) -> Option<Interval> {
    let mut groups: BTreeMap<usize, (f64, f64)> = BTreeMap::new();
    for (at, (group, found)) in subject.chosen.iter().enumerate() {
        if category == ALL || found == category {
            let sum = groups.entry(*group).or_default();
            let right = scores.iter().map(|scores| scores.top1[at]).sum::<f64>() / scores.len() as f64;
            *sum = (sum.0 + right, sum.1 + 1.0);
        }
    }
    let sums = vec![groups.into_values().collect::<Vec<_>>()];
    bootstrap(sums[0].len(), RESAMPLING, |drawn| area(&sums, drawn))
}
