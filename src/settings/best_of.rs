//! Settings of best-of-N.

/// How the best of a request's candidates are found, and how far votes on them can be trusted.
#[derive(Debug, Clone, PartialEq, clap::Args)]
#[command(next_help_heading = "Best of N")]
pub struct BestOfSettings {
    /// Candidates of one request; each costs a picture
    #[arg(id = "best_of.max", long = "best-of-max", env = "PLAUDIT_BEST_OF_MAX", default_value_t = Self::MAX, value_name = "CANDIDATES", value_parser = clap::value_parser!(u32).range(1..))]
    pub max: u32,
    /// Share of best-of requests that are shown candidates at random, so that votes also tell of what the reward does not like; 0 to 1
    #[arg(id = "best_of.random_share", long = "best-of-random-share", env = "PLAUDIT_BEST_OF_RANDOM_SHARE", default_value_t = Self::RANDOM_SHARE, value_name = "SHARE", value_parser = share)]
    pub random_share: f64,
    /// Steps of the quick look at every candidate after which only the best are drawn in full; 0: all are drawn in full
    #[arg(
        id = "best_of.preview_steps",
        long = "best-of-preview-steps",
        env = "PLAUDIT_BEST_OF_PREVIEW_STEPS",
        default_value_t = Self::PREVIEW_STEPS,
        value_name = "STEPS"
    )]
    pub preview_steps: u32,
    /// Candidates that are drawn in full after a quick look, for each picture that is asked for
    #[arg(id = "best_of.survivors", long = "best-of-survivors", env = "PLAUDIT_BEST_OF_SURVIVORS", default_value_t = Self::SURVIVORS, value_name = "CANDIDATES", value_parser = clap::value_parser!(u32).range(1..))]
    pub survivors: u32,
}

impl BestOfSettings {
    /// Twice the paper's sixteen: what chance adds beyond is small.
    const MAX: u32 = 32;
    /// One in twenty: enough for an estimate within weeks of small traffic, too few to be felt.
    const RANDOM_SHARE: f64 = 0.05;
    /// Off.
    const PREVIEW_STEPS: u32 = 0;
    /// As many as can still be told apart in full.
    const SURVIVORS: u32 = 4;
}

impl Default for BestOfSettings {
    fn default() -> Self {
        Self {
            max: Self::MAX,
            random_share: Self::RANDOM_SHARE,
            preview_steps: Self::PREVIEW_STEPS,
            survivors: Self::SURVIVORS,
        }
    }
}

fn share(text: &str) -> Result<f64, String> {
    let share = text.parse::<f64>().map_err(|_| "not a number".to_owned())?;
    (0.0..=1.0).contains(&share).then_some(share).ok_or_else(|| "it must be from 0 to 1".to_owned())
}
