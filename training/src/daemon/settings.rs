//! Settings of the daemon: a struct, each field with its unit, default and reason.

use std::{net::SocketAddr, path::PathBuf};

use plaudit::{registry::RegistrySettings, store::StoreSettings};

use super::DaemonError;
use crate::{
    finetune::{Kto, LatentReward, Objective},
    gate::{GeneratorBounds, RewardBounds},
};

/// What becomes of a version that passed its gate.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, clap::ValueEnum)]
pub enum Release {
    /// It is tried beside the champion, for a share of those who ask
    #[default]
    Trial,
    /// It is champion at once
    Promote,
    /// It lies in the registry until somebody tries or promotes it
    Publish,
}

/// How the generator is tuned; `plaudit-train finetune --help` says more of each.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, clap::ValueEnum)]
pub enum TuneObjective {
    /// The paper's
    #[default]
    RewardWeighted,
    /// Rewards less their prompt's mean
    Centred,
    /// A bounded pull or push, as far as the reward is from a half
    SignedTarget,
    /// A bounded pull or push, as far as the reward is from those of the prompt's other pictures
    RelativeTarget,
    /// Along the reward's gradient at what a picture is going to be
    RewardGradient,
    /// Where a reward that sees noise, learned from the votes first, leads each step
    LatentReward,
    /// From the votes, without the reward
    Kto,
}

impl TuneObjective {
    /// Every objective.
    pub const ALL: [Self; 7] = [
        Self::LatentReward,
        Self::RewardGradient,
        Self::RewardWeighted,
        Self::Centred,
        Self::SignedTarget,
        Self::RelativeTarget,
        Self::Kto,
    ];

    /// Its name in reports and folders.
    pub fn name(self) -> &'static str {
        match self {
            Self::RewardWeighted => "reward-weighted",
            Self::Centred => "centred",
            Self::SignedTarget => "signed-target",
            Self::RelativeTarget => "relative-target",
            Self::RewardGradient => "reward-gradient",
            Self::LatentReward => "latent-reward",
            Self::Kto => "kto",
        }
    }

    /// With the defaults of its own settings.
    pub fn objective(self) -> Objective {
        match self {
            Self::RewardWeighted => Objective::RewardWeighted,
            Self::Centred => Objective::Centred,
            Self::SignedTarget => Objective::SignedTarget { bound: 1.0, relative: false },
            Self::RelativeTarget => Objective::SignedTarget { bound: 1.0, relative: true },
            Self::RewardGradient => Objective::REWARD_GRADIENT,
            Self::LatentReward => Objective::LatentReward(LatentReward::default()),
            Self::Kto => Objective::Kto(Kto::default()),
        }
    }
}

/// When a round begins.
#[derive(Debug, Clone, PartialEq, clap::Args)]
#[command(next_help_heading = "When a round begins")]
pub struct Watermark {
    /// New votes after which a round begins
    #[arg(long, env = "PLAUDIT_TRAIN_NEW_VOTES", default_value_t = 500, value_name = "VOTES")]
    pub new_votes: u32,
    /// Hours since the oldest new vote after which a round begins with fewer; 0: never
    #[arg(long, env = "PLAUDIT_TRAIN_MAX_AGE", default_value_t = 168.0, value_parser = amount, value_name = "HOURS")]
    pub max_age: f64,
    /// New votes that a round needs even then
    #[arg(long, env = "PLAUDIT_TRAIN_AGED_VOTES", default_value_t = 100, value_name = "VOTES")]
    pub aged_votes: u32,
    /// Rounds that begin within 24 hours at most: each changes what people see
    #[arg(long, env = "PLAUDIT_TRAIN_ROUNDS_PER_DAY", default_value_t = 2, value_name = "ROUNDS")]
    pub rounds_per_day: u32,
    /// Rounds that may be built on each other, counted from a generator without a parent: repeated rounds are known to collapse. Publish
    /// and promote a newly trained base to begin anew
    #[arg(long, env = "PLAUDIT_TRAIN_ROUNDS_PER_BASE", default_value_t = 10, value_name = "ROUNDS")]
    pub rounds_per_base: u32,
    /// Minutes that the next round waits after one that failed
    #[arg(long, env = "PLAUDIT_TRAIN_RETRY_AFTER", default_value_t = 30, value_name = "MINUTES")]
    pub retry_after: u32,
}

/// Which votes are fit to learn from. All but the first are asked of the new votes, those of raters in quarantine left out.
#[derive(Debug, Clone, PartialEq, clap::Args)]
#[command(next_help_heading = "Which votes are learned from")]
pub struct Soundness {
    /// Votes that there must be in all, old and new
    #[arg(long, env = "PLAUDIT_TRAIN_MIN_VOTES", default_value_t = 500, value_name = "VOTES")]
    pub min_votes: u32,
    /// Raters that the new votes must come from
    #[arg(long, env = "PLAUDIT_TRAIN_MIN_RATERS", default_value_t = 5, value_name = "RATERS")]
    pub min_raters: u32,
    /// Share of thumbs up, and of thumbs down, that there must be at least: from votes of one kind nothing can be told apart
    #[arg(long, env = "PLAUDIT_TRAIN_MIN_MINORITY", default_value_t = 0.05, value_parser = share, value_name = "SHARE")]
    pub min_minority: f64,
    /// Share of the new votes that one rater may have cast
    #[arg(long, env = "PLAUDIT_TRAIN_MAX_RATER_SHARE", default_value_t = 0.3, value_parser = share, value_name = "SHARE")]
    pub max_rater_share: f64,
    /// Share of pairs of votes on one picture that must agree. Coins agree on half; people on 0.74 to 0.85
    #[arg(long, env = "PLAUDIT_TRAIN_MIN_AGREEMENT", default_value_t = 0.6, value_parser = share, value_name = "SHARE")]
    pub min_agreement: f64,
    /// Pairs below which agreement is not asked for
    #[arg(long, env = "PLAUDIT_TRAIN_MIN_PAIRS", default_value_t = 50, value_name = "PAIRS")]
    pub min_pairs: u32,
    /// Share of votes on gold items that must be right
    #[arg(long, env = "PLAUDIT_TRAIN_MIN_GOLD", default_value_t = 0.75, value_parser = share, value_name = "SHARE")]
    pub min_gold: f64,
    /// Votes on gold items below which that is not asked for
    #[arg(long, env = "PLAUDIT_TRAIN_MIN_GOLD_VOTES", default_value_t = 20, value_name = "VOTES")]
    pub min_gold_votes: u32,
    /// Share of all new votes that may be in quarantine: more of them is an attack, or a gold item with a wrong answer
    #[arg(long, env = "PLAUDIT_TRAIN_MAX_QUARANTINED", default_value_t = 0.3, value_parser = share, value_name = "SHARE")]
    pub max_quarantined: f64,
    /// Share of all training weight that one rater's votes may have, as in the server's --feedback-rater-share
    #[arg(long, env = "PLAUDIT_FEEDBACK_RATER_SHARE", default_value_t = 0.05, value_parser = share, value_name = "SHARE")]
    pub rater_weight: f64,
}

/// What is learned, and how much is spent on it.
#[derive(Debug, Clone, PartialEq, clap::Args)]
#[command(next_help_heading = "What is learned")]
pub struct Learning {
    /// Learn a reward and leave the generator as it is
    #[arg(long, env = "PLAUDIT_TRAIN_REWARDS_ONLY")]
    pub rewards_only: bool,
    /// Where the gate refuses the new reward, tune the generator by the champion's instead of ending the round; not with kto, which
    /// learns from the votes themselves
    #[arg(long, env = "PLAUDIT_TRAIN_KEEP_REWARD")]
    pub keep_reward: bool,
    /// Steps of the reward at most; it stops earlier where held-out votes stop gaining
    #[arg(long, env = "PLAUDIT_TRAIN_REWARD_STEPS", default_value_t = 3000, value_parser = clap::value_parser!(u64).range(1..))]
    pub reward_steps: u64,
    /// Captioned pictures that tuning holds on to, as `plaudit-train data import` writes them: the base's own. Without them the anchor stands in
    #[arg(long, env = "PLAUDIT_TRAIN_BASE_DATA", value_name = "DATASET")]
    pub base_data: Option<PathBuf>,
    /// Pictures more of each voted prompt that the champion draws for tuning, which the reward scores and nobody votes on: the paper's unlabelled
    /// set. 0: none. Not with kto
    #[arg(long, env = "PLAUDIT_TRAIN_TUNE_PICTURES", default_value_t = 0, value_name = "PICTURES")]
    pub tune_pictures: usize,
    /// How the generator is tuned
    #[arg(long, env = "PLAUDIT_TRAIN_OBJECTIVE", value_enum, default_value_t)]
    pub objective: TuneObjective,
    /// Updates of the generator [default: 500; for the reward gradient 200]
    #[arg(long, env = "PLAUDIT_TRAIN_TUNE_STEPS", value_parser = clap::value_parser!(u64).range(1..))]
    pub tune_steps: Option<u64>,
    /// Highest learning rate of the generator [default: 1e-5; for the reward gradient 5e-5]
    #[arg(long, env = "PLAUDIT_TRAIN_TUNE_RATE")]
    pub tune_rate: Option<f32>,
    /// How far the latent reward leads; only with that objective [default: 60]
    #[arg(long, env = "PLAUDIT_TRAIN_TUNE_STRENGTH", value_name = "STRENGTH")]
    pub tune_strength: Option<f32>,
    /// Rows of one run of the training graph, of two runs of each update
    #[arg(long, env = "PLAUDIT_TRAIN_TUNE_ROWS", default_value_t = 8, value_parser = clap::builder::RangedU64ValueParser::<usize>::new().range(1..))]
    pub tune_rows: usize,
    /// Weight of staying near the champion's predictions [default: 0.1 for the reward gradient; else 0 with base data, 1 without]
    #[arg(long, env = "PLAUDIT_TRAIN_ANCHOR")]
    pub anchor: Option<f32>,
    /// Guidance scale that is in the loss from the second round of a base on, whose pictures were learned from guided ones; twice the
    /// work [default: none; for the reward gradient the pack's, in every round]
    #[arg(long, env = "PLAUDIT_TRAIN_TUNE_GUIDANCE")]
    pub tune_guidance: Option<f32>,
    /// Seed of splits and runs. It stays the same from round to round: which prompts are measured on follows from it
    #[arg(long, env = "PLAUDIT_TRAIN_SEED", default_value_t = 0)]
    pub seed: u64,
    /// Threads; 0 means one for each core
    #[arg(long, env = "PLAUDIT_TRAIN_THREADS", default_value_t = 0)]
    pub threads: usize,
}

/// What a version must pass, and what becomes of it.
#[derive(Debug, Clone, PartialEq, clap::Args)]
#[command(next_help_heading = "Gates and release")]
pub struct Passing {
    /// Votes that rewards are compared on in each round, such as ones that you trust; by default the new ones on prompts that are never learned from
    #[arg(long, env = "PLAUDIT_TRAIN_GOLDEN", value_name = "DATASET")]
    pub golden: Option<PathBuf>,
    /// Prompts of the generators' gate
    #[arg(long, env = "PLAUDIT_TRAIN_GATE_PROMPTS", default_value_t = 60, value_parser = clap::builder::RangedU64ValueParser::<usize>::new().range(6..))]
    pub gate_prompts: usize,
    /// A file of prompts instead of those of the miniature world, one a line
    #[arg(long, env = "PLAUDIT_TRAIN_GATE_PROMPTS_FILE", value_name = "FILE")]
    pub gate_prompts_file: Option<PathBuf>,
    /// Pictures of each of its prompts
    #[arg(long, env = "PLAUDIT_TRAIN_GATE_PICTURES", default_value_t = 4, value_parser = clap::builder::RangedU64ValueParser::<usize>::new().range(2..))]
    pub gate_pictures: usize,
    /// Steps of a picture of the gate
    #[arg(long, env = "PLAUDIT_TRAIN_GATE_STEPS", default_value_t = 20, value_parser = clap::builder::RangedU64ValueParser::<usize>::new().range(1..))]
    pub gate_steps: usize,
    /// Let pass what a gate could not decide, where every figure itself lies within its bound and only intervals reach across
    #[arg(long, env = "PLAUDIT_TRAIN_ACCEPT_INCONCLUSIVE")]
    pub accept_inconclusive: bool,
    /// What becomes of a generator that passed
    #[arg(long, env = "PLAUDIT_TRAIN_RELEASE", value_enum, default_value_t)]
    pub release: Release,
    /// Share of those who ask that a trial draws for
    #[arg(long, env = "PLAUDIT_TRAIN_SHARE", default_value_t = 0.1, value_parser = between, value_name = "SHARE")]
    pub share: f64,
    /// Requests that a trial draws again for nobody first
    #[arg(long, env = "PLAUDIT_TRAIN_SHADOW", default_value_t = 20, value_parser = clap::value_parser!(u32).range(..=1000), value_name = "REQUESTS")]
    pub shadow: u32,
    /// What a reward is allowed; not on the command line
    #[arg(skip)]
    pub reward_bounds: RewardBounds,
    /// What a generator is allowed; not on the command line
    #[arg(skip)]
    pub generator_bounds: GeneratorBounds,
}

/// Everything.
#[derive(Debug, Clone, PartialEq, clap::Args)]
pub struct DaemonSettings {
    /// The server's directory; the server may be running
    #[arg(long, env = "PLAUDIT_DATA", default_value = "./data", value_name = "DIR")]
    pub data: PathBuf,
    /// Where /metrics and /health are; port 0 lets the system choose. Not with --once
    #[arg(long, env = "PLAUDIT_TRAIN_LISTEN", default_value = "127.0.0.1:8081", value_name = "ADDRESS:PORT")]
    pub listen: SocketAddr,
    /// Seconds between looks at the votes
    #[arg(long, env = "PLAUDIT_TRAIN_POLL", default_value_t = 15, value_parser = clap::value_parser!(u32).range(1..), value_name = "SECONDS")]
    pub poll: u32,
    /// Seconds without a sign of life after which another daemon goes on with a round
    #[arg(long, env = "PLAUDIT_TRAIN_LEASE", default_value_t = 60, value_parser = clap::value_parser!(u32).range(2..), value_name = "SECONDS")]
    pub lease: u32,
    /// Rounds whose files are kept under DATA/runs, the last ones
    #[arg(long, env = "PLAUDIT_TRAIN_KEEP_RUNS", default_value_t = 3, value_name = "ROUNDS")]
    pub keep_runs: usize,
    #[command(flatten)]
    #[allow(missing_docs)]
    pub watermark: Watermark,
    #[command(flatten)]
    #[allow(missing_docs)]
    pub soundness: Soundness,
    #[command(flatten)]
    #[allow(missing_docs)]
    pub learning: Learning,
    #[command(flatten)]
    #[allow(missing_docs)]
    pub passing: Passing,
    #[command(flatten)]
    #[allow(missing_docs)]
    pub store: StoreSettings,
    #[command(flatten)]
    #[allow(missing_docs)]
    pub registry: RegistrySettings,
}

impl Learning {
    /// The objective with its own numbers.
    pub fn tuned_by(&self) -> Objective {
        match self.objective.objective() {
            Objective::LatentReward(latent) => Objective::LatentReward(LatentReward {
                strength: self.tune_strength.unwrap_or(latent.strength),
                ..latent
            }),
            other => other,
        }
    }

    /// Refuses what would change nothing.
    pub(super) fn check(&self) -> Result<(), DaemonError> {
        let latent = self.objective == TuneObjective::LatentReward;
        let flags = [
            ("--anchor", self.anchor.is_some() && latent),
            ("--tune-strength", self.tune_strength.is_some() && !latent),
        ];
        flags
            .into_iter()
            .find(|(_, wrong)| *wrong)
            .map_or(Ok(()), |(flag, _)| Err(DaemonError::Idle { flag, objective: self.objective.name() }))
    }
}

impl DaemonSettings {
    /// The defaults over a server's directory.
    pub fn new(data: impl Into<PathBuf>) -> Self {
        #[derive(clap::Parser)]
        struct Alone {
            #[command(flatten)]
            settings: DaemonSettings,
        }
        // Every setting has a default, so that no argument is missing.
        Self { data: data.into(), ..<Alone as clap::Parser>::parse_from(["run"]).settings }
    }
}

/// From 0 to 1.
fn share(text: &str) -> Result<f64, String> {
    let value = text.parse::<f64>().map_err(|_| "not a number".to_owned())?;
    (0.0..=1.0).contains(&value).then_some(value).ok_or_else(|| "give a share from 0 to 1".to_owned())
}

/// Above 0 and below 1.
fn between(text: &str) -> Result<f64, String> {
    share(text).and_then(|value| {
        (value > 0.0 && value < 1.0).then_some(value).ok_or_else(|| "it must lie between 0 and 1".to_owned())
    })
}

/// From 0 on.
fn amount(text: &str) -> Result<f64, String> {
    let value = text.parse::<f64>().map_err(|_| "not a number".to_owned())?;
    (value.is_finite() && value >= 0.0).then_some(value).ok_or_else(|| "give a number from 0 on".to_owned())
}
