//! How much of training one rater may be.

/// The weight of each vote of each rater, so that no rater's votes weigh more than a share `most` of all: the votes of
/// whoever has too many count for less, nobody's for more than one. With too few raters for the share, all raters weigh
/// the same. Raters without votes weigh nothing and do not count.
///
/// `counts`: votes of each rater. `most`: in (0, 1].
pub fn weights(counts: &[u64], most: f64) -> Vec<f64> {
    let level = level(counts, most);
    counts.iter().map(|&count| if count == 0 { 0.0 } else { (level / count as f64).min(1.0) }).collect()
}

/// The votes that one rater may count for at most: the largest L with L ≤ most · Σ min(n, L).
fn level(counts: &[u64], most: f64) -> f64 {
    let mut counts: Vec<f64> = counts.iter().filter(|&&count| count > 0).map(|&count| count as f64).collect();
    counts.sort_by(|a, b| b.total_cmp(a));
    let most = most.max(1.0 / counts.len().max(1) as f64);
    let mut rest: f64 = counts.iter().sum();
    // With the first `capped` raters at the level, L = most · (capped · L + rest).
    for (capped, &count) in counts.iter().enumerate() {
        let free = 1.0 - most * capped as f64;
        let level = if free > 0.0 { most * rest / free } else { 0.0 };
        if level >= count {
            return level;
        }
        rest -= count;
    }
    counts.last().copied().unwrap_or(0.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shares(counts: &[u64], most: f64) -> Vec<f64> {
        let of = weights(counts, most);
        let weighed: Vec<f64> = counts.iter().zip(&of).map(|(&count, weight)| count as f64 * weight).collect();
        let sum: f64 = weighed.iter().sum();
        weighed.iter().map(|one| one / sum).collect()
    }

    #[test]
    fn nobody_has_more_than_the_share() {
        let cases: [(&[u64], f64); 6] = [
            (&[1000, 10, 10, 10, 10, 10, 10, 10, 10, 10, 10], 0.1),
            (&[1000, 900, 800, 7, 6, 5, 4, 3, 2, 1], 0.2),
            (&[5, 5, 5, 5], 0.25),
            (&[100, 1], 0.05),
            (&[3], 0.05),
            (&[9, 0, 9, 1], 0.4),
        ];
        for (counts, most) in cases {
            let allowed = most.max(1.0 / counts.iter().filter(|&&count| count > 0).count() as f64);
            let most = shares(counts, most).into_iter().fold(0.0, f64::max);
            assert!(most <= allowed + 1e-9, "{counts:?}: {most} of {allowed}");
        }
    }

    #[test]
    fn whoever_keeps_below_the_share_counts_whole() {
        assert_eq!(weights(&[10; 20], 0.05), [1.0; 20]);
        let some = weights(&[1000, 40, 30, 20, 10], 0.25);
        assert!(some[0] < 1.0 && some[0] > 0.0, "{some:?}");
        let shares = shares(&[1000, 40, 30, 20, 10], 0.25);
        assert!((shares[0] - 0.25).abs() < 1e-9, "the share is used: {shares:?}");
        assert_eq!(weights(&[0, 0], 0.1), [0.0; 2]);
        assert!(weights(&[], 0.1).is_empty());
    }

    #[test]
    fn a_crowd_of_votes_by_one_moves_no_more_than_the_share() {
        let mut counts = vec![10; 19];
        counts.push(1_000_000);
        assert!((shares(&counts, 0.05)[19] - 0.05).abs() < 1e-9);
    }
}
