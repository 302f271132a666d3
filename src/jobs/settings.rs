//! Settings of jobs and of what they leave behind.

/// How long jobs and pictures live, and how much room they may take.
#[derive(Debug, Clone, PartialEq, clap::Args)]
#[command(next_help_heading = "Jobs")]
pub struct JobSettings {
    /// Seconds that a finished job and its pictures are kept
    #[arg(id = "jobs.ttl", long = "jobs-ttl", env = "PLAUDIT_JOBS_TTL", default_value_t = Self::TTL, value_name = "SECONDS")]
    pub ttl: u64,
    /// Bytes that kept pictures may take; the oldest finished jobs leave first
    #[arg(id = "jobs.quota", long = "jobs-quota", env = "PLAUDIT_JOBS_QUOTA", default_value_t = Self::QUOTA, value_name = "BYTES")]
    pub quota: u64,
    /// Bytes of the disk that stay free; below it no job is admitted
    #[arg(id = "jobs.min_free", long = "jobs-min-free", env = "PLAUDIT_JOBS_MIN_FREE", default_value_t = Self::MIN_FREE, value_name = "BYTES")]
    pub min_free: u64,
}

impl JobSettings {
    /// A day: enough to come back for a result, short enough to forget prompts.
    const TTL: u64 = 86_400;
    /// Some ten thousand pictures of 512×512.
    const QUOTA: u64 = 4 << 30;
    /// Room for the database to clean up after itself, and for logs.
    const MIN_FREE: u64 = 256 << 20;
}

impl Default for JobSettings {
    fn default() -> Self {
        Self { ttl: Self::TTL, quota: Self::QUOTA, min_free: Self::MIN_FREE }
    }
}
