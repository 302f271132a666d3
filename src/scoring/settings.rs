//! Settings of scoring.

use std::path::PathBuf;

/// How pictures and texts are scored, and how much of it may wait.
#[derive(Debug, Clone, PartialEq, clap::Args)]
#[command(next_help_heading = "Scoring")]
pub struct ScoringSettings {
    /// The reward pack; by default `reward` inside of the pack, where it is there
    #[arg(id = "scoring.reward", long = "scoring-reward", env = "PLAUDIT_SCORING_REWARD", value_name = "DIR")]
    pub reward: Option<PathBuf>,
    /// Pictures, or texts, in one call of CLIP at most; more cost memory
    #[arg(id = "scoring.max_batch", long = "scoring-max-batch", env = "PLAUDIT_SCORING_MAX_BATCH", default_value_t = 16, value_name = "ROWS", value_parser = clap::builder::RangedU64ValueParser::<usize>::new().range(1..=1024))]
    pub max_batch: usize,
    /// Pictures and texts that may wait in all. Above it requests are refused with 503
    #[arg(
        id = "scoring.max_queue",
        long = "scoring-max-queue",
        env = "PLAUDIT_SCORING_MAX_QUEUE",
        default_value_t = 4096,
        value_name = "ROWS"
    )]
    pub max_queue: usize,
    /// Threads inside one operator; 0: those of the engine
    #[arg(
        id = "scoring.threads",
        long = "scoring-threads",
        env = "PLAUDIT_SCORING_THREADS",
        default_value_t = 0,
        value_name = "THREADS"
    )]
    pub threads: usize,
    /// Texts whose points are kept
    #[arg(
        id = "scoring.text_cache",
        long = "scoring-text-cache",
        env = "PLAUDIT_SCORING_TEXT_CACHE",
        default_value_t = 4096,
        value_name = "TEXTS"
    )]
    pub text_cache: u64,
    /// Pictures of one request
    #[arg(id = "scoring.max_images", long = "scoring-max-images", env = "PLAUDIT_SCORING_MAX_IMAGES", default_value_t = 64, value_name = "PICTURES", value_parser = clap::builder::RangedU64ValueParser::<usize>::new().range(1..))]
    pub max_images: usize,
    /// Prompts, or texts, of one request
    #[arg(id = "scoring.max_texts", long = "scoring-max-texts", env = "PLAUDIT_SCORING_MAX_TEXTS", default_value_t = 64, value_name = "TEXTS", value_parser = clap::builder::RangedU64ValueParser::<usize>::new().range(1..))]
    pub max_texts: usize,
    /// Bytes of a request with pictures at most
    #[arg(id = "scoring.max_body", long = "scoring-max-body", env = "PLAUDIT_SCORING_MAX_BODY", default_value_t = 32 << 20, value_name = "BYTES")]
    pub max_body: usize,
    /// Other prompts that a prompt's score is normalised over at most; 0: scores are not normalised
    #[arg(
        id = "scoring.contrasts",
        long = "scoring-contrasts",
        env = "PLAUDIT_SCORING_CONTRASTS",
        default_value_t = 8,
        value_name = "PROMPTS"
    )]
    pub contrasts: usize,
    /// What rewards are divided by before a prompt's is normalised over its contrasts: lower is more decided
    #[arg(id = "scoring.temperature", long = "scoring-temperature", env = "PLAUDIT_SCORING_TEMPERATURE", default_value_t = 0.1, value_name = "NUMBER", value_parser = temperature)]
    pub temperature: f32,
}

fn temperature(text: &str) -> Result<f32, String> {
    let number = text.parse().ok().filter(|number: &f32| number.is_finite() && *number > 0.0);
    number.ok_or_else(|| format!("{text:?} is not a number above 0"))
}

impl Default for ScoringSettings {
    /// What the command line has as defaults.
    fn default() -> Self {
        #[derive(clap::Parser)]
        struct Defaults {
            #[command(flatten)]
            settings: ScoringSettings,
        }
        <Defaults as clap::Parser>::parse_from(["defaults"]).settings
    }
}
