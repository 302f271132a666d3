//! What follows from an interval and a bound.

use serde::Serialize;

use crate::measure::Interval;

/// What a measure, or all of them, come to. The later in this order, the worse.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// Every interval lies within its bound.
    Pass,
    /// Some interval reaches over its bound, none lies beyond it: more prompts would tell.
    Inconclusive,
    /// Some interval lies wholly beyond its bound.
    Fail,
}

impl Verdict {
    /// Its name in evidence.
    pub fn word(self) -> &'static str {
        match self {
            Self::Pass => "pass",
            Self::Inconclusive => "inconclusive",
            Self::Fail => "fail",
        }
    }

    /// The exit code of `plaudit-train gate`; 2 is an error.
    pub fn exit_code(self) -> u8 {
        match self {
            Self::Pass => 0,
            Self::Fail => 1,
            Self::Inconclusive => 3,
        }
    }
}

/// What is allowed of a figure.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Bound {
    /// No lower than this.
    pub low: Option<f64>,
    /// No higher than this.
    pub high: Option<f64>,
}

impl Bound {
    /// No lower than `low`.
    pub fn at_least(low: f64) -> Self {
        Self { low: Some(low), high: None }
    }

    /// No higher than `high`.
    pub fn at_most(high: f64) -> Self {
        Self { low: None, high: Some(high) }
    }

    /// No farther from zero than `far`.
    pub fn within(far: f64) -> Self {
        Self { low: Some(-far), high: Some(far) }
    }

    /// A ratio no farther from one than `share`.
    pub fn around_one(share: f64) -> Self {
        Self { low: Some(1.0 - share), high: Some(1.0 + share) }
    }

    /// Whether a figure lies within; one that is not a number does not.
    pub fn holds(&self, figure: f64) -> bool {
        (self.low.unwrap_or(f64::NEG_INFINITY)..=self.high.unwrap_or(f64::INFINITY)).contains(&figure)
    }

    /// An interval that is not a number is neither within nor beyond.
    pub fn judge(&self, found: &Interval) -> Verdict {
        let beyond = self.low.is_some_and(|low| found.high < low) || self.high.is_some_and(|high| found.low > high);
        let within = self.low.is_none_or(|low| found.low >= low) && self.high.is_none_or(|high| found.high <= high);
        match (beyond, within) {
            (true, _) => Verdict::Fail,
            (false, true) => Verdict::Pass,
            (false, false) => Verdict::Inconclusive,
        }
    }
}

/// What [`Measure::found`] is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Compared {
    /// The candidate's figure less the champion's.
    Difference,
    /// The candidate's figure divided by the champion's.
    Ratio,
    /// How far apart the two are.
    Distance,
    /// The candidate's figure itself.
    Figure,
}

/// One thing that was compared.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Measure {
    /// What was measured.
    pub name: String,
    /// On what: `all`, or some of the prompts or votes.
    pub on: String,
    /// The champion's figure; `None` where only a distance is.
    pub champion: Option<f64>,
    /// The candidate's.
    pub candidate: Option<f64>,
    /// What `found` is.
    pub compared: Compared,
    /// The comparison, with a 95 % interval over prompts.
    pub found: Interval,
    /// What is allowed of it.
    pub bound: Bound,
    /// What the champion against itself with other seeds gives.
    pub reference: Option<Interval>,
    /// What follows.
    pub verdict: Verdict,
}

impl Measure {
    /// The figures of both, and what follows from their comparison.
    pub(super) fn new(
        name: &str,
        on: &str,
        compared: Compared,
        figures: [Option<f64>; 2],
        found: Interval,
        bound: Bound,
    ) -> Self {
        let [champion, candidate] = figures;
        let (name, on, verdict) = (name.to_owned(), on.to_owned(), bound.judge(&found));
        Self { name, on, champion, candidate, compared, found, bound, reference: None, verdict }
    }

    /// Beside what the champion against itself gives.
    pub(super) fn beside(self, reference: Option<Interval>) -> Self {
        Self { reference, ..self }
    }

    /// Whether a distance is larger than what other seeds alone give; `None` of what is no distance.
    pub fn beyond_noise(&self) -> Option<bool> {
        let reference = self.reference.filter(|_| self.compared == Compared::Distance)?;
        Some(self.found.low > reference.high)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_interval_passes_within_fails_beyond_and_is_open_across() {
        let cases = [
            (Bound::at_least(-0.1), (-0.05, 0.2), Verdict::Pass),
            (Bound::at_least(-0.1), (-0.2, 0.2), Verdict::Inconclusive),
            (Bound::at_least(-0.1), (-0.3, -0.11), Verdict::Fail),
            (Bound::at_most(0.1), (0.0, 0.1), Verdict::Pass),
            (Bound::at_most(0.1), (0.11, 0.2), Verdict::Fail),
            (Bound::within(0.1), (-0.1, 0.1), Verdict::Pass),
            (Bound::within(0.1), (-0.2, 0.2), Verdict::Inconclusive),
            (Bound::within(0.1), (-0.3, -0.2), Verdict::Fail),
            (Bound::within(0.1), (f64::NAN, f64::NAN), Verdict::Inconclusive),
        ];
        for (bound, (low, high), verdict) in cases {
            let found = Interval { value: (low + high) / 2.0, low, high };
            assert_eq!(bound.judge(&found), verdict, "{bound:?} {found:?}");
        }
    }

    #[test]
    fn codes_are_those_of_the_help() {
        assert_eq!([Verdict::Pass, Verdict::Fail, Verdict::Inconclusive].map(Verdict::exit_code), [0, 1, 3]);
        assert_eq!([Verdict::Fail, Verdict::Inconclusive, Verdict::Pass].into_iter().max(), Some(Verdict::Fail));
    }
}
