//! What a gate found, as files.

use std::{fs, path::Path};

use serde::Serialize;
use serde_json::Value;

use super::{GateError, Measure, Verdict, draw::replace, markdown, plot};

/// Number of the form of `gate.json`; docs/gate.md has the fields. It changes when a field goes or means something else.
pub const SCHEMA: u32 = 1;
const JSON: &str = "gate.json";
const MARKDOWN: &str = "gate.md";
const PLOT: &str = "differences.svg";

/// What is compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// Packs that draw.
    Generator,
    /// Reward packs.
    Reward,
}

impl Kind {
    /// Its name.
    pub fn word(self) -> &'static str {
        match self {
            Self::Generator => "generator",
            Self::Reward => "reward",
        }
    }
}

/// What could not be measured. It has no part in the verdict.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct LeftOut {
    /// What would have been measured.
    pub name: String,
    /// Why it was not.
    pub reason: String,
}

impl LeftOut {
    pub(super) fn new(name: &str, reason: &str) -> Self {
        Self { name: name.to_owned(), reason: reason.to_owned() }
    }
}

/// Everything that `gate.json` says.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Evidence {
    /// [`SCHEMA`].
    pub schema: u32,
    /// What is compared.
    pub kind: Kind,
    /// The worst of the measures' verdicts.
    pub verdict: Verdict,
    /// Version of what serves.
    pub champion: String,
    /// Version of what would.
    pub candidate: String,
    /// What both were asked: amounts, seed, datasets.
    pub asked: Value,
    /// Every measure.
    pub measures: Vec<Measure>,
    /// What could not be measured.
    pub left_out: Vec<LeftOut>,
    /// Prompts on `sheet.png`, a row each.
    pub on_sheet: Vec<String>,
}

impl Evidence {
    pub(super) fn new(
        kind: Kind,
        champion: String,
        candidate: String,
        asked: Value,
        measures: Vec<Measure>,
        left_out: Vec<LeftOut>,
    ) -> Self {
        let verdict = measures.iter().map(|measure| measure.verdict).max().unwrap_or(Verdict::Inconclusive);
        Self { schema: SCHEMA, kind, verdict, champion, candidate, asked, measures, left_out, on_sheet: Vec::new() }
    }

    /// The measures of a verdict.
    pub fn of(&self, verdict: Verdict) -> impl Iterator<Item = &Measure> {
        self.measures.iter().filter(move |measure| measure.verdict == verdict)
    }

    /// Whether every figure itself, its interval aside, lies within its bound. One that could not be computed is left out; none at all is no evidence.
    pub fn is_within(&self) -> bool {
        let mut figures = self.measures.iter().filter(|measure| !measure.found.value.is_nan()).peekable();
        figures.peek().is_some() && figures.all(|measure| measure.bound.holds(measure.found.value))
    }

    /// The text of `gate.json`. Figures that are no numbers are null.
    pub fn json(&self) -> String {
        // Numbers, texts and maps with text keys always serialise.
        serde_json::to_string_pretty(self).unwrap_or_default() + "\n"
    }

    /// The text of `gate.md`.
    pub fn markdown(&self) -> String {
        markdown::page(self)
    }

    /// Writes `gate.md`, `differences.svg`, and `gate.json` last.
    pub(super) fn write(&self, out: &Path) -> Result<(), GateError> {
        fs::create_dir_all(out).map_err(GateError::io("create", out))?;
        replace(&out.join(MARKDOWN), self.markdown().as_bytes())?;
        replace(&out.join(PLOT), plot::differences(self)?.as_bytes())?;
        replace(&out.join(JSON), self.json().as_bytes())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        gate::{Bound, Compared},
        measure::Interval,
    };

    fn evidence(figures: &[f64]) -> Evidence {
        let measure = |&value: &f64| {
            // Wider than any bound here: what decides is the figure.
            let found = Interval { value, low: value - 1.0, high: value + 1.0 };
            Measure::new("auroc", "all", Compared::Difference, [None, None], found, Bound::at_least(-0.1))
        };
        let measures = figures.iter().map(measure).collect();
        Evidence::new(Kind::Reward, "a".into(), "b".into(), Value::Null, measures, Vec::new())
    }

    #[test]
    fn figures_within_their_bounds_are_told_from_intervals_that_are_merely_wide() {
        let cases: [(&[f64], bool); 6] = [
            (&[0.0, 0.3], true),
            (&[-0.1], true),
            (&[0.0, -0.15], false),
            (&[0.0, f64::NAN], true),
            (&[f64::NAN], false),
            (&[], false),
        ];
        for (figures, within) in cases {
            let evidence = evidence(figures);
            assert_eq!(evidence.verdict, Verdict::Inconclusive, "{figures:?}");
            assert_eq!(evidence.is_within(), within, "{figures:?}");
        }
    }
}
