//! When a trial ends, and how.

/// What decides a trial.
#[derive(Debug, Clone, PartialEq, clap::Args)]
#[command(next_help_heading = "Trials")]
pub struct TrialSettings {
    /// How often, at most, a trial may end wrongly by the thumbs: a candidate that is as good rolled back, or one that is worse by
    /// more than the margin promoted. Holds however often one looks
    #[arg(
        id = "trial.alpha",
        long = "trial-alpha",
        env = "PLAUDIT_TRIAL_ALPHA",
        default_value_t = 0.05,
        value_name = "PROBABILITY"
    )]
    pub alpha: f64,
    /// By how much the candidate's share of thumbs up may be below the champion's and it is still promoted
    #[arg(
        id = "trial.margin",
        long = "trial-margin",
        env = "PLAUDIT_TRIAL_MARGIN",
        default_value_t = 0.05,
        value_name = "SHARE"
    )]
    pub margin: f64,
    /// Thumbs on the candidate's pictures before it can be promoted
    #[arg(
        id = "trial.min_votes",
        long = "trial-min-votes",
        env = "PLAUDIT_TRIAL_MIN_VOTES",
        default_value_t = 100,
        value_name = "VOTES"
    )]
    pub min_votes: u64,
    /// Thumbs on the candidate's pictures after which a trial that has shown nothing pauses for somebody to decide
    #[arg(
        id = "trial.max_votes",
        long = "trial-max-votes",
        env = "PLAUDIT_TRIAL_MAX_VOTES",
        default_value_t = 2000,
        value_name = "VOTES"
    )]
    pub max_votes: u64,
    /// Hours after which it does so in any case
    #[arg(
        id = "trial.max_hours",
        long = "trial-max-hours",
        env = "PLAUDIT_TRIAL_MAX_HOURS",
        default_value_t = 168,
        value_name = "HOURS"
    )]
    pub max_hours: u64,
    /// Thumbs of one rater that count: one person's taste is not many people's
    #[arg(
        id = "trial.votes_per_rater",
        long = "trial-votes-per-rater",
        env = "PLAUDIT_TRIAL_VOTES_PER_RATER",
        default_value_t = 20,
        value_name = "VOTES"
    )]
    pub votes_per_rater: usize,
    /// The same probability for what machines see: requests that fail, black pictures, flagged ones
    #[arg(
        id = "trial.alpha_faults",
        long = "trial-alpha-faults",
        env = "PLAUDIT_TRIAL_ALPHA_FAULTS",
        default_value_t = 0.001,
        value_name = "PROBABILITY"
    )]
    pub alpha_faults: f64,
    /// How many times as long as the champion the candidate may take for a step, or for a picture's score
    #[arg(
        id = "trial.slowdown",
        long = "trial-slowdown",
        env = "PLAUDIT_TRIAL_SLOWDOWN",
        default_value_t = 1.5,
        value_name = "FACTOR"
    )]
    pub slowdown: f64,
    /// When what is drawn has changed.
    #[command(flatten)]
    pub drift: DriftSettings,
}

/// When what is drawn has changed so much that no machine should promote anything.
#[derive(Debug, Clone, PartialEq, clap::Args)]
pub struct DriftSettings {
    /// The latest requests whose mean reward, and whose pictures' mean difference, are watched. 0: nothing is
    #[arg(
        id = "trial.drift_window",
        long = "trial-drift-window",
        env = "PLAUDIT_TRIAL_DRIFT_WINDOW",
        default_value_t = 100,
        value_name = "REQUESTS"
    )]
    pub window: usize,
    /// Requests before them, with which they are compared
    #[arg(
        id = "trial.drift_reference",
        long = "trial-drift-reference",
        env = "PLAUDIT_TRIAL_DRIFT_REFERENCE",
        default_value_t = 400,
        value_name = "REQUESTS"
    )]
    pub reference: usize,
    /// By how much the mean reward may change
    #[arg(
        id = "trial.drift_reward",
        long = "trial-drift-reward",
        env = "PLAUDIT_TRIAL_DRIFT_REWARD",
        default_value_t = 0.1,
        value_name = "PROBABILITY"
    )]
    pub reward: f64,
    /// By which share the difference between a request's pictures may fall
    #[arg(
        id = "trial.drift_spread",
        long = "trial-drift-spread",
        env = "PLAUDIT_TRIAL_DRIFT_SPREAD",
        default_value_t = 0.4,
        value_name = "SHARE"
    )]
    pub spread: f64,
}

impl Default for TrialSettings {
    /// What the command line has as defaults.
    fn default() -> Self {
        #[derive(clap::Parser)]
        struct Defaults {
            #[command(flatten)]
            settings: TrialSettings,
        }
        <Defaults as clap::Parser>::parse_from(["defaults"]).settings
    }
}

impl Default for DriftSettings {
    fn default() -> Self {
        TrialSettings::default().drift
    }
}
