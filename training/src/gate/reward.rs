//! Everything that is measured of two rewards.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use super::{
    Bound, Compared, Evidence, Kind, LeftOut, Looks, Measure, RewardBounds, RewardGate,
    pairs::{LEAST, UNKNOWN},
    votes::{Heads, Picture, Votes},
};
use crate::{
    measure::{Scored, bootstrap, expected_calibration_error, pairs_by_group, within_group_auroc},
    reward::evaluate::gain,
};

/// Equal-mass bins of the calibration error, as in reward reports.
const BINS: usize = 10;
/// Seed of every bootstrap.
const RESAMPLING: u64 = 0;
/// The numbers of the two in pairs of figures.
const CHAMPION: usize = 0;
const CANDIDATE: usize = 1;

/// One of the figures of a picture's looks.
type Look = fn(&Looks) -> f64;
/// A sum or a list for each group of one meaning.
type ByGroup<T> = BTreeMap<usize, T>;

/// Compares both on every dataset.
pub(super) fn evidence(gate: &RewardGate, heads: &Heads, sets: impl Iterator<Item = Votes>) -> Evidence {
    let (mut asked, mut measures, mut left_out) = (BTreeMap::new(), Vec::new(), Vec::new());
    for votes in sets {
        asked.insert(votes.name, facts(&votes));
        measures.extend(ranking(gate, &votes, &mut left_out));
        measures.push(calibration(gate, &votes));
        measures.extend(correlations(gate, &votes));
        match darkened(gate, &votes) {
            Some(measure) => measures.push(measure),
            None => left_out
                .push(LeftOut::new("reward of darkened pictures", &format!("{} has no good picture", votes.name))),
        }
    }
    let [champion, candidate] = [&heads.champion, &heads.candidate].map(|head| head.version().to_owned());
    Evidence::new(Kind::Reward, champion, candidate, json!(asked), measures, left_out)
}

fn facts(votes: &Votes) -> Value {
    let prompts: BTreeSet<usize> = votes.pictures.iter().map(|picture| picture.group).collect();
    json!({
        "rows_sha256": votes.sha256, "votes": votes.votes.len(), "pictures": votes.pictures.len(), "prompts": prompts.len(),
        "votes_of_parts_learned_from": votes.learned,
    })
}

/// AUROC within prompts: on all votes, by seen and held-out objects, by category.
fn ranking(gate: &RewardGate, votes: &Votes, left_out: &mut Vec<LeftOut>) -> Vec<Measure> {
    let RewardBounds { auroc_loss, objects_loss, category_loss, .. } = gate.bounds;
    let mut measures = Vec::new();
    let mut add = |on: String, loss: f64, belongs: &dyn Fn(&Picture) -> bool| {
        let sides = [CHAMPION, CANDIDATE].map(|side| votes.scored(side, belongs));
        let areas = [within_group_auroc(&sides[0]), within_group_auroc(&sides[1])];
        if sides[0].is_empty() {
            return;
        }
        let ranked = pairs_by_group(&sides[0]).values().filter(|(_, pairs)| *pairs > 0.0).count();
        if ranked < LEAST {
            let reason = format!("{on}: {ranked} prompts with thumbs up and down are too few for an interval");
            left_out.push(LeftOut::new("AUROC within prompts", &reason));
            return;
        }
        let [champion, candidate] = sides.map(|side| vec![side]);
        let found = gain(&candidate, &champion).unwrap_or(UNKNOWN);
        measures.push(Measure::new(
            "AUROC within prompts",
            &on,
            Compared::Difference,
            areas,
            found,
            Bound::at_least(-loss),
        ));
    };
    let name = votes.name;
    add(name.to_owned(), auroc_loss, &|_| true);
    for (on, held) in [("seen objects", false), ("held-out objects", true)] {
        add(format!("{name}, {on}"), objects_loss, &|picture| picture.held_out == Some(held));
    }
    for category in votes.categories() {
        add(format!("{name}, {category}"), category_loss, &|picture| picture.category.as_ref() == Some(&category));
    }
    measures
}

fn calibration(gate: &RewardGate, votes: &Votes) -> Measure {
    let sides = [CHAMPION, CANDIDATE].map(|side| by_group(votes.scored(side, &|_| true)));
    let error = |side: usize, drawn: &[usize]| {
        let scored: Vec<Scored> = drawn.iter().flat_map(|&group| &sides[side][group]).copied().collect();
        (!scored.is_empty()).then(|| expected_calibration_error(&scored, BINS))
    };
    let whole: Vec<usize> = (0..sides[0].len()).collect();
    let figures = [error(CHAMPION, &whole), error(CANDIDATE, &whole)];
    let difference = |drawn: &[usize]| Some(error(CANDIDATE, drawn)? - error(CHAMPION, drawn)?);
    let found = bootstrap(whole.len(), RESAMPLING, difference).unwrap_or(UNKNOWN);
    let bound = Bound::at_most(gate.bounds.calibration_rise);
    Measure::new("calibration error", votes.name, Compared::Difference, figures, found, bound)
}

fn by_group(scored: Vec<Scored>) -> Vec<Vec<Scored>> {
    let mut groups: ByGroup<Vec<Scored>> = BTreeMap::new();
    scored.into_iter().for_each(|one| groups.entry(one.group).or_default().push(one));
    groups.into_values().collect()
}

/// Correlations of reward and looks among pictures of one prompt: what has nothing to do with the prompt should not decide.
fn correlations(gate: &RewardGate, votes: &Votes) -> Vec<Measure> {
    let RewardBounds { dark_correlation_rise, look_correlation_change, .. } = gate.bounds;
    let rows: [(&str, Look, Bound); 4] = [
        ("correlation with darkness", |looks| 1.0 - looks.brightness, Bound::at_most(dark_correlation_rise)),
        ("correlation with saturation", |looks| looks.saturation, Bound::within(look_correlation_change)),
        ("correlation with saturated pixels", |looks| looks.saturated, Bound::within(look_correlation_change)),
        ("correlation with edge pixels", |looks| looks.edges, Bound::within(look_correlation_change)),
    ];
    let measure = |(name, look, bound): (&str, Look, Bound)| {
        let sums = [CHAMPION, CANDIDATE].map(|side| moments(votes, side, look));
        let whole: Vec<usize> = (0..sums[0].len()).collect();
        let of = |side: usize, drawn: &[usize]| correlation(&sums[side], drawn);
        let difference = |drawn: &[usize]| Some(of(CANDIDATE, drawn)? - of(CHAMPION, drawn)?);
        let found = bootstrap(whole.len(), RESAMPLING, difference);
        // Pictures that all look alike in this say nothing of it.
        let figures = [of(CHAMPION, &whole), of(CANDIDATE, &whole)];
        found.map(|found| Measure::new(name, votes.name, Compared::Difference, figures, found, bound))
    };
    rows.into_iter().filter_map(measure).collect()
}

/// Of each prompt: sums over its pictures of xy, xx and yy, with x the reward and y the look, both less the prompt's mean.
fn moments(votes: &Votes, side: usize, look: Look) -> Vec<[f64; 3]> {
    let mut groups: ByGroup<Vec<(f64, f64)>> = BTreeMap::new();
    for picture in &votes.pictures {
        groups.entry(picture.group).or_default().push((picture.rewards[side], look(&picture.looks)));
    }
    let sums = |rows: &Vec<(f64, f64)>| {
        let mean = |of: fn(&(f64, f64)) -> f64| rows.iter().map(of).sum::<f64>() / rows.len() as f64;
        let (x, y) = (mean(|row| row.0), mean(|row| row.1));
        rows.iter().fold([0.0; 3], |[xy, xx, yy], row| {
            let (x, y) = (row.0 - x, row.1 - y);
            [xy + x * y, xx + x * x, yy + y * y]
        })
    };
    groups.values().map(sums).collect()
}

/// The pooled correlation within prompts; `None` where nothing varies.
fn correlation(sums: &[[f64; 3]], drawn: &[usize]) -> Option<f64> {
    let [xy, xx, yy] = drawn.iter().fold([0.0; 3], |[xy, xx, yy], &group| {
        let [a, b, c] = sums[group];
        [xy + a, xx + b, yy + c]
    });
    (xx > 0.0 && yy > 0.0).then(|| xy / (xx * yy).sqrt())
}

/// By how much rewards of good pictures rise when they are darkened: the candidate's own figure, since no champion excuses it.
fn darkened(gate: &RewardGate, votes: &Votes) -> Option<Measure> {
    let mut groups: ByGroup<Vec<[f64; 2]>> = BTreeMap::new();
    for picture in &votes.pictures {
        let rise = picture.darkened.map(|dark| [dark[0] - picture.rewards[0], dark[1] - picture.rewards[1]]);
        groups.entry(picture.group).or_default().extend(rise);
    }
    let groups: Vec<Vec<[f64; 2]>> = groups.into_values().filter(|rises| !rises.is_empty()).collect();
    let rise = |side: usize, drawn: &[usize]| {
        let (mut sum, mut count) = (0.0, 0.0);
        for one in drawn.iter().flat_map(|&group| &groups[group]) {
            (sum, count) = (sum + one[side], count + 1.0);
        }
        (count > 0.0).then(|| sum / count)
    };
    let whole: Vec<usize> = (0..groups.len()).collect();
    let found = bootstrap(groups.len(), RESAMPLING, |drawn| rise(CANDIDATE, drawn))?;
    let figures = [rise(CHAMPION, &whole), rise(CANDIDATE, &whole)];
    let bound = Bound::at_most(gate.bounds.darkened_rise);
    Some(Measure::new("rise of darkened pictures", votes.name, Compared::Figure, figures, found, bound))
}
