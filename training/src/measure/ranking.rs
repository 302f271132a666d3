//! Area under the ROC curve.

use std::collections::BTreeMap;

use super::Scored;

/// The probability that a good one scores above a bad one, ties counted half (Hanley and McNeil 1982); `None` where one kind is missing.
///
/// With mid-ranks r of all scores: `(Σ_good r − n₁(n₁ + 1)/2) / (n₁ n₀)`. Scores that are not numbers rank lowest.
pub fn auroc(scored: &[Scored]) -> Option<f64> {
    let (area, pairs) = pairs_right(scored);
    (pairs > 0.0).then(|| area / pairs)
}

/// Of all pairs of a good and a bad one of the same group, the share in which the good one scores higher, ties counted half.
///
/// Groups weigh by their pairs, as if a rater were shown two pictures of one prompt, one of them right. Unlike the pooled area it gains
/// nothing from telling easy prompts from hard ones. `None` where no group has both.
pub fn within_group_auroc(scored: &[Scored]) -> Option<f64> {
    let sums = pairs_by_group(scored).into_values();
    let (area, pairs) = sums.fold((0.0, 0.0), |(area, pairs), one| (area + one.0, pairs + one.1));
    (pairs > 0.0).then(|| area / pairs)
}

/// For each group: pairs of a good and a bad one in which the good one scores higher (ties half), and all such pairs.
pub fn pairs_by_group(scored: &[Scored]) -> BTreeMap<usize, (f64, f64)> {
    let mut groups: BTreeMap<usize, Vec<Scored>> = BTreeMap::new();
    scored.iter().for_each(|one| groups.entry(one.group).or_default().push(*one));
    groups.into_iter().map(|(group, scored)| (group, pairs_right(&scored))).collect()
}

/// Pairs ranked right (ties half), and all pairs of a good and a bad one.
fn pairs_right(scored: &[Scored]) -> (f64, f64) {
    let key = |one: &Scored| if one.score.is_nan() { f64::NEG_INFINITY } else { one.score };
    let mut ordered = scored.to_vec();
    ordered.sort_by(|one, other| key(one).total_cmp(&key(other)));
    let (mut area, mut bad_below) = (0.0, 0.0);
    for tied in ordered.chunk_by(|one, other| key(one) == key(other)) {
        let good = tied.iter().filter(|one| one.good).count() as f64;
        let bad = tied.len() as f64 - good;
        area += good * (bad_below + bad / 2.0);
        bad_below += bad;
    }
    let good = scored.iter().filter(|one| one.good).count() as f64;
    (area, good * bad_below)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scored(rows: &[(f64, bool, usize)]) -> Vec<Scored> {
        rows.iter().map(|&(score, good, group)| Scored { score, good, group }).collect()
    }

    #[test]
    fn areas_are_those_counted_by_hand() {
        let cases = [
            ("perfect", vec![(0.1, false, 0), (0.9, true, 0)], Some(1.0)),
            ("reversed", vec![(0.9, false, 0), (0.1, true, 0)], Some(0.0)),
            ("all tied", vec![(0.5, false, 0), (0.5, true, 0), (0.5, true, 0)], Some(0.5)),
            // Pairs (0.8, 0.35) (0.8, 0.1) (0.4, 0.35) (0.4, 0.1) right; 0.35 against 0.35 tied, against 0.1 right: 5.5 of 6.
            (
                "a tie",
                vec![(0.1, false, 0), (0.35, false, 0), (0.35, true, 0), (0.4, true, 0), (0.8, true, 0)],
                Some(5.5 / 6.0),
            ),
            ("one kind", vec![(0.1, true, 0), (0.2, true, 0)], None),
            ("nothing", vec![], None),
        ];
        for (name, rows, expected) in cases {
            assert_eq!(auroc(&scored(&rows)), expected, "{name}");
        }
    }

    #[test]
    fn within_groups_only_pairs_of_one_group_count() {
        // Group 0: one pair, wrong. Group 1: two pairs, right. Group 2: one kind only. Pooled, 0.9 beats nearly all.
        let rows = scored(&[
            (0.2, true, 0),
            (0.3, false, 0),
            (0.9, true, 1),
            (0.8, false, 1),
            (0.7, false, 1),
            (0.1, true, 2),
        ]);
        assert_eq!(within_group_auroc(&rows), Some(2.0 / 3.0));
        assert_eq!(auroc(&rows), Some(3.0 / 9.0));
        assert_eq!(within_group_auroc(&rows[5..]), None);
    }
}
