//! Figures of two packs on the same prompts, compared in pairs.

use super::{Bound, Compared, Measure};
use crate::measure::{Interval, bootstrap};

/// A figure of each picture, by prompt.
pub(super) type Figures = Vec<Vec<f64>>;

/// Prompts of an interval at least: resamples of fewer are too alike to say how far a figure would move with other prompts.
pub(super) const LEAST: usize = 6;

/// Where nothing could be compared. It is neither within nor beyond a bound.
pub(super) const UNKNOWN: Interval = Interval { value: f64::NAN, low: f64::NAN, high: f64::NAN };

/// Mean over prompts of their pictures' means; `None` of nothing.
pub(super) fn mean(figures: &Figures) -> Option<f64> {
    over(&means(figures), &(0..figures.len()).collect::<Vec<_>>())
}

/// The candidate's mean less the champion's.
pub(super) fn difference(champion: &Figures, candidate: &Figures, seed: u64) -> Interval {
    let (champion, candidate) = (means(champion), means(candidate));
    let figure = |drawn: &[usize]| Some(over(&candidate, drawn)? - over(&champion, drawn)?);
    bootstrap(champion.len(), seed, figure).unwrap_or(UNKNOWN)
}

/// The candidate's mean divided by the champion's.
pub(super) fn ratio(champion: &Figures, candidate: &Figures, seed: u64) -> Interval {
    let (champion, candidate) = (means(champion), means(candidate));
    let figure = |drawn: &[usize]| Some(over(&candidate, drawn)? / over(&champion, drawn).filter(|mean| *mean > 0.0)?);
    bootstrap(champion.len(), seed, figure).unwrap_or(UNKNOWN)
}

/// Of each prompt a sum of weighed figures, and of the weights.
pub(super) type Weighed = Vec<[f64; 2]>;

/// The weighed mean over those drawn; `None` where nothing weighs anything.
fn weighed(figures: &Weighed, drawn: &[usize]) -> Option<f64> {
    let [sum, weights] = drawn
        .iter()
        .fold([0.0, 0.0], |[sum, weights], &prompt| [sum + figures[prompt][0], weights + figures[prompt][1]]);
    (weights > 0.0).then(|| sum / weights)
}

/// The weighed mean over all prompts.
pub(super) fn weighed_mean(figures: &Weighed) -> Option<f64> {
    weighed(figures, &(0..figures.len()).collect::<Vec<_>>())
}

/// The candidate's weighed mean divided by the champion's.
pub(super) fn weighed_ratio(champion: &Weighed, candidate: &Weighed, seed: u64) -> Interval {
    let figure =
        |drawn: &[usize]| Some(weighed(candidate, drawn)? / weighed(champion, drawn).filter(|mean| *mean > 0.0)?);
    bootstrap(champion.len(), seed, figure).unwrap_or(UNKNOWN)
}

/// A measure of a difference, with the figures of both sides.
pub(super) fn differs(name: &str, on: &str, sides: [&Figures; 2], bound: Bound, seed: u64) -> Measure {
    let figures = sides.map(mean);
    Measure::new(name, on, Compared::Difference, figures, difference(sides[0], sides[1], seed), bound)
}

/// Of each prompt.
fn means(figures: &Figures) -> Vec<f64> {
    figures.iter().map(|of| of.iter().sum::<f64>() / of.len() as f64).collect()
}

fn over(means: &[f64], drawn: &[usize]) -> Option<f64> {
    (!drawn.is_empty()).then(|| drawn.iter().map(|&prompt| means[prompt]).sum::<f64>() / drawn.len() as f64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pairs_see_what_prompts_have_in_common() {
        // Prompts differ by far more than the packs do.
        let champion: Figures = (0..20).map(|prompt| vec![f64::from(prompt); 2]).collect();
        let candidate: Figures = champion.iter().map(|of| of.iter().map(|figure| figure + 0.1).collect()).collect();
        let found = difference(&champion, &candidate, 0);
        assert!((found.low - 0.1).abs() < 1e-9 && (found.high - 0.1).abs() < 1e-9, "{found:?}");
        assert!(ratio(&champion, &champion, 0).value == 1.0);
        // A pair that is certainly wrong counts for nothing, however far apart it is.
        let (near, far): (Weighed, Weighed) = ((0..20).map(|_| [0.1, 1.0]).collect(), vec![[0.0, 0.0]; 20]);
        let mixed: Weighed = near.iter().chain(&far).copied().collect();
        assert!(weighed_ratio(&mixed, &mixed, 0).value == 1.0 && weighed_mean(&mixed) == weighed_mean(&near));
        assert!(weighed_ratio(&far, &near[..20].to_vec(), 0).value.is_nan() && weighed_mean(&far).is_none());
        assert!(difference(&Vec::new(), &Vec::new(), 0).value.is_nan());
    }
}
