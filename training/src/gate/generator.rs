//! Everything that is measured of two generators.

use serde_json::json;

use super::{
    Bound, Compared, Evidence, GeneratorBounds, GeneratorGate, Kind, LeftOut, Looks, Measure,
    distance::{Kernel, mmd, spread},
    draw::Gallery,
    pairs::{Figures, LEAST, UNKNOWN, Weighed, difference, differs, mean, ratio, weighed_mean, weighed_ratio},
    score::{Scores, Side},
    sheet,
};
use crate::{
    measure::{Interval, bootstrap},
    miniature::grammar::{Category, Scene},
};

/// The name that stands for all prompts.
pub(super) const ALL: &str = "all";
/// What the judge is called among measures.
const JUDGE: &str = "gate judge";

/// One of the figures that a side has.
type Of = fn(&Side) -> &Figures;
/// One of the figures of a picture's looks.
type Look = fn(&Looks) -> f64;

/// Compares all sides by every measure.
pub(super) fn evidence(gate: &GeneratorGate, gallery: &Gallery, scores: &Scores) -> Evidence {
    let mut left_out = scores.left_out.clone();
    let mut measures = whole(gate, scores);
    measures.extend(looks(gate, scores));
    measures.extend(distances(gate, scores));
    measures.extend(flagged(gate, scores, &mut left_out));
    measures.push(latency(gate, scores));
    measures.extend(floors(gate, scores, &mut left_out));
    let on_sheet = gallery.asked.iter().take(sheet::ROWS).map(|ask| ask.prompt.clone()).collect();
    let asked = json!({
        "prompts": gallery.asked.len(), "pictures": gate.pictures, "steps": gate.steps, "seed": gate.seed,
        "reward": scores.reward,
    });
    let [champion, candidate] = gallery.versions.clone();
    Evidence { on_sheet, ..Evidence::new(Kind::Generator, champion, candidate, asked, measures, left_out) }
}

/// Reward, judge, CLIP and diversity, over all prompts: none may fall.
fn whole(gate: &GeneratorGate, scores: &Scores) -> Vec<Measure> {
    let GeneratorBounds { reward_loss, judge_loss, clip_loss, diversity_loss, right_diversity_loss, .. } = gate.bounds;
    let rows: [(&str, Of, f64); 3] = [
        ("reward", |side| &side.reward, reward_loss),
        (JUDGE, |side| &side.judge, judge_loss),
        ("CLIP score", |side| &side.clip, clip_loss),
    ];
    let known = rows.into_iter().filter(|(_, of, _)| !of(&scores.champion).is_empty());
    let mut measures: Vec<Measure> = known
        .map(|(name, of, loss)| compared(gate, scores, name, |side| of(side).clone(), Bound::at_least(-loss)))
        .collect();
    measures.push(diversity(gate, scores, "diversity within prompts", Side::diversity, diversity_loss));
    if !scores.champion.judge.is_empty() {
        measures.push(diversity(
            gate,
            scores,
            "diversity of right pictures",
            Side::right_diversity,
            right_diversity_loss,
        ));
    }
    measures
}

fn diversity(gate: &GeneratorGate, scores: &Scores, name: &str, of: fn(&Side) -> Weighed, loss: f64) -> Measure {
    let [champion, candidate, reference] = [&scores.champion, &scores.candidate, &scores.reference].map(of);
    let found = weighed_ratio(&champion, &candidate, gate.seed);
    let figures = [weighed_mean(&champion), weighed_mean(&candidate)];
    let measure = Measure::new(name, ALL, Compared::Ratio, figures, found, Bound::at_least(1.0 - loss));
    measure.beside(Some(weighed_ratio(&champion, &reference, gate.seed)))
}

/// What a reward must not be deceived by: nothing may move far to either side.
fn looks(gate: &GeneratorGate, scores: &Scores) -> Vec<Measure> {
    let GeneratorBounds { saturation_change, saturated_change, dark_change, edge_change, .. } = gate.bounds;
    let share = |name: &str, look: Look, change: f64| {
        compared(gate, scores, name, |side| side.look(look), Bound::within(change))
    };
    let level = |name: &str, look: Look, change: f64| {
        times(gate, scores, name, |side| side.look(look), Bound::around_one(change))
    };
    vec![
        level("saturation", |looks| looks.saturation, saturation_change),
        share("saturated pixels", |looks| looks.saturated, saturated_change),
        share("dark pixels", |looks| looks.dark, dark_change),
        level("edge pixels", |looks| looks.edges, edge_change),
    ]
}

/// A difference over all prompts, beside that of other seeds.
fn compared(gate: &GeneratorGate, scores: &Scores, name: &str, of: impl Fn(&Side) -> Figures, bound: Bound) -> Measure {
    let [champion, candidate, reference] = [&scores.champion, &scores.candidate, &scores.reference].map(of);
    let noise = difference(&champion, &reference, gate.seed);
    differs(name, ALL, [&champion, &candidate], bound, gate.seed).beside(Some(noise))
}

/// A ratio over all prompts, beside that of other seeds.
fn times(gate: &GeneratorGate, scores: &Scores, name: &str, of: impl Fn(&Side) -> Figures, bound: Bound) -> Measure {
    let [champion, candidate, reference] = [&scores.champion, &scores.candidate, &scores.reference].map(of);
    let found = ratio(&champion, &candidate, gate.seed);
    let figures = [mean(&champion), mean(&candidate)];
    let measure = Measure::new(name, ALL, Compared::Ratio, figures, found, bound);
    measure.beside(Some(ratio(&champion, &reference, gate.seed)))
}

/// KID and CMMD. The bound is a part of the champion's own spread, since points of different CLIPs have different scales.
fn distances(gate: &GeneratorGate, scores: &Scores) -> Vec<Measure> {
    let [champion, candidate, reference] =
        [&scores.champion.points, &scores.candidate.points, &scores.reference.points];
    let measure = |kernel: Kernel| {
        let bound = Bound::at_most(gate.bounds.distance * spread(kernel, champion).unwrap_or(f64::NAN));
        let found = mmd(kernel, champion, candidate, gate.seed).unwrap_or(UNKNOWN);
        let measure = Measure::new(kernel.name(), ALL, Compared::Distance, [None, None], found, bound);
        measure.beside(mmd(kernel, champion, reference, gate.seed))
    };
    Kernel::ALL.map(measure).into()
}

fn flagged(gate: &GeneratorGate, scores: &Scores, left_out: &mut Vec<LeftOut>) -> Option<Measure> {
    let of = |side: usize| -> Option<Figures> {
        let share = |flagged: [usize; 2]| vec![flagged[side] as f64 / gate.pictures as f64];
        scores.facts.iter().map(|facts| facts.flagged.map(share)).collect()
    };
    let (Some(champion), Some(candidate)) = (of(0), of(1)) else {
        left_out.push(LeftOut::new("flagged pictures", "the champion has no safety checker"));
        return None;
    };
    let bound = Bound::at_most(gate.bounds.flagged_rise);
    Some(differs("flagged pictures", ALL, [&champion, &candidate], bound, gate.seed))
}

/// The geometric mean of the prompts' ratios: one slow moment of the machine is one prompt's.
fn latency(gate: &GeneratorGate, scores: &Scores) -> Measure {
    let seconds: Vec<[f64; 2]> = scores.facts.iter().map(|facts| facts.seconds).collect();
    let middle = |side: usize| {
        let mut ordered: Vec<f64> = seconds.iter().map(|of| of[side]).collect();
        ordered.sort_by(f64::total_cmp);
        ordered.get(ordered.len() / 2).copied()
    };
    let figure = |drawn: &[usize]| {
        let sum: f64 = drawn.iter().map(|&prompt| (seconds[prompt][1] / seconds[prompt][0]).ln()).sum();
        (!drawn.is_empty()).then(|| (sum / drawn.len() as f64).exp())
    };
    let found: Interval = bootstrap(seconds.len(), gate.seed, figure).unwrap_or(UNKNOWN);
    let bound = Bound::at_most(gate.bounds.latency_ratio);
    Measure::new("seconds a picture", ALL, Compared::Ratio, [middle(0), middle(1)], found, bound)
}

/// The judge's mean on seen and on held-out objects, and on each category: an average must not hide what broke.
fn floors(gate: &GeneratorGate, scores: &Scores, left_out: &mut Vec<LeftOut>) -> Vec<Measure> {
    let Some(scenes) = scores.scenes.as_ref().filter(|_| !scores.champion.judge.is_empty()) else { return Vec::new() };
    let mut floor = |on: &str, loss: f64, belongs: &dyn Fn(&Scene) -> bool| {
        let of = |side: &Side| -> Figures {
            let chosen = scenes.iter().zip(&side.judge).filter(|(scene, _)| belongs(scene));
            chosen.map(|(_, figures)| figures.clone()).collect()
        };
        let [champion, candidate, reference] = [&scores.champion, &scores.candidate, &scores.reference].map(of);
        if champion.len() < LEAST {
            left_out
                .push(LeftOut::new(JUDGE, &format!("{on}: {} prompts are too few for an interval", champion.len())));
            return None;
        }
        let noise = difference(&champion, &reference, gate.seed);
        let found = differs(JUDGE, on, [&champion, &candidate], Bound::at_least(-loss), gate.seed);
        Some(found.beside(Some(noise)))
    };
    let GeneratorBounds { objects_loss, category_loss, .. } = gate.bounds;
    let mut measures = Vec::new();
    for (on, held) in [("seen objects", false), ("held-out objects", true)] {
        measures.extend(floor(on, objects_loss, &|scene| scene.object.is_held_out() == held));
    }
    for category in Category::ALL {
        measures.extend(floor(category.word(), category_loss, &|scene| scene.category() == category));
    }
    measures
}
