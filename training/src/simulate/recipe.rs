//! What a leg's generator is tuned by, as it is named on the command line: `reward-weighted+unlabelled+pretraining@5e-5`.

use std::{fmt, str::FromStr};

use clap::ValueEnum;

use super::Simulation;
use crate::daemon::{Learning, TuneObjective};

/// γ of `+anchored`.
const ANCHORED: f32 = 1.0;
const UNLABELLED: &str = "unlabelled";
const PRETRAINING: &str = "pretraining";
const ANCHOR: &str = "anchored";

/// An objective, with or without each of the paper's further sets and the anchor.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Recipe {
    /// How rewards or votes become a loss.
    pub objective: TuneObjective,
    /// Whether the champion draws more of each voted prompt's pictures, which only the reward scores.
    pub unlabelled: bool,
    /// Whether captioned pictures hold on to what the base knows.
    pub pretraining: bool,
    /// Whether predictions are held to the champion's.
    pub anchored: bool,
    /// Highest learning rate; `None`: the objective's.
    pub rate: Option<f32>,
}

impl From<TuneObjective> for Recipe {
    fn from(objective: TuneObjective) -> Self {
        Self { objective, unlabelled: false, pretraining: false, anchored: false, rate: None }
    }
}

impl Recipe {
    /// The paper's objective with what its stages have, then what came after: what the experiment sets side by side. The first is the finalist.
    pub fn all() -> Vec<Self> {
        let paper = Self::from(TuneObjective::RewardWeighted);
        let unlabelled = Self { unlabelled: true, ..paper };
        vec![
            TuneObjective::LatentReward.into(),
            paper,
            unlabelled,
            Self { pretraining: true, ..paper },
            Self { pretraining: true, ..unlabelled },
            Self { anchored: true, ..paper },
            TuneObjective::Centred.into(),
            TuneObjective::SignedTarget.into(),
            TuneObjective::RelativeTarget.into(),
            TuneObjective::RewardGradient.into(),
            TuneObjective::Kto.into(),
        ]
    }

    /// What the daemon learns with. The reward's gradient has an anchor of its own, the latent reward none; the others have γ of 0 or 1.
    pub(super) fn learning(&self, simulation: &Simulation) -> Learning {
        let usual = &simulation.daemon.learning;
        let anchor = match self.objective {
            TuneObjective::LatentReward | TuneObjective::RewardGradient if !self.anchored => None,
            _ => Some(if self.anchored { ANCHORED } else { 0.0 }),
        };
        Learning {
            objective: self.objective,
            anchor: anchor.filter(|_| self.objective != TuneObjective::LatentReward),
            tune_pictures: if self.unlabelled { usual.tune_pictures } else { 0 },
            base_data: usual.base_data.clone().filter(|_| self.pretraining),
            tune_rate: self.rate.or(usual.tune_rate),
            tune_strength: usual.tune_strength.filter(|_| self.objective == TuneObjective::LatentReward),
            ..usual.clone()
        }
    }
}

impl fmt::Display for Recipe {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.objective.name())?;
        for (set, word) in [(self.unlabelled, UNLABELLED), (self.pretraining, PRETRAINING), (self.anchored, ANCHOR)] {
            if set {
                write!(f, "+{word}")?;
            }
        }
        self.rate.map_or(Ok(()), |rate| write!(f, "@{rate:e}"))
    }
}

impl FromStr for Recipe {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (text, rate) = match text.split_once('@') {
            None => (text, None),
            Some((text, rate)) => {
                let rate = rate.parse().ok().filter(|rate: &f32| rate.is_finite() && *rate > 0.0);
                (text, Some(rate.ok_or("after @ stands a learning rate above 0, for example centred@5e-5")?))
            }
        };
        let mut words = text.split('+');
        let objective = TuneObjective::from_str(words.next().unwrap_or_default(), false)
            .map_err(|_| format!("there is no objective in {text:?}; there are {}", names()))?;
        let mut recipe = Self { rate, ..Self::from(objective) };
        for word in words {
            match word {
                UNLABELLED if objective != TuneObjective::Kto => recipe.unlabelled = true,
                UNLABELLED => return Err("kto learns from votes, and nobody votes on unlabelled pictures".into()),
                PRETRAINING => recipe.pretraining = true,
                ANCHOR if objective != TuneObjective::LatentReward => recipe.anchored = true,
                ANCHOR => return Err("the latent reward has no anchor".into()),
                _ => return Err(format!("after + stand {UNLABELLED}, {PRETRAINING} and {ANCHOR}, not {word:?}")),
            }
        }
        Ok(recipe)
    }
}

fn names() -> String {
    TuneObjective::ALL.map(TuneObjective::name).join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn recipes_are_written_as_they_are_read() {
        for recipe in Recipe::all() {
            assert_eq!(recipe.to_string().parse(), Ok(recipe));
        }
        let full = "reward-weighted+unlabelled+pretraining+anchored@5e-5";
        assert_eq!(full.parse::<Recipe>().expect("a recipe").to_string(), full);
        for (text, said) in [
            ("paper", "there are latent-reward"),
            ("kto+unlabelled", "nobody votes"),
            ("latent-reward+anchored", "no anchor"),
            ("centred+more", "after + stand"),
            ("centred@fast", "a learning rate"),
        ] {
            let refused = text.parse::<Recipe>().expect_err(text);
            assert!(refused.contains(said), "{refused}");
        }
    }
}
