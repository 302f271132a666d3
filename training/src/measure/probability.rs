//! Whether scores in [0, 1] are the probabilities that they claim to be.

use super::Scored;

/// Probabilities are kept this far from 0 and 1 where their logarithm is taken.
const LEAST: f64 = 1e-12;

/// Share of those whose score is on the right side of one half; one half itself says good. `NaN` of nothing.
pub fn accuracy(scored: &[Scored]) -> f64 {
    mean(scored, |one| f64::from(u8::from((one.score >= 0.5) == one.good)))
}

/// Mean squared distance between probability and outcome (Brier 1950, one class). `NaN` of nothing.
pub fn brier(scored: &[Scored]) -> f64 {
    mean(scored, |one| (one.score - outcome(one)).powi(2))
}

/// Mean of −ln of the probability given to what came, in nats. `NaN` of nothing.
pub fn log_loss(scored: &[Scored]) -> f64 {
    mean(scored, |one| {
        let probability = if one.good { one.score } else { 1.0 - one.score };
        -probability.max(LEAST).ln()
    })
}

/// A stretch of probabilities with as many votes as its neighbours.
#[derive(Debug, Clone, Copy, PartialEq, serde::Serialize)]
pub struct Bin {
    /// Mean probability.
    pub predicted: f64,
    /// Share that was good.
    pub observed: f64,
    /// How many.
    pub count: usize,
}

/// Equal-mass bins: scores in order, cut into `amount` stretches whose lengths differ by one at most; fewer where there are fewer scores.
pub fn bins(scored: &[Scored], amount: usize) -> Vec<Bin> {
    let mut ordered = scored.to_vec();
    ordered.sort_by(|one, other| one.score.total_cmp(&other.score));
    let amount = amount.min(ordered.len());
    let cut = |bin: usize| bin * ordered.len() / amount.max(1);
    let bin = |at: usize| {
        let part = &ordered[cut(at)..cut(at + 1)];
        Bin { predicted: mean(part, |one| one.score), observed: mean(part, outcome), count: part.len() }
    };
    (0..amount).map(bin).collect()
}

/// Expected calibration error: mean over votes of their bin's |share good − mean probability| (Naeini et al. 2015), with equal-mass bins.
///
/// Not zero even for perfect probabilities: with n votes in b bins, about √(2 b p (1 − p) / (π n)).
pub fn expected_calibration_error(scored: &[Scored], amount: usize) -> f64 {
    let off = |bin: &Bin| bin.count as f64 * (bin.observed - bin.predicted).abs();
    bins(scored, amount).iter().map(off).sum::<f64>() / scored.len() as f64
}

fn outcome(one: &Scored) -> f64 {
    f64::from(u8::from(one.good))
}

fn mean(scored: &[Scored], value: impl Fn(&Scored) -> f64) -> f64 {
    scored.iter().map(value).sum::<f64>() / scored.len() as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scored(rows: &[(f64, bool)]) -> Vec<Scored> {
        rows.iter().map(|&(score, good)| Scored { score, good, group: 0 }).collect()
    }

    fn assert_near(found: f64, expected: f64) {
        assert!((found - expected).abs() < 1e-12, "{found} instead of {expected}");
    }

    #[test]
    fn figures_are_those_counted_by_hand() {
        let rows = scored(&[(0.9, true), (0.8, false), (0.5, true), (0.2, false)]);
        assert_near(accuracy(&rows), 0.75);
        assert_near(brier(&rows), (0.01 + 0.64 + 0.25 + 0.04) / 4.0);
        assert_near(log_loss(&rows), -(0.9_f64.ln() + 0.2_f64.ln() + 0.5_f64.ln() + 0.8_f64.ln()) / 4.0);
    }

    #[test]
    fn the_calibration_error_is_the_mean_distance_of_equal_bins() {
        // Bins of two: predicted 0.15 and 0.85, observed 0.5 and 1.
        let rows = scored(&[(0.9, true), (0.1, false), (0.2, true), (0.8, true)]);
        assert_near(expected_calibration_error(&rows, 2), (0.35 + 0.15) / 2.0);
        assert_eq!(bins(&rows, 3).iter().map(|bin| bin.count).collect::<Vec<_>>(), [1, 1, 2]);
        assert_eq!(bins(&rows, 9).len(), 4);
    }

    #[test]
    fn perfect_probabilities_have_only_the_error_of_chance() {
        let mut random = crate::random::Random::new(0);
        let rows: Vec<Scored> = (0..20_000)
            .map(|_| {
                let score = random.unit();
                Scored { score, good: random.unit() < score, group: 0 }
            })
            .collect();
        assert!(expected_calibration_error(&rows, 10) < 0.015);
        let bent: Vec<Scored> = rows.iter().map(|one| Scored { score: one.score.sqrt(), ..*one }).collect();
        assert!(expected_calibration_error(&bent, 10) > 0.1);
    }
}
