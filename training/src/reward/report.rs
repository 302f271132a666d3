//! Figures of a training: what was learned, and how far it can be trusted.

use std::{collections::BTreeMap, fs, path::Path};

use serde::Serialize;

use super::{
    Calibration, Recipe, RewardError, Training, Variant,
    evaluate::{self, BySeed, Measured, Row, Score, Scorer, Set},
    fit::Bench,
    plot, score, table,
    variant::{Head, Trained},
};
use crate::{
    collect::Part,
    measure::{Bin, Interval},
};

/// What CLIP is called among scorers.
pub(super) const CLIP: &str = "clip score";

/// Everything that `report.json` says.
#[derive(Debug, Serialize)]
pub(super) struct Report {
    pub(super) name: String,
    pub(super) dataset: Dataset,
    pub(super) recipe: Recipe,
    pub(super) calibration: Calibration,
    /// Step of the best look and steps done, by run.
    pub(super) runs: BTreeMap<String, [u64; 2]>,
    pub(super) rows: Vec<Row>,
    /// By how much the reward's area within prompts, against truth, is above that of others.
    pub(super) gains: Vec<Gain>,
    /// Reliability of the reward before and after calibration, over both sets.
    pub(super) reliability: [Vec<Bin>; 2],
}

#[derive(Debug, Serialize)]
pub(super) struct Dataset {
    rows_sha256: String,
    images: usize,
    prompts: usize,
    meanings: usize,
    /// Votes, pictures and share of thumbs up by part.
    pub(super) parts: BTreeMap<&'static str, PartFacts>,
    pub(super) raters_held_out: bool,
    pub(super) votes_left_out: usize,
}

#[derive(Debug, Serialize)]
pub(super) struct PartFacts {
    pub(super) votes: usize,
    pub(super) images: usize,
    pub(super) up: f64,
    /// Share of right pictures, where truth is known.
    pub(super) good: Option<f64>,
}

#[derive(Debug, Serialize)]
pub(super) struct Gain {
    pub(super) set: Set,
    pub(super) over: &'static str,
    pub(super) within: Interval,
}

/// Measures every variant and CLIP on votes and pictures that no training saw.
pub(super) fn measure(training: &Training, bench: &Bench<'_>, trained: &[Trained]) -> Result<Report, RewardError> {
    let contrasts = training.objective.prompts - 1;
    let mut measured: Vec<(&'static str, Measured)> = Vec::new();
    for one in trained {
        measured.push((name(one), evaluate::measure(bench, &scorer(bench, one), contrasts)?));
    }
    measured.push((CLIP, evaluate::measure(bench, &clip(bench), contrasts)?));
    let head = &trained[0].heads[0];
    let runs = trained.iter().flat_map(|one| one.heads.iter().map(|head| run(one.variant, head))).collect();
    Ok(Report {
        name: training.name.clone(),
        dataset: dataset(bench),
        recipe: head.recipe.clone(),
        calibration: head.calibration.clone(),
        runs,
        gains: gains(&measured),
        reliability: measured[0].1.reliability.clone(),
        rows: measured.into_iter().flat_map(|(_, measured)| measured.rows).collect(),
    })
}

fn run(variant: Variant, head: &Head) -> (String, [u64; 2]) {
    (format!("{}-{}", variant.word(), head.recipe.seed), [head.fitted.step, head.fitted.steps])
}

fn name(trained: &Trained) -> &'static str {
    match (trained.variant, trained.heads[0].recipe.shape.product) {
        (Variant::Reward, _) => "reward",
        (Variant::NoAuxiliary, _) => "without auxiliary loss",
        (Variant::HalfImages, _) => "half the images",
        (Variant::OtherFeatures, true) => "with product features",
        (Variant::OtherFeatures, false) => "without product features",
    }
}

fn scorer<'a>(bench: &'a Bench<'_>, trained: &'a Trained) -> Scorer<'a> {
    let raw = |head: &'a Head| -> Score<'a> {
        Box::new(move |pairs| score::raw(&head.recipe.shape, &head.fitted.weights, bench.embedded, pairs))
    };
    let calibrations = trained.heads.iter().map(|head| head.calibration.clone()).collect();
    Scorer { name: name(trained), raw: trained.heads.iter().map(raw).collect(), calibrations }
}

/// CLIP's cosine, brought to [0, 1] and calibrated on the same votes.
fn clip<'a>(bench: &'a Bench<'_>) -> Scorer<'a> {
    let unit = |pairs: &[(usize, usize)]| -> Vec<f64> {
        score::cosines(bench.embedded, pairs).into_iter().map(|cosine| (1.0 + cosine) / 2.0).collect()
    };
    let votes = bench.split.votes(Part::Calibration);
    let calibration = Calibration::fit(&bench.scored(votes, &unit(&bench.pairs(votes))));
    Scorer { name: CLIP, raw: vec![Box::new(move |pairs| Ok(unit(pairs)))], calibrations: vec![calibration] }
}

fn gains(measured: &[(&'static str, Measured)]) -> Vec<Gain> {
    let Some((_, reward)) = measured.first() else { return Vec::new() };
    let over = |(over, other): &(&'static str, Measured)| {
        let pairs = reward.truth.iter().zip(&other.truth);
        let gain = |((set, one), (_, other)): (&(Set, BySeed), &(Set, BySeed))| {
            evaluate::gain(one, other).map(|within| Gain { set: *set, over, within })
        };
        pairs.filter_map(gain).collect::<Vec<_>>()
    };
    measured[1..].iter().flat_map(over).collect()
}

fn dataset(bench: &Bench<'_>) -> Dataset {
    let data = bench.data;
    let facts = |part: Part| {
        let (votes, images) = (bench.split.votes(part), bench.split.images(data, part));
        let up = votes.iter().filter(|&&vote| data.votes[vote].good).count() as f64 / votes.len().max(1) as f64;
        let truths: Vec<bool> = images.iter().filter_map(|&image| data.images[image].truth).collect();
        let good = truths.iter().filter(|&&good| good).count() as f64 / truths.len() as f64;
        let facts =
            PartFacts { votes: votes.len(), images: images.len(), up, good: Some(good).filter(|g| g.is_finite()) };
        (part.word(), facts)
    };
    Dataset {
        rows_sha256: data.sha256.clone(),
        images: data.images.len(),
        prompts: data.prompts.len(),
        meanings: data.meanings.len(),
        parts: Part::ALL.into_iter().map(facts).collect(),
        raters_held_out: bench.split.by_rater,
        votes_left_out: bench.split.left_out,
    }
}

impl Report {
    pub(super) fn json(&self) -> String {
        // Numbers, texts and maps with text keys always serialise.
        serde_json::to_string_pretty(self).unwrap_or_default() + "\n"
    }

    /// Writes `report.json`, `report.md`, `figure3.svg` and `calibration.svg`.
    pub(super) fn write(&self, folder: &Path) -> Result<(), RewardError> {
        let files = [
            ("report.json", self.json()),
            ("report.md", table::markdown(self)),
            ("figure3.svg", plot::figure3(self)?),
            ("calibration.svg", plot::calibration(self)?),
        ];
        for (name, text) in files {
            let path = folder.join(name);
            fs::write(&path, text).map_err(RewardError::io("write", &path))?;
        }
        Ok(())
    }
}
