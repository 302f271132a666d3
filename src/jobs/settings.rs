//! Settings of jobs and of what they leave behind.

/// How long jobs and pictures live, and how much room they may take.
#[derive(Debug, Clone, PartialEq, clap::Args)]
#[command(next_help_heading = "Jobs")]
pub struct JobSettings {
    /// Seconds that a finished job and its pictures are kept
    #[arg(
        id = "jobs.ttl",
        long = "jobs-ttl",
        env = "PLAUDIT_JOBS_TTL",
        default_value_t = Self::TTL,
        value_name = "SECONDS"
    )]
    pub ttl: u64,
    /// Bytes that kept pictures may take; the oldest finished jobs leave first
    #[arg(
        id = "jobs.quota",
        long = "jobs-quota",
        env = "PLAUDIT_JOBS_QUOTA",
        default_value_t = Self::QUOTA,
        value_name = "BYTES"
    )]
    pub quota: u64,
    /// Bytes of the disk that stay free; below it no job is admitted
    #[arg(
        id = "jobs.min_free",
        long = "jobs-min-free",
        env = "PLAUDIT_JOBS_MIN_FREE",
        default_value_t = Self::MIN_FREE,
        value_name = "BYTES"
    )]
    pub min_free: u64,
    /// Starts of the server at which an unfinished kept job is taken up again after a crash; then it ends failed
    #[arg(
        id = "jobs.max_attempts",
        long = "jobs-max-attempts",
        env = "PLAUDIT_JOBS_MAX_ATTEMPTS",
        default_value_t = Self::MAX_ATTEMPTS,
        value_name = "STARTS"
    )]
    pub max_attempts: u32,
    /// Bytes set aside on the disk and given back when it is full, so that ends and votes can still be written; 0: none
    #[arg(
        id = "jobs.ballast",
        long = "jobs-ballast",
        env = "PLAUDIT_JOBS_BALLAST",
        default_value_t = Self::BALLAST,
        value_name = "BYTES"
    )]
    pub ballast: u64,
}

impl JobSettings {
    /// A day: enough to come back for a result, short enough to forget prompts.
    const TTL: u64 = 86_400;
    /// Some ten thousand pictures of 512×512.
    const QUOTA: u64 = 4 << 30;
    /// Room for the database to clean up after itself, and for logs.
    const MIN_FREE: u64 = 256 << 20;
    /// Crashes have other causes too; a job that meets three of them is the likely one.
    const MAX_ATTEMPTS: u32 = 3;
    /// Some hundred thousand rows: hours of votes and ends.
    const BALLAST: u64 = 64 << 20;
}

impl Default for JobSettings {
    fn default() -> Self {
        Self {
            ttl: Self::TTL,
            quota: Self::QUOTA,
            min_free: Self::MIN_FREE,
            max_attempts: Self::MAX_ATTEMPTS,
            ballast: Self::BALLAST,
        }
    }
}
