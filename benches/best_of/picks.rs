//! What choosing gives: the pick's worth over N, and pruned choices beside the whole one.

use plaudit_training::random::Random;

use crate::table::{Candidate, Prompt};

/// Prompts drawn again, that many times, for an interval.
const RESAMPLES: usize = 2000;
/// Synthetic scores for each block of candidates.
const PREDICTIONS: usize = 40;

/// A mean over prompts with its 95 % interval (percentile bootstrap over prompts).
#[derive(Debug, Clone, Copy, PartialEq, serde::Serialize)]
pub(crate) struct Mean {
    pub(crate) mean: f64,
    pub(crate) low: f64,
    pub(crate) high: f64,
}

/// The mean of one number a prompt.
pub(crate) fn mean(values: &[f64], seed: u64) -> Mean {
    let count = values.len().max(1);
    let mean = values.iter().sum::<f64>() / count as f64;
    let mut random = Random::stream(seed, "bootstrap");
    let mut means: Vec<f64> = (0..RESAMPLES)
        .map(|_| {
            (0..count).map(|_| values.get(random.below(count)).copied().unwrap_or(0.0)).sum::<f64>() / count as f64
        })
        .collect();
    means.sort_by(f64::total_cmp);
    let at = |share: f64| means[((RESAMPLES - 1) as f64 * share).round() as usize];
    Mean { mean, low: at(0.025), high: at(0.975) }
}

/// The mean over a prompt's blocks of `size` candidates.
fn over_blocks(prompt: &Prompt, size: usize, mut of: impl FnMut(&[Candidate]) -> f64) -> f64 {
    let blocks: Vec<f64> = prompt.candidates.chunks_exact(size).map(&mut of).collect();
    blocks.iter().sum::<f64>() / blocks.len().max(1) as f64
}

/// The candidate with the best score; the first of equals.
pub(crate) fn best<'a>(
    candidates: impl IntoIterator<Item = &'a Candidate>,
    score: impl Fn(&Candidate) -> f32,
) -> Option<&'a Candidate> {
    candidates.into_iter().fold(None, |best: Option<&Candidate>, next| match best {
        Some(best) if score(best).total_cmp(&score(next)).is_ge() => Some(best),
        _ => Some(next),
    })
}

/// What the pick of N is worth, a number a prompt.
pub(crate) fn of_n(
    prompts: &[Prompt],
    n: usize,
    score: impl Fn(&Candidate) -> f32,
    worth: impl Fn(&Candidate) -> f64,
) -> Vec<f64> {
    prompts.iter().map(|prompt| over_blocks(prompt, n, |block| best(block, &score).map_or(0.0, &worth))).collect()
}

/// What the pick of N would be worth if scores told right from wrong with this AUROC, by the binormal model: scores of
/// right pictures are normal around √2 Φ⁻¹(AUROC), of wrong ones around 0, both of variance one.
pub(crate) fn predicted(prompts: &[Prompt], n: usize, auroc: f64, seed: u64) -> Vec<f64> {
    let shift = std::f64::consts::SQRT_2 * quantile(auroc);
    let mut random = Random::stream(seed, "binormal");
    let mut pick = |block: &[Candidate]| {
        let mut score = |good: f64| f64::from(random.normal()) + shift * good;
        let scores = block.iter().map(|candidate| (score(candidate.good()), candidate.good()));
        scores.max_by(|a, b| a.0.total_cmp(&b.0)).map_or(0.0, |(_, good)| good)
    };
    let mut mean = |block: &[Candidate]| (0..PREDICTIONS).map(|_| pick(block)).sum::<f64>() / PREDICTIONS as f64;
    prompts.iter().map(|prompt| over_blocks(prompt, n, &mut mean)).collect()
}

/// Φ⁻¹ by bisection of the normal distribution function.
fn quantile(share: f64) -> f64 {
    let below = |x: f64| 0.5 * libm::erfc(-x / std::f64::consts::SQRT_2);
    let (mut low, mut high) = (-8.0, 8.0);
    for _ in 0..80 {
        let middle = (low + high) / 2.0;
        if below(middle) < share { low = middle } else { high = middle }
    }
    (low + high) / 2.0
}

/// The area under the ROC curve within prompts: over prompts with both kinds, weighted by their pairs.
pub(crate) fn within_auroc(prompts: &[Prompt], score: impl Fn(&Candidate) -> f32) -> f64 {
    let (mut won, mut pairs) = (0.0, 0.0);
    for prompt in prompts {
        let (good, bad): (Vec<_>, Vec<_>) = prompt.candidates.iter().partition(|candidate| candidate.good() > 0.5);
        for one in &good {
            for other in &bad {
                let (a, b) = (score(one), score(other));
                won += if a > b {
                    1.0
                } else if a == b {
                    0.5
                } else {
                    0.0
                };
                pairs += 1.0;
            }
        }
    }
    if pairs > 0.0 { won / pairs } else { 0.5 }
}

/// A way to leave candidates out before they are drawn in full.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Pruning {
    /// All are drawn in so few steps; the best `survivors` are drawn anew in full.
    Previews { steps: usize, survivors: usize },
    /// All are drawn up to a call; those with the best estimates go on.
    Estimates { call: usize, survivors: usize },
}

impl Pruning {
    /// Calls of the denoiser for `candidates`, as a share of drawing all of them in `steps`.
    pub(crate) fn cost(self, candidates: usize, steps: usize) -> f64 {
        let calls = match self {
            Self::Previews { steps: quick, survivors } => candidates * quick + survivors * steps,
            Self::Estimates { call, survivors } => candidates * call + survivors * (steps - call),
        };
        calls as f64 / (candidates * steps) as f64
    }

    fn survivors(self) -> usize {
        match self {
            Self::Previews { survivors, .. } | Self::Estimates { survivors, .. } => survivors,
        }
    }

    fn early(self, candidate: &Candidate) -> f32 {
        let score = match self {
            Self::Previews { steps, .. } => candidate.previews.get(&steps),
            Self::Estimates { call, .. } => candidate.estimates.get(&call),
        };
        score.copied().unwrap_or(f32::NEG_INFINITY)
    }

    /// The best by reward of those that it leaves.
    fn pick(self, block: &[Candidate]) -> Option<&Candidate> {
        let mut order: Vec<&Candidate> = block.iter().collect();
        order.sort_by(|a, b| self.early(b).total_cmp(&self.early(a)));
        best(order.into_iter().take(self.survivors()), |candidate| candidate.reward)
    }
}

/// A pruned choice among `n` beside the whole one, and beside as many whole candidates as it costs.
#[derive(Debug, Clone, serde::Serialize)]
pub(crate) struct Compared {
    pub(crate) pruning: Pruning,
    /// Share of the denoiser's calls that it saves.
    pub(crate) saved: f64,
    /// Candidates that cost as much in full.
    pub(crate) equal: usize,
    pub(crate) good: Mean,
    /// Less the whole choice's, prompt by prompt.
    pub(crate) against_whole: Mean,
    /// Less the choice of equal cost, prompt by prompt.
    pub(crate) against_equal: Mean,
}

/// Compares a pruning of the first `n` candidates with what it replaces.
pub(crate) fn compared(prompts: &[Prompt], n: usize, steps: usize, pruning: Pruning, seed: u64) -> Compared {
    let cost = pruning.cost(n, steps);
    // Rounded up: the rival gets the part of a candidate too.
    let equal = ((cost * n as f64).ceil() as usize).clamp(1, n);
    let good = |pick: Option<&Candidate>| pick.map_or(0.0, Candidate::good);
    let reward = |candidate: &Candidate| candidate.reward;
    let of = |choose: &dyn Fn(&[Candidate]) -> f64| -> Vec<f64> {
        prompts.iter().map(|prompt| choose(prompt.candidates.get(..n).unwrap_or_default())).collect()
    };
    let pruned = of(&|block| good(pruning.pick(block)));
    let whole = of(&|block| good(best(block, reward)));
    let rival = of(&|block| {
        let parts: Vec<f64> = block.chunks_exact(equal).map(|part| good(best(part, reward))).collect();
        parts.iter().sum::<f64>() / parts.len().max(1) as f64
    });
    let less = |other: &[f64]| -> Vec<f64> { pruned.iter().zip(other).map(|(a, b)| a - b).collect() };
    Compared {
        pruning,
        saved: 1.0 - cost,
        equal,
        good: mean(&pruned, seed),
        against_whole: mean(&less(&whole), seed),
        against_equal: mean(&less(&rival), seed),
    }
}
