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
        default_value_t = 86_400,
        value_name = "SECONDS"
    )]
    pub ttl: u64,
    /// Bytes that kept pictures may take; the oldest leave first
    #[arg(id = "jobs.quota", long = "jobs-quota", env = "PLAUDIT_JOBS_QUOTA", default_value_t = 4 << 30, value_name = "BYTES")]
    pub quota: u64,
}
