//! Settings of votes: how long they can be given, how many are taken, how far they are trusted.

/// The bounds of votes.
#[derive(Debug, Clone, PartialEq, clap::Args)]
#[command(next_help_heading = "Feedback")]
pub struct FeedbackSettings {
    /// Seconds that a token for a vote holds; a picture that has left with its job cannot be voted on for the first time
    #[arg(id = "feedback.token_ttl", long = "feedback-token-ttl", env = "PLAUDIT_FEEDBACK_TOKEN_TTL", default_value_t = Self::TOKEN_TTL, value_name = "SECONDS")]
    pub token_ttl: u64,
    /// Votes a minute of one rater, of one client where the rater has no name; 0: any number
    #[arg(id = "feedback.rate", long = "feedback-rate", env = "PLAUDIT_FEEDBACK_RATE", default_value_t = Self::RATE, value_name = "VOTES/MINUTE")]
    pub rate: u32,
    /// Items of one request
    #[arg(id = "feedback.max_batch", long = "feedback-max-batch", env = "PLAUDIT_FEEDBACK_MAX_BATCH", default_value_t = Self::MAX_BATCH, value_name = "ITEMS")]
    pub max_batch: usize,
    /// Characters of a comment
    #[arg(id = "feedback.max_comment", long = "feedback-max-comment", env = "PLAUDIT_FEEDBACK_MAX_COMMENT", default_value_t = Self::MAX_COMMENT, value_name = "CHARACTERS")]
    pub max_comment: usize,
    /// Reasons of one vote
    #[arg(id = "feedback.max_reasons", long = "feedback-max-reasons", env = "PLAUDIT_FEEDBACK_MAX_REASONS", default_value_t = Self::MAX_REASONS, value_name = "REASONS")]
    pub max_reasons: usize,
    /// Bytes of pictures that are kept because they were voted on; beyond it votes count, but new pictures leave with their jobs
    #[arg(id = "feedback.quota", long = "feedback-quota", env = "PLAUDIT_FEEDBACK_QUOTA", default_value_t = Self::QUOTA, value_name = "BYTES")]
    pub quota: u64,
    /// Seconds that the answer under an Idempotency-Key is kept
    #[arg(id = "feedback.retry_window", long = "feedback-retry-window", env = "PLAUDIT_FEEDBACK_RETRY_WINDOW", default_value_t = Self::RETRY_WINDOW, value_name = "SECONDS")]
    pub retry_window: u64,
    /// Share of all training weight that one rater's votes may have
    #[arg(id = "feedback.rater_share", long = "feedback-rater-share", env = "PLAUDIT_FEEDBACK_RATER_SHARE", default_value_t = Self::RATER_SHARE, value_name = "FRACTION", value_parser = fraction)]
    pub rater_share: f64,
    /// Votes that a measure needs before it may put a rater in quarantine
    #[arg(id = "feedback.min_looks", long = "feedback-min-looks", env = "PLAUDIT_FEEDBACK_MIN_LOOKS", default_value_t = Self::MIN_LOOKS, value_name = "VOTES")]
    pub min_looks: u32,
    /// Other raters that a picture needs before their majority counts
    #[arg(id = "feedback.min_others", long = "feedback-min-others", env = "PLAUDIT_FEEDBACK_MIN_OTHERS", default_value_t = Self::MIN_OTHERS, value_name = "RATERS")]
    pub min_others: u32,
    /// Agreement with the majority of others below which a rater is in quarantine
    #[arg(id = "feedback.min_agreement", long = "feedback-min-agreement", env = "PLAUDIT_FEEDBACK_MIN_AGREEMENT", default_value_t = Self::MIN_AGREEMENT, value_name = "FRACTION", value_parser = fraction)]
    pub min_agreement: f64,
    /// Share of gold items to be answered rightly, below which a rater is in quarantine
    #[arg(id = "feedback.min_gold", long = "feedback-min-gold", env = "PLAUDIT_FEEDBACK_MIN_GOLD", default_value_t = Self::MIN_GOLD, value_name = "FRACTION", value_parser = fraction)]
    pub min_gold: f64,
    /// Milliseconds in view below which nobody has looked at a picture
    #[arg(id = "feedback.min_dwell", long = "feedback-min-dwell", env = "PLAUDIT_FEEDBACK_MIN_DWELL", default_value_t = Self::MIN_DWELL, value_name = "MILLISECONDS")]
    pub min_dwell: u32,
    /// Share of votes quicker than that, above which a rater is in quarantine
    #[arg(id = "feedback.max_quick", long = "feedback-max-quick", env = "PLAUDIT_FEEDBACK_MAX_QUICK", default_value_t = Self::MAX_QUICK, value_name = "FRACTION", value_parser = fraction)]
    pub max_quick: f64,
    /// Share of gold items among the pictures that POST /v1/rating/next gives
    #[arg(id = "feedback.gold_share", long = "feedback-gold-share", env = "PLAUDIT_FEEDBACK_GOLD_SHARE", default_value_t = Self::GOLD_SHARE, value_name = "FRACTION", value_parser = fraction)]
    pub gold_share: f64,
    /// Seconds between reviews of the raters who voted meanwhile
    #[arg(id = "feedback.review_interval", long = "feedback-review-interval", env = "PLAUDIT_FEEDBACK_REVIEW_INTERVAL", default_value_t = Self::REVIEW_INTERVAL, value_name = "SECONDS", value_parser = clap::value_parser!(u64).range(1..))]
    pub review_interval: u64,
}

impl FeedbackSettings {
    /// A week: longer than anybody leaves a page open.
    const TOKEN_TTL: u64 = 604_800;
    /// Four a second: above what people do, below what programs do.
    const RATE: u32 = 240;
    /// A screen of pictures, some times over.
    const MAX_BATCH: usize = 100;
    /// A page of text.
    const MAX_COMMENT: usize = 2_000;
    /// More than anybody ticks.
    const MAX_REASONS: usize = 8;
    /// Twice what jobs may take: votes are rarer than pictures and are kept for longer.
    const QUOTA: u64 = 8 << 30;
    /// A week: a client that was offline for a weekend still learns what became of its votes.
    const RETRY_WINDOW: u64 = 604_800;
    /// A twentieth: it takes many to move the model.
    const RATER_SHARE: f64 = 0.05;
    /// With ten coin tosses three agreements or fewer are rarer than one in five; with less, chance would decide.
    const MIN_LOOKS: u32 = 10;
    /// One other may be the one who is wrong.
    const MIN_OTHERS: u32 = 2;
    /// Well below a coin's: taste differs, and whoever votes at random is rather caught by gold items.
    const MIN_AGREEMENT: f64 = 0.35;
    /// A coin has a half.
    const MIN_GOLD: f64 = 0.6;
    /// Seeing what a picture shows takes about as long; deciding takes longer.
    const MIN_DWELL: u32 = 150;
    /// Some votes of fast people are; most are not.
    const MAX_QUICK: f64 = 0.5;
    /// One in twenty costs raters little and finds a coin after a few hundred votes.
    const GOLD_SHARE: f64 = 0.05;
    /// A minute: votes in quarantine are told apart before any training reads them.
    const REVIEW_INTERVAL: u64 = 60;
}

impl Default for FeedbackSettings {
    fn default() -> Self {
        Self {
            token_ttl: Self::TOKEN_TTL,
            rate: Self::RATE,
            max_batch: Self::MAX_BATCH,
            max_comment: Self::MAX_COMMENT,
            max_reasons: Self::MAX_REASONS,
            quota: Self::QUOTA,
            retry_window: Self::RETRY_WINDOW,
            rater_share: Self::RATER_SHARE,
            min_looks: Self::MIN_LOOKS,
            min_others: Self::MIN_OTHERS,
            min_agreement: Self::MIN_AGREEMENT,
            min_gold: Self::MIN_GOLD,
            min_dwell: Self::MIN_DWELL,
            max_quick: Self::MAX_QUICK,
            gold_share: Self::GOLD_SHARE,
            review_interval: Self::REVIEW_INTERVAL,
        }
    }
}

/// A part of a whole.
fn fraction(text: &str) -> Result<f64, String> {
    let value = text.parse::<f64>().map_err(|error| error.to_string())?;
    (0.0..=1.0).contains(&value).then_some(value).ok_or_else(|| "it must be from 0 to 1".to_owned())
}
