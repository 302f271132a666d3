//! What to tune, on what, how, and where it goes.

use std::{path::PathBuf, time::Duration};

use plaudit::{
    pack::Pack,
    pipeline::schedule::{SchedulerConfig, SchedulerKind},
};
use serde::{Deserialize, Serialize};

use super::{FinetuneError, LatentReward, Objective};
use crate::step::Selection;

/// What r is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "snake_case")]
pub enum Signal {
    /// The calibrated probability of a thumbs-up: ½ is indifference, which the signed target needs.
    #[default]
    Calibrated,
    /// What the head answered before calibration, as the paper uses it.
    Raw,
    /// The calibrated probability, counted as one vote beside the picture's own: (p + Σ up) / (1 + Σ all), by the votes' weights.
    Votes,
}

impl Signal {
    /// r of a picture, of the reward's two outputs and the weights of its votes up and in all.
    pub(super) fn of(self, calibrated: f32, raw: f32, (up, all): (f32, f32)) -> f32 {
        match self {
            Self::Calibrated => calibrated,
            Self::Raw => raw,
            Self::Votes => (calibrated + up) / (1.0 + all),
        }
    }
}

/// Settings of one fine-tuning. [`Finetune::new`] has the defaults; fields are public to be changed.
#[derive(Debug, Clone, PartialEq)]
pub struct Finetune {
    /// The pack that is tuned; also the frozen reference.
    pub pack: PathBuf,
    /// Voted pictures, as `collect` or `plaudit feedback export` writes them. Rows of the parts `test` and `held_out` are left out:
    /// they are what gates measure on. Objectives other than KTO use the pictures and prompts and score them.
    pub labelled: Option<PathBuf>,
    /// Further pictures with prompts, scored by the reward: datasets, directories of `collect --votes-per-image 0`, or what `data import` wrote.
    pub unlabelled: Vec<PathBuf>,
    /// Captioned pictures to hold on to what the model knows, as `data import` writes them. Without them the anchor stands in.
    pub pretraining: Option<PathBuf>,
    /// The reward pack; `None`: the one inside `pack`. KTO needs none.
    pub reward: Option<PathBuf>,
    /// Caches, checkpoints, curves, sheets and exports.
    pub data: PathBuf,
    /// The tuned pack; must not be there yet, or be the very one that this run wrote.
    pub out: PathBuf,
    /// Its name; `None`: the parent's.
    pub name: Option<String>,
    /// The scheduler that the tuned pack names for requests that name none; `None`: the parent's. Default: the parent's, and DDIM with the latent reward.
    pub scheduler: Option<SchedulerKind>,
    /// The loss.
    pub objective: Objective,
    /// What r is made of. Default: the calibrated reward.
    pub signal: Signal,
    /// β, the weight of the pre-training rows' mean error. The paper does not publish its own. Default: 1.
    pub pretraining_weight: f32,
    /// Share of a batch that is pre-training rows, where there is such a set. Default: 0.5, the paper's.
    pub pretraining_share: f32,
    /// How often a pre-training row's prompt is left out, so that what guidance subtracts stays. Default: 0.1.
    pub prompt_drop: f32,
    /// γ, the weight of ‖ε_θ − ε_ref‖² on the other rows; `None`: 0 with a pre-training set, [`Finetune::STAND_IN`] without.
    pub anchor: Option<f32>,
    /// Whether rows count by the inverse root of the reference's error, so that timesteps with little noise do not drown the others. Not for
    /// KTO's term. Default: no.
    pub balance: bool,
    /// s of guided training, for rounds after the first: the classifier-free-guided prediction is in the loss. Twice the work. `None`: the conditional one; with
    /// the reward's gradient, the pack's own.
    pub guidance: Option<f32>,
    /// Timesteps that the model's own rows are noised to, from the first to below the second; `None`: all of the pack's. What a picture shows is decided
    /// where there is much noise. Default: all.
    pub timesteps: Option<(usize, usize)>,
    /// All weights, attention only, or LoRA. Default: all.
    pub selection: Selection,
    /// Updates in all.
    pub steps: u64,
    /// Rows of one update: `rows` × `micro_batches`. More rows in one run of the graph take more memory. Default: 8.
    pub rows: usize,
    /// Runs of the graph for one update. Default: 2.
    pub micro_batches: usize,
    /// Highest learning rate, after the warm-up; it falls to a tenth along a cosine. Default: 1e-5.
    pub rate: f32,
    /// Steps of warm-up. Default: 20.
    pub warmup: u64,
    /// AdamW's decay. Default: 0.01.
    pub weight_decay: f32,
    /// Decay of the weights' running average, which is then what is exported; `None`: the last weights are. Default: none.
    pub average: Option<f32>,
    /// A run stops when its noise error, averaged, is this many times what it was at the start. Default: 2.
    pub divergence: f32,
    /// Share of the prompts whose pictures and votes are not learned from: the loss on them says whether what is learned holds for others.
    /// 0 validates nothing. Default: 0.1.
    pub validation_share: f32,
    /// Rows of a validation, the same each time. Default: 256.
    pub validation_rows: usize,
    /// Steps between validations. Default: 100.
    pub validate_every: u64,
    /// Steps between checkpoints: what a kill can cost. Default: 50.
    pub checkpoint_every: u64,
    /// Steps between sample sheets; 0 draws none. Default: 100.
    pub sheet_every: u64,
    /// Prompts of the sheets; empty: some of the training prompts.
    pub sheet_prompts: Vec<String>,
    /// Time after which this leg ends; the next call goes on. `None`: none.
    pub leg: Option<Duration>,
    /// Refuse a run that is estimated to take longer. `None`: any.
    pub most_time: Option<Duration>,
    /// Bytes that may be taken; `None`: what the system says is free.
    pub memory_limit: Option<u64>,
    /// Whether to start although memory or time do not suffice by the estimate.
    pub force: bool,
    /// Seed of order, timesteps, noise and LoRA.
    pub seed: u64,
    /// Threads of the runtime; 0 means one for each core.
    pub threads: usize,
    /// Whether to show a bar and log lines.
    pub show: bool,
}

impl Finetune {
    /// γ where there is neither a pre-training set nor a setting.
    pub const STAND_IN: f32 = 1.0;

    /// The paper's objective on all weights, with every default; data sets are still to be named.
    pub fn new(pack: impl Into<PathBuf>, data: impl Into<PathBuf>, out: impl Into<PathBuf>) -> Self {
        Self {
            pack: pack.into(),
            labelled: None,
            unlabelled: Vec::new(),
            pretraining: None,
            reward: None,
            data: data.into(),
            out: out.into(),
            name: None,
            scheduler: None,
            objective: Objective::RewardWeighted,
            signal: Signal::default(),
            pretraining_weight: 1.0,
            pretraining_share: 0.5,
            prompt_drop: 0.1,
            anchor: None,
            balance: false,
            guidance: None,
            timesteps: None,
            selection: Selection::All,
            steps: 500,
            rows: 8,
            micro_batches: 2,
            rate: 1e-5,
            warmup: 20,
            weight_decay: 0.01,
            average: None,
            divergence: 2.0,
            validation_share: 0.1,
            validation_rows: 256,
            validate_every: 100,
            checkpoint_every: 50,
            sheet_every: 100,
            sheet_prompts: Vec::new(),
            leg: None,
            most_time: None,
            memory_limit: None,
            force: false,
            seed: 0,
            threads: 0,
            show: true,
        }
    }

    /// An objective with the numbers to begin with. Those of the reward's gradient are in docs/finetune.md; the other ones have
    /// [`Finetune::new`]'s. They are where a search would begin, as they depend on the pack.
    #[must_use]
    pub fn with_objective(self, objective: Objective) -> Self {
        match objective {
            Objective::RewardGradient { .. } => Self {
                objective,
                anchor: Some(0.1),
                balance: true,
                timesteps: Some((100, 700)),
                steps: 200,
                rate: 5e-5,
                average: Some(0.95),
                // Each is a picture of 20 steps.
                validation_rows: 64,
                ..self
            },
            // r is what the latent reward learns from, so that votes count, where there are any.
            Objective::LatentReward(_) => Self {
                objective,
                signal: Signal::Votes,
                // Its predictions change faster with the timestep than its parent's; multistep schedulers extrapolate over them (docs/finetune.md).
                scheduler: Some(SchedulerKind::Ddim),
                balance: true,
                steps: 750,
                rate: 2e-4,
                average: Some(0.98),
                ..self
            },
            _ => Self { objective, ..self },
        }
    }

    /// What follows from the pack: the reward's gradient is taken at pictures as they are drawn, with the pack's guidance where none is named.
    pub(super) fn resolved(&self, pack: &Pack) -> Self {
        let drawn = matches!(self.objective, Objective::RewardGradient { .. } | Objective::LatentReward(_));
        let guidance = self.guidance.or_else(|| drawn.then(|| pack.guidance() as f32));
        Self { guidance, ..self.clone() }
    }

    /// The tuned pack's `scheduler_config.json`, where it is not the parent's.
    ///
    /// # Errors
    /// Where the scheduler cannot run with the other options of the parent's file.
    pub(super) fn scheduled(&self, pack: &Pack) -> Result<Option<SchedulerConfig>, FinetuneError> {
        let Some(kind) = self.scheduler else { return Ok(None) };
        let named = SchedulerConfig::from_json(pack.scheduler())?.named(kind);
        let fault = |error| FinetuneError::Settings {
            fault: format!("the tuned pack cannot name this scheduler, name another: {error}"),
        };
        named.check().map_err(fault)?;
        Ok(Some(named))
    }

    /// γ of this run.
    pub fn gamma(&self) -> f32 {
        self.anchor.unwrap_or(if self.pretraining.is_some() { 0.0 } else { Self::STAND_IN })
    }

    /// Rows of one update.
    pub fn batch(&self) -> usize {
        self.rows * self.micro_batches
    }

    /// Whether the numbers can be used together.
    ///
    /// # Errors
    /// With the first that cannot.
    pub fn check(&self) -> Result<(), FinetuneError> {
        let refuse = |fault: &str| Err(FinetuneError::Settings { fault: fault.to_owned() });
        let share = |value: f32| (0.0..1.0).contains(&value);
        let weight = |value: f32| value.is_finite() && value >= 0.0;
        if self.labelled.is_none() && self.unlabelled.is_empty() {
            return refuse("there is nothing to learn from: give --dataset or --unlabelled");
        }
        if self.steps == 0 || self.rows == 0 || self.micro_batches == 0 || self.checkpoint_every == 0 {
            return refuse("steps, rows, micro-batches and checkpoint-every must be 1 or more");
        }
        if self.validation_rows == 0 || self.validate_every == 0 {
            return refuse(
                "validation-rows and validate-every must be 1 or more; --validation-share 0 validates nothing",
            );
        }
        if !share(self.pretraining_share) || !share(self.prompt_drop) || !share(self.validation_share) {
            return refuse("pretraining-share, prompt-drop and validation-share must be at least 0 and below 1");
        }
        if !weight(self.pretraining_weight) || !weight(self.gamma()) || !weight(self.rate) {
            return refuse("beta, anchor and rate must be finite and not negative");
        }
        if self.average.is_some_and(|decay| !share(decay)) {
            return refuse("average must be at least 0 and below 1");
        }
        if self.guidance.is_some_and(|scale| !(scale.is_finite() && scale > 0.0)) {
            return refuse("guidance must be above 0");
        }
        if self.timesteps.is_some_and(|(from, to)| from >= to) {
            return refuse("timesteps must be from a smaller to a larger number");
        }
        if !(self.divergence.is_finite() && self.divergence > 1.0) {
            return refuse("divergence must be above 1");
        }
        match self.objective {
            Objective::SignedTarget { bound, .. } if !(bound.is_finite() && bound > 0.0) => {
                refuse("the signed target's bound must be above 0")
            }
            Objective::RewardGradient { reach, contrast }
                if !(reach.is_finite() && reach > 0.0 && weight(contrast)) =>
            {
                refuse("the reward gradient's reach must be above 0, and its contrast finite and not negative")
            }
            Objective::LatentReward(LatentReward { strength, steps, rate, contrast })
                if !(strength.is_finite() && strength > 0.0 && steps > 0 && weight(rate) && share(contrast)) =>
            {
                refuse(
                    "the latent reward's strength and steps must be above 0, its rate finite and not negative, its contrast at least 0 and below 1",
                )
            }
            Objective::Kto(_) if self.labelled.is_none() => refuse("KTO learns from votes: give --dataset"),
            Objective::Kto(_) if !self.unlabelled.is_empty() => {
                refuse("KTO learns from votes alone, and nobody voted on --unlabelled pictures: leave --unlabelled out")
            }
            Objective::Kto(kto) if !(kto.liked > 0.0 && kto.liked < 1.0 && kto.window > 0 && kto.sharpness > 0.0) => {
                refuse("KTO's liked share must lie between 0 and 1, its window and sharpness above 0")
            }
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_reward_is_one_vote_beside_the_pictures_own() {
        assert_eq!(Signal::Calibrated.of(0.4, 0.6, (1.0, 1.0)), 0.4);
        assert_eq!(Signal::Raw.of(0.4, 0.6, (1.0, 1.0)), 0.6);
        assert_eq!(Signal::Votes.of(0.4, 0.6, (0.0, 0.0)), 0.4);
        assert_eq!(Signal::Votes.of(0.5, 0.6, (2.0, 3.0)), 0.625);
    }
}
