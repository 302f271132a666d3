//! The reward and what it is compared with: the same training without one of its parts.

use serde::Serialize;

use super::{
    Calibration, HeadShape, Objective, Recipe, RewardError, Training,
    fit::{self, Bench, Fitted},
    score,
};
use crate::collect::Part;

/// Width of the hidden layers for embeddings narrower than [`WIDE`]; the paper's 1,024 for others.
const HIDDEN: (usize, usize) = (256, 1024);
/// Width of an embedding from which on the paper's layers are used: SD v1.5's CLIP has 768.
const WIDE: usize = 512;

/// What is trained.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Variant {
    /// The reward.
    Reward,
    /// Without prompt classification.
    NoAuxiliary,
    /// From half of each prompt's pictures.
    HalfImages,
    /// With the product of both embeddings where the reward is without it, and the other way round.
    OtherFeatures,
}

impl Variant {
    /// The reward and its ablations.
    pub const ALL: [Self; 4] = [Self::Reward, Self::NoAuxiliary, Self::HalfImages, Self::OtherFeatures];

    /// The name of its runs' directories.
    pub fn word(self) -> &'static str {
        match self {
            Self::Reward => "reward",
            Self::NoAuxiliary => "no-auxiliary",
            Self::HalfImages => "half-images",
            Self::OtherFeatures => "other-features",
        }
    }

    fn recipe(self, training: &Training, width: usize, seed: u64) -> Recipe {
        let hidden = match training.hidden {
            0 if width < WIDE => HIDDEN.0,
            0 => HIDDEN.1,
            chosen => chosen,
        };
        let auxiliary = if self == Self::NoAuxiliary { 0.0 } else { training.objective.auxiliary };
        Recipe {
            shape: HeadShape { width, hidden, product: training.product != (self == Self::OtherFeatures) },
            objective: Objective { auxiliary, ..training.objective },
            steps: training.steps,
            rate: training.rate,
            weight_decay: training.weight_decay,
            look_every: training.look_every,
            patience: training.patience,
            half: self == Self::HalfImages,
            seed,
        }
    }
}

/// One variant's heads, a seed each.
pub(super) struct Trained {
    pub(super) variant: Variant,
    pub(super) heads: Vec<Head>,
}

/// A trained and calibrated head.
pub(super) struct Head {
    pub(super) recipe: Recipe,
    pub(super) fitted: Fitted,
    pub(super) calibration: Calibration,
}

/// Trains the reward, then, if asked for, its ablations.
pub(super) fn train(training: &Training, bench: &Bench<'_>) -> Result<Vec<Trained>, RewardError> {
    let variants = if training.ablations { &Variant::ALL[..] } else { &Variant::ALL[..1] };
    let one = |&variant: &Variant| {
        let head = |seed: u64| head(training, bench, variant, training.seed + seed);
        let heads = (0..training.seeds.max(1)).map(head).collect::<Result<_, RewardError>>()?;
        Ok(Trained { variant, heads })
    };
    variants.iter().map(one).collect()
}

fn head(training: &Training, bench: &Bench<'_>, variant: Variant, seed: u64) -> Result<Head, RewardError> {
    let recipe = variant.recipe(training, bench.embedded.width, seed);
    let folder = training.data.join(format!("{}-{seed}", variant.word()));
    let fitted = fit::fit(bench, &recipe, &folder)?;
    let votes = bench.split.votes(Part::Calibration);
    let raw = score::raw(&recipe.shape, &fitted.weights, bench.embedded, &bench.pairs(votes))?;
    let calibration = Calibration::fit(&bench.scored(votes, &raw));
    Ok(Head { recipe, fitted, calibration })
}
