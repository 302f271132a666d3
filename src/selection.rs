//! Best of N: which of a request's candidates are shown, in which order, and how probable that was.
//!
//! Votes on winners only are no fair sample of what the generator draws (Lee et al. 2023 rate plain samples). So a small
//! share of requests is shown candidates at random, and the log keeps each candidate's probability of being shown
//! (its propensity): dividing by it makes votes unbiased again (Horvitz and Thompson 1952).

/// A candidate as it is judged.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Candidate {
    /// Drawn, with its score; the score is missing where scoring failed.
    Drawn(Option<f32>),
    /// The safety checker withheld it: it is neither ranked nor shown.
    Flagged,
    /// It was not drawn in full.
    Missing,
}

/// What is shown of a request's candidates.
#[derive(Debug, Clone, PartialEq)]
pub struct Choice {
    /// Places of the candidates that are shown, in the order in which they are.
    pub shown: Vec<usize>,
    /// Each candidate's place by score, from 1; `None` where it has none.
    pub ranks: Vec<Option<u32>>,
    /// Each candidate's probability of being shown.
    pub propensities: Vec<f64>,
}

/// Chooses at most `most` candidates: those with the best scores, or `random` ones, which happens with probability `share`.
/// `draw` gives numbers that are uniform in [0, 1).
///
/// Candidates without a score rank behind those with one, equal ones in their own order.
pub fn choose(candidates: &[Candidate], most: usize, share: f64, random: bool, draw: impl FnMut() -> f64) -> Choice {
    let scored = candidates.iter().enumerate().filter_map(|(at, candidate)| Some((at, score(*candidate)?)));
    let mut scored: Vec<(usize, f32)> = scored.collect();
    // Stable, so that equal scores keep the candidates' order.
    scored.sort_by(|(_, a), (_, b)| b.total_cmp(a));
    let mut order: Vec<usize> = scored.into_iter().map(|(at, _)| at).collect();
    let best = order.len().min(most);
    let mut ranks = vec![None; candidates.len()];
    let mut propensities = vec![0.0; candidates.len()];
    for (place, &at) in order.iter().enumerate() {
        ranks[at] = matches!(candidates[at], Candidate::Drawn(Some(_))).then_some(place as u32 + 1);
        propensities[at] = share * best as f64 / order.len() as f64 + (1.0 - share) * f64::from(u8::from(place < best));
    }
    if random {
        shuffle(&mut order, draw);
    }
    order.truncate(best);
    Choice { shown: order, ranks, propensities }
}

/// What candidates are ordered by, where they can be shown: a missing score is below all others.
fn score(candidate: Candidate) -> Option<f32> {
    match candidate {
        Candidate::Drawn(score) => Some(score.filter(|score| !score.is_nan()).unwrap_or(f32::NEG_INFINITY)),
        Candidate::Flagged | Candidate::Missing => None,
    }
}

/// Fisher and Yates.
fn shuffle(order: &mut [usize], mut draw: impl FnMut() -> f64) {
    for left in (1..order.len()).rev() {
        let at = (draw() * (left + 1) as f64) as usize;
        order.swap(left, at.min(left));
    }
}

/// Whether enough candidates reached a threshold: the others need not be drawn.
pub fn is_enough(scores: impl IntoIterator<Item = f32>, most: usize, threshold: Option<f32>) -> bool {
    threshold.is_some_and(|threshold| scores.into_iter().filter(|score| *score >= threshold).count() >= most)
}

#[cfg(test)]
mod tests {
    use super::{Candidate::*, *};

    #[test]
    fn the_best_are_shown_best_first_and_everything_else_keeps_its_rank() {
        let candidates = [Drawn(Some(0.2)), Drawn(Some(0.9)), Flagged, Drawn(Some(0.5)), Missing, Drawn(None)];
        let choice = choose(&candidates, 2, 0.0, false, || 0.5);
        assert_eq!(choice.shown, [1, 3]);
        assert_eq!(choice.ranks, [Some(3), Some(1), None, Some(2), None, None]);
        assert_eq!(choice.propensities, [0.0, 1.0, 0.0, 1.0, 0.0, 0.0]);
    }

    #[test]
    fn equal_scores_keep_the_order_of_the_seeds() {
        let choice = choose(&[Drawn(Some(0.5)); 4], 3, 0.0, false, || 0.5);
        assert_eq!(choice.shown, [0, 1, 2]);
    }

    #[test]
    fn no_more_is_shown_than_there_is() {
        let cases: [(&[Candidate], usize); 3] = [(&[], 0), (&[Flagged, Missing], 0), (&[Drawn(Some(f32::NAN))], 1)];
        for (candidates, shown) in cases {
            assert_eq!(choose(candidates, 4, 0.5, true, || 0.9).shown.len(), shown, "{candidates:?}");
        }
    }

    #[test]
    fn propensities_are_what_happens() {
        const ROUNDS: usize = 40_000;
        let candidates = [Drawn(Some(0.1)), Drawn(Some(0.4)), Flagged, Drawn(Some(0.3)), Drawn(Some(0.2))];
        let mut state = 1u64;
        let mut uniform = || {
            // Knuth's MMIX constants.
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (state >> 11) as f64 / (1u64 << 53) as f64
        };
        let mut shown = [0usize; 5];
        let mut told = Vec::new();
        for _ in 0..ROUNDS {
            let random = uniform() < 0.3;
            let choice = choose(&candidates, 2, 0.3, random, &mut uniform);
            choice.shown.iter().for_each(|&at| shown[at] += 1);
            told = choice.propensities;
        }
        for (at, told) in told.into_iter().enumerate() {
            let seen = shown[at] as f64 / ROUNDS as f64;
            assert!((seen - told).abs() < 0.01, "candidate {at}: {seen} for {told}");
        }
    }

    #[test]
    fn drawing_ends_once_enough_reached_the_threshold() {
        assert!(is_enough([0.6, 0.2, 0.7], 2, Some(0.6)));
        assert!(!is_enough([0.6, 0.2, 0.5], 2, Some(0.6)));
        assert!(!is_enough([1.0, 1.0], 2, None));
    }
}
