//! Which part of a dataset a prompt and a rater belong to.

use serde::{Deserialize, Serialize};

/// A part of a dataset. No prompt and no rater is in two of them, but that [`Part::Test`] and [`Part::HeldOut`] share raters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Part {
    /// What the reward learns from.
    Train,
    /// What says when to stop.
    Validation,
    /// What the calibration is fitted to.
    Calibration,
    /// What figures are measured on.
    Test,
    /// Prompts about objects that no other part names; measured on, like [`Part::Test`].
    HeldOut,
}

/// Shares of prompts and raters in train, validation, calibration and test. Figures need as many votes as training does good with:
/// a calibration error is known to ± 1 in 100 from some thousand votes on.
const SHARES: [(Part, f64); 4] =
    [(Part::Train, 0.6), (Part::Validation, 0.1), (Part::Calibration, 0.12), (Part::Test, 0.18)];

impl Part {
    /// Every part, in a fixed order.
    pub const ALL: [Self; 5] = [Self::Train, Self::Validation, Self::Calibration, Self::Test, Self::HeldOut];

    /// The name in datasets and reports.
    pub fn word(self) -> &'static str {
        match self {
            Self::Train => "train",
            Self::Validation => "validation",
            Self::Calibration => "calibration",
            Self::Test => "test",
            Self::HeldOut => "held_out",
        }
    }

    /// The part of this name.
    pub fn from_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|part| part.word() == word)
    }

    /// The part at `place` in [0, 1), the shares laid end to end.
    pub fn at(place: f64) -> Self {
        let mut end = 0.0;
        for (part, share) in SHARES {
            end += share;
            if place < end {
                return part;
            }
        }
        Self::Test
    }

    /// The part whose raters vote on this part's pictures.
    pub fn crew(self) -> Self {
        if self == Self::HeldOut { Self::Test } else { self }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_fill_the_parts_by_their_shares() {
        let counted = |part| (0..1000).filter(|&place| Part::at(f64::from(place) / 1000.0) == part).count();
        assert_eq!(Part::ALL.map(counted), [600, 100, 120, 180, 0]);
    }

    #[test]
    fn names_read_back() {
        assert_eq!(Part::ALL.map(|part| Part::from_word(part.word())), Part::ALL.map(Some));
    }
}
