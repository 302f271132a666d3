//! How far a figure would move with other prompts.

use rayon::prelude::*;
use serde::Serialize;

use crate::random::Random;

/// Resamples; percentiles of 2.5 and 97.5 are then known to about 0.15 of a standard error.
const RESAMPLES: usize = 1000;
/// The interval's ends: 95 %.
const ENDS: (f64, f64) = (0.025, 0.975);

/// A figure and where it lies with 95 %.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Interval {
    /// The figure.
    pub value: f64,
    /// 2.5 % of resamples are below.
    pub low: f64,
    /// 2.5 % of resamples are above.
    pub high: f64,
}

/// The percentile bootstrap over `groups` groups (Efron 1979): whole groups are drawn anew, since pictures of one prompt are no independent rows.
///
/// `figure` gets the numbers of the groups drawn, some more than once. Resamples in which it is `None` are left out; `None` if it is so of all
/// groups. The same seed gives the same interval.
pub fn bootstrap(groups: usize, seed: u64, figure: impl Fn(&[usize]) -> Option<f64> + Sync) -> Option<Interval> {
    let value = figure(&(0..groups).collect::<Vec<_>>())?;
    let resample = |number: usize| {
        let mut random = Random::stream(seed, &format!("resample {number}"));
        figure(&(0..groups).map(|_| random.below(groups)).collect::<Vec<_>>())
    };
    let mut found: Vec<f64> = (0..RESAMPLES).into_par_iter().filter_map(resample).collect();
    found.sort_by(f64::total_cmp);
    let at = |share: f64| found.get((share * found.len().saturating_sub(1) as f64).round() as usize).copied();
    Some(Interval { value, low: at(ENDS.0)?, high: at(ENDS.1)? })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_interval_of_a_mean_is_two_standard_errors_to_either_side() {
        let mut random = Random::new(5);
        let values: Vec<f64> = (0..400).map(|_| f64::from(random.normal())).collect();
        let mean = |groups: &[usize]| Some(groups.iter().map(|&group| values[group]).sum::<f64>() / 400.0);
        let found = bootstrap(values.len(), 0, mean).expect("an interval");
        // 1.96 / √400 = 0.098.
        for end in [found.value - found.low, found.high - found.value] {
            assert!((end - 0.098).abs() < 0.02, "{found:?}");
        }
        assert_eq!(Some(found), bootstrap(values.len(), 0, mean));
    }

    #[test]
    fn a_figure_of_nothing_has_no_interval() {
        assert_eq!(bootstrap(3, 0, |_| None), None);
    }
}
