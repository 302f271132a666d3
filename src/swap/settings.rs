//! How versions are exchanged while the server runs.

use std::time::Duration;

/// How versions are exchanged.
#[derive(Debug, Clone, PartialEq, clap::Args)]
#[command(next_help_heading = "Versions")]
pub struct SwapSettings {
    /// Milliseconds between two looks at which version is champion: so late is a server with a promotion that another process made
    #[arg(
        id = "swap.poll",
        long = "swap-poll",
        env = "PLAUDIT_SWAP_POLL",
        default_value_t = 500,
        value_parser = clap::value_parser!(u64).range(10..),
        value_name = "MILLISECONDS"
    )]
    pub poll: u64,
    /// How far a version that is verified and loaded stands back behind what serves, as Unix niceness: 0 is quick and felt by
    /// requests, 19 may take minutes on a busy server. Linux only
    #[arg(
        id = "swap.niceness",
        long = "swap-niceness",
        env = "PLAUDIT_SWAP_NICENESS",
        default_value_t = 10,
        value_parser = clap::value_parser!(u8).range(0..=19),
        value_name = "NICENESS"
    )]
    pub niceness: u8,
    /// Memory that a version is taken to need while it is loaded, as a multiple of the weights that nothing else has loaded. Pages of mapped
    /// files, which the system takes back when it needs them, are not among it. See docs/swap.md
    #[arg(
        id = "swap.memory_factor",
        long = "swap-memory-factor",
        env = "PLAUDIT_SWAP_MEMORY_FACTOR",
        default_value_t = 1.5,
        value_name = "FACTOR"
    )]
    pub memory_factor: f64,
    /// Seconds that the version before stays in memory, so that a rollback is a matter of milliseconds; it leaves earlier where its
    /// room is needed. 0: it leaves with its last request
    #[arg(
        id = "swap.keep_warm",
        long = "swap-keep-warm",
        env = "PLAUDIT_SWAP_KEEP_WARM",
        default_value_t = 600,
        value_name = "SECONDS"
    )]
    pub keep_warm: u64,
    /// MiB that stay free for requests while two versions are in memory
    #[arg(
        id = "swap.memory_reserve",
        long = "swap-memory-reserve",
        env = "PLAUDIT_SWAP_MEMORY_RESERVE",
        default_value_t = 256,
        value_name = "MIB"
    )]
    pub memory_reserve: u64,
    /// MiB that the process may take; 0: what the system and its control group leave
    #[arg(
        id = "swap.memory_limit",
        long = "swap-memory-limit",
        env = "PLAUDIT_SWAP_MEMORY_LIMIT",
        default_value_t = 0,
        value_name = "MIB"
    )]
    pub memory_limit: u64,
    /// Seconds that a swap which drains first waits for what is being drawn
    #[arg(
        id = "swap.drain_timeout",
        long = "swap-drain-timeout",
        env = "PLAUDIT_SWAP_DRAIN_TIMEOUT",
        default_value_t = 120,
        value_name = "SECONDS"
    )]
    pub drain_timeout: u64,
}

impl SwapSettings {
    pub(super) fn poll(&self) -> Duration {
        Duration::from_millis(self.poll)
    }
}

impl Default for SwapSettings {
    /// What the command line has as defaults.
    fn default() -> Self {
        #[derive(clap::Parser)]
        struct Defaults {
            #[command(flatten)]
            settings: SwapSettings,
        }
        <Defaults as clap::Parser>::parse_from(["defaults"]).settings
    }
}
