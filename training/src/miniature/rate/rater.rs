//! People are not perfect judges: raters that err, forgive and skip.

use image::RgbImage;

use super::{Observation, judge, observe};
use crate::{miniature::grammar::Scene, random::Random};

/// One person's answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Vote {
    /// The picture is what the prompt says.
    Up,
    /// It is not.
    Down,
    /// No answer.
    Skip,
}

/// How a rater departs from the perfect judge; every rate is a probability, 0 by default.
#[derive(Debug, Clone, Copy, Default, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct RaterSettings {
    /// How often an answer is turned round. A single person disagrees with the majority on 8 % (count) to 17 %
    /// (composition) of pictures.
    pub error_rate: f32,
    /// How often a picture whose only fault is one object too many or too few is forgiven.
    pub leniency: f32,
    /// How often no answer is given (the paper's raters: 5 %).
    pub skip_rate: f32,
}

/// A rater with a mind of its own: the same seed gives the same answers to the same questions in the same order.
#[derive(Debug, Clone)]
pub struct Rater {
    settings: RaterSettings,
    random: Random,
}

impl Rater {
    /// A rater.
    pub fn new(settings: RaterSettings, seed: u64) -> Self {
        Self { settings, random: Random::stream(seed, "rater") }
    }

    /// The answer to "is this `asked`?".
    ///
    /// # Panics
    /// If the picture is not 64×64.
    pub fn vote(&mut self, picture: &RgbImage, asked: &Scene) -> Vote {
        self.vote_on(&observe(picture), asked)
    }

    /// As [`Self::vote`], of a picture that was looked at already.
    pub fn vote_on(&mut self, seen: &Observation, asked: &Scene) -> Vote {
        let verdict = judge(seen, asked);
        let close = verdict.object && verdict.colour && verdict.background;
        let near = close && seen.things.len().abs_diff(usize::from(asked.number())) == 1;
        // All three are drawn every time, so that one setting does not shift what another does.
        let [skips, forgives, errs] = [self.settings.skip_rate, self.settings.leniency, self.settings.error_rate]
            .map(|rate| self.random.chance(rate));
        match (skips, (verdict.is_good() || (near && forgives)) != errs) {
            (true, _) => Vote::Skip,
            (false, true) => Vote::Up,
            (false, false) => Vote::Down,
        }
    }
}
