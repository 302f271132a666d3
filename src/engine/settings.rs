//! Settings of the step engine.

/// How the engine shares the denoiser.
#[derive(Debug, Clone, PartialEq, clap::Args)]
#[command(next_help_heading = "Engine")]
pub struct EngineSettings {
    /// Rows in one call of the denoiser at most; a guided picture takes two
    #[arg(
        id = "engine.max_rows",
        long = "engine-max-rows",
        env = "PLAUDIT_ENGINE_MAX_ROWS",
        default_value_t = 16,
        value_name = "ROWS"
    )]
    pub max_rows: usize,
    /// Row-steps that may wait in all; a guided picture of 20 steps is 40. Above it requests are refused with 503
    #[arg(
        id = "engine.max_queue",
        long = "engine-max-queue",
        env = "PLAUDIT_ENGINE_MAX_QUEUE",
        default_value_t = 20_000,
        value_name = "ROW-STEPS"
    )]
    pub max_queue: u64,
    /// Row-steps that one client may have waiting. Above it its requests are refused with 429
    #[arg(
        id = "engine.max_queue_per_client",
        long = "engine-max-queue-per-client",
        env = "PLAUDIT_ENGINE_MAX_QUEUE_PER_CLIENT",
        default_value_t = 10_000,
        value_name = "ROW-STEPS"
    )]
    pub max_queue_per_client: u64,
    /// Threads inside one operator; 0: one for each core
    #[arg(
        id = "engine.threads",
        long = "engine-threads",
        env = "PLAUDIT_ENGINE_THREADS",
        default_value_t = 0,
        value_name = "THREADS"
    )]
    pub threads: usize,
    /// Prompts whose text features are kept
    #[arg(
        id = "engine.prompt_cache",
        long = "engine-prompt-cache",
        env = "PLAUDIT_ENGINE_PROMPT_CACHE",
        default_value_t = 1024,
        value_name = "PROMPTS"
    )]
    pub prompt_cache: u64,
}
