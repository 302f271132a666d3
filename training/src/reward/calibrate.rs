//! From a raw reward to the probability of a thumbs-up.

use plaudit_onnx::{Tensor, expr::Expr};
use serde::{Deserialize, Serialize};

use crate::measure::{Scored, log_loss};

/// Newton steps of Platt's fit; it converges in about six.
const NEWTON_STEPS: usize = 50;
/// Added to the Hessian's diagonal: separable votes have no finite optimum.
const RIDGE: f64 = 1e-6;
/// Knots of an isotonic map at most: each then rests on some dozens of votes.
const KNOTS: usize = 24;
/// Raw rewards are kept this far from 0 and 1 where their logit is taken.
const LEAST: f64 = 1e-6;
/// Folds that the two maps are compared on.
const FOLDS: usize = 5;
/// Nats a vote by which the isotonic map must be better: it has more freedom, and its steps blur ranks.
const MARGIN: f64 = 0.002;

/// A map from raw reward to probability; never falling.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Calibration {
    /// σ(slope · logit + offset) (Platt 1999).
    Platt {
        /// Slope.
        slope: f64,
        /// Offset.
        offset: f64,
    },
    /// Straight lines between knots, level outside (pool adjacent violators; Zadrozny and Elkan 2002).
    Isotonic {
        /// Raw rewards, rising.
        raw: Vec<f64>,
        /// Probability at each.
        probability: Vec<f64>,
    },
}

impl Calibration {
    /// The map that changes nothing.
    pub const NONE: Self = Self::Platt { slope: 1.0, offset: 0.0 };

    /// Fits both maps to raw rewards and votes, and keeps the isotonic one where it is clearly better on prompts it was not fitted to.
    pub fn fit(votes: &[Scored]) -> Self {
        let held_out = |fit: &dyn Fn(&[Scored]) -> Self| -> f64 {
            let loss = |fold: usize| {
                let (test, train): (Vec<Scored>, Vec<Scored>) =
                    votes.iter().partition(|vote| vote.group % FOLDS == fold);
                if test.is_empty() { 0.0 } else { log_loss(&fit(&train).applied(&test)) * test.len() as f64 }
            };
            (0..FOLDS).map(loss).sum::<f64>() / votes.len().max(1) as f64
        };
        let better = held_out(&Self::isotonic) + MARGIN < held_out(&Self::platt);
        if better { Self::isotonic(votes) } else { Self::platt(votes) }
    }

    /// Maximum likelihood with Platt's smoothed targets, by Newton's method.
    pub fn platt(votes: &[Scored]) -> Self {
        let good = votes.iter().filter(|vote| vote.good).count() as f64;
        let bad = votes.len() as f64 - good;
        let targets = [1.0 / (bad + 2.0), (good + 1.0) / (good + 2.0)];
        let (mut slope, mut offset) = (1.0, 0.0);
        for _ in 0..NEWTON_STEPS {
            let (mut g, mut h) = ([0.0; 2], [RIDGE, 0.0, RIDGE]);
            for vote in votes {
                let x = logit(vote.score);
                let p = sigmoid(slope * x + offset);
                let (error, weight) = (p - targets[usize::from(vote.good)], p * (1.0 - p));
                g = [g[0] + error * x, g[1] + error];
                h = [h[0] + weight * x * x, h[1] + weight * x, h[2] + weight];
            }
            let determinant = h[0] * h[2] - h[1] * h[1];
            slope -= (h[2] * g[0] - h[1] * g[1]) / determinant;
            offset -= (h[0] * g[1] - h[1] * g[0]) / determinant;
        }
        // A falling map would turn ranks round: such a reward says nothing, and the level map says that.
        if slope > 0.0 && slope.is_finite() && offset.is_finite() {
            return Self::Platt { slope, offset };
        }
        Self::Platt { slope: 0.0, offset: logit((good + 1.0) / (good + bad + 2.0)) }
    }

    /// Least squares among rising maps: votes in order, in equal stretches, whose means are pooled until they rise.
    pub fn isotonic(votes: &[Scored]) -> Self {
        let stretches = crate::measure::bins(votes, KNOTS);
        let mut blocks: Vec<(f64, f64, f64)> = Vec::new();
        for bin in stretches {
            let mut block = (bin.predicted, bin.observed, bin.count as f64);
            while let Some(last) = blocks.pop_if(|last| last.1 >= block.1) {
                let count = last.2 + block.2;
                let pooled = |one: f64, other: f64| (one * last.2 + other * block.2) / count;
                block = (pooled(last.0, block.0), pooled(last.1, block.1), count);
            }
            blocks.push(block);
        }
        blocks.dedup_by(|later, earlier| later.0 <= earlier.0);
        let (raw, probability) = blocks.into_iter().map(|block| (block.0, block.1)).unzip();
        Self::Isotonic { raw, probability }
    }

    /// The probability of a raw reward.
    pub fn apply(&self, score: f64) -> f64 {
        match self {
            Self::Platt { slope, offset } => sigmoid(slope * logit(score) + offset),
            Self::Isotonic { raw, probability } => {
                let first = probability.first().copied().unwrap_or(score);
                let rises = raw.windows(2).zip(probability.windows(2));
                let rise = |(x, p): (&[f64], &[f64])| (p[1] - p[0]) / (x[1] - x[0]) * (score.clamp(x[0], x[1]) - x[0]);
                first + rises.map(rise).sum::<f64>()
            }
        }
    }

    /// The same votes with calibrated scores.
    pub fn applied(&self, votes: &[Scored]) -> Vec<Scored> {
        votes.iter().map(|vote| Scored { score: self.apply(vote.score), ..*vote }).collect()
    }

    /// The map as a graph: logits `[rows, 1]` in, probabilities `[rows, 1]` out.
    pub(super) fn formula(&self, logit: &Expr) -> Expr {
        match self {
            Self::Platt { slope, offset } => (logit * *slope as f32 + *offset as f32).sigmoid(),
            Self::Isotonic { raw, probability } => {
                let b = logit.builder();
                let first = probability.first().copied().unwrap_or(0.5) as f32;
                if raw.len() < 2 {
                    return logit.sigmoid() * 0.0 + first;
                }
                let rows = |values: Vec<f32>| b.tensor(Tensor::f32(&[1, values.len()], &values));
                let starts = rows(raw[..raw.len() - 1].iter().map(|&x| x as f32).collect());
                let lengths = rows(raw.windows(2).map(|x| (x[1] - x[0]) as f32).collect());
                let slopes = raw.windows(2).zip(probability.windows(2));
                let slopes = rows(slopes.map(|(x, p)| ((p[1] - p[0]) / (x[1] - x[0])) as f32).collect());
                let inside = (logit.sigmoid() - starts).relu().minimum(&lengths);
                (inside * slopes).sum(&[1], true) + first
            }
        }
    }
}

fn sigmoid(x: f64) -> f64 {
    1.0 / (1.0 + (-x).exp())
}

fn logit(p: f64) -> f64 {
    let p = p.clamp(LEAST, 1.0 - LEAST);
    (p / (1.0 - p)).ln()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{measure::expected_calibration_error, random::Random};

    /// Votes whose raw reward r means the probability `truth(r)`.
    fn planted(seed: u64, truth: impl Fn(f64) -> f64) -> Vec<Scored> {
        let mut random = Random::new(seed);
        let vote = |number: usize| {
            let score = random.unit();
            Scored { score, good: random.unit() < truth(score), group: number / 8 }
        };
        (0..6000).map(vote).collect()
    }

    #[test]
    fn a_planted_slope_and_offset_are_found_and_the_error_falls() {
        let bent = |r: f64| sigmoid(0.4 * logit(r) - 0.7);
        let fitted = Calibration::fit(&planted(0, bent));
        let Calibration::Platt { slope, offset } = fitted else { panic!("{fitted:?}") };
        assert!((slope - 0.4).abs() < 0.05 && (offset + 0.7).abs() < 0.08, "{slope} {offset}");
        let fresh = planted(1, bent);
        let (before, after) =
            (expected_calibration_error(&fresh, 10), expected_calibration_error(&fitted.applied(&fresh), 10));
        assert!(before > 0.15 && after < 0.03, "{before} {after}");
    }

    #[test]
    fn steps_that_no_sigmoid_has_are_left_to_the_isotonic_map() {
        let steps = |r: f64| if r < 0.2 { 0.1 } else { 0.5 + 0.4 * f64::from(u8::from(r > 0.8)) };
        let fitted = Calibration::fit(&planted(0, steps));
        assert!(matches!(fitted, Calibration::Isotonic { .. }), "{fitted:?}");
        let rising: Vec<f64> = (0..=100).map(|at| fitted.apply(f64::from(at) / 100.0)).collect();
        assert!(rising.windows(2).all(|pair| pair[0] <= pair[1]), "{rising:?}");
        let fresh = planted(1, steps);
        let error = |map: &Calibration| expected_calibration_error(&map.applied(&fresh), 10);
        let (isotonic, platt) = (error(&fitted), error(&Calibration::platt(&planted(0, steps))));
        assert!(isotonic < 0.7 * platt, "{isotonic} {platt}");
    }

    #[test]
    fn a_reward_that_says_the_contrary_becomes_level() {
        let fitted = Calibration::platt(&planted(0, |r| 0.9 - 0.8 * r));
        assert!((fitted.apply(0.1) - fitted.apply(0.9)).abs() < 1e-12 && (fitted.apply(0.5) - 0.5).abs() < 0.05);
    }
}
