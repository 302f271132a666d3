//! Settings of the step engine.

/// How the engine shares the denoiser.
#[derive(Debug, Clone, PartialEq, clap::Args)]
#[command(next_help_heading = "Engine")]
pub struct EngineSettings {
    /// Rows in one call of the denoiser at most; a guided picture takes two. 0: 16, or 2 for a UNet of more than 64 MiB on the
    /// processor, where more rows a call are no faster and take gigabytes
    #[arg(
        id = "engine.max_rows",
        long = "engine-max-rows",
        env = "PLAUDIT_ENGINE_MAX_ROWS",
        default_value_t = 0,
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
    /// Row-steps of bulk work that may wait, of those in all: what is left stays free for whoever waits at a screen
    #[arg(
        id = "engine.max_queue_bulk",
        long = "engine-max-queue-bulk",
        env = "PLAUDIT_ENGINE_MAX_QUEUE_BULK",
        default_value_t = 15_000,
        value_name = "ROW-STEPS"
    )]
    pub max_queue_bulk: u64,
    /// Row-steps that one client may have waiting. Above it its requests are refused with 429
    #[arg(
        id = "engine.max_queue_per_client",
        long = "engine-max-queue-per-client",
        env = "PLAUDIT_ENGINE_MAX_QUEUE_PER_CLIENT",
        default_value_t = 10_000,
        value_name = "ROW-STEPS"
    )]
    pub max_queue_per_client: u64,
    /// Sizes that a call of the denoiser is padded to, separated by commas; above the largest nothing is padded,
    /// and none above max_rows. None by default:
    /// on a processor a row's result does not depend on the batch, so padding would only cost; a GPU likes few sizes
    #[arg(
        id = "engine.buckets",
        long = "engine-buckets",
        env = "PLAUDIT_ENGINE_BUCKETS",
        value_delimiter = ',',
        value_name = "ROWS"
    )]
    pub buckets: Vec<usize>,
    /// Denoised pictures that may wait for decoding before the denoiser is held back
    #[arg(
        id = "engine.max_undecoded",
        long = "engine-max-undecoded",
        env = "PLAUDIT_ENGINE_MAX_UNDECODED",
        default_value_t = 64,
        value_name = "PICTURES"
    )]
    pub max_undecoded: usize,
    /// Idle threads wait busily: quicker on cores of one's own, wasteful on shared ones
    #[arg(id = "engine.spinning", long = "engine-spinning", env = "PLAUDIT_ENGINE_SPINNING", default_value_t = false, action = clap::ArgAction::Set, value_name = "BOOL")]
    pub spinning: bool,
    /// Threads inside one operator; 0: one for each core
    #[arg(
        id = "engine.threads",
        long = "engine-threads",
        env = "PLAUDIT_ENGINE_THREADS",
        default_value_t = 0,
        value_name = "THREADS"
    )]
    pub threads: usize,
    /// Sessions of the denoiser that share the rows of a call, each of one thread; 0: one for each thread where the UNet is small
    /// (64 MiB of weights at most) and computes on the processor, otherwise one of all threads
    #[arg(
        id = "engine.lanes",
        long = "engine-lanes",
        env = "PLAUDIT_ENGINE_LANES",
        default_value_t = 0,
        value_name = "SESSIONS"
    )]
    pub lanes: usize,
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

/// Rows of a call where no number is set.
const MOST_ROWS: usize = 16;
/// A guided picture's.
const FEWEST_ROWS: usize = 2;

impl EngineSettings {
    /// With the number of rows of a call that suits the denoiser, where none is set.
    pub(super) fn resolved(mut self, large_on_processor: bool) -> Self {
        if self.max_rows == 0 {
            self.max_rows = if large_on_processor { FEWEST_ROWS } else { MOST_ROWS };
        }
        self
    }
}

impl Default for EngineSettings {
    /// What the command line has as defaults.
    fn default() -> Self {
        #[derive(clap::Parser)]
        struct Defaults {
            #[command(flatten)]
            settings: EngineSettings,
        }
        <Defaults as clap::Parser>::parse_from(["defaults"]).settings
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_of_a_call_suit_the_denoiser_unless_they_are_set() {
        let rows = |max_rows, large| EngineSettings { max_rows, ..Default::default() }.resolved(large).max_rows;
        assert_eq!([rows(0, false), rows(0, true), rows(7, true)], [MOST_ROWS, FEWEST_ROWS, 7]);
    }
}
