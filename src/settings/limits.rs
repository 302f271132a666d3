//! Settings of what one request, and one client, may ask for.

use std::num::NonZeroU32;

/// The most that a request may ask for, and how often a client may ask.
#[derive(Debug, Clone, PartialEq, clap::Args)]
#[command(next_help_heading = "Limits")]
pub struct LimitSettings {
    /// Generations, and requests that score or embed, a minute of one key or session; 0: any number
    #[arg(
        id = "limits.rate",
        long = "limits-rate",
        env = "PLAUDIT_LIMITS_RATE",
        default_value_t = 600,
        value_name = "REQUESTS/MINUTE"
    )]
    pub rate: u32,
    /// Generations that one key or session may ask for at once before the rate counts
    #[arg(
        id = "limits.burst",
        long = "limits-burst",
        env = "PLAUDIT_LIMITS_BURST",
        default_value = "60",
        value_name = "REQUESTS"
    )]
    pub burst: NonZeroU32,
    /// Sessions that may begin in a minute, or at once, from one address without a key or a cookie; 0: any number. A program that
    /// keeps no cookies begins one with each request, and so has the rate of one that does
    #[arg(
        id = "limits.sessions",
        long = "limits-sessions",
        env = "PLAUDIT_LIMITS_SESSIONS",
        default_value_t = 600,
        value_name = "SESSIONS/MINUTE"
    )]
    pub sessions: u32,
    /// Pictures of one request
    #[arg(id = "limits.max_pictures", long = "limits-max-pictures", env = "PLAUDIT_LIMITS_MAX_PICTURES", default_value_t = 10, value_name = "PICTURES", value_parser = clap::value_parser!(u32).range(1..))]
    pub max_pictures: u32,
    /// Steps of one picture
    #[arg(id = "limits.max_steps", long = "limits-max-steps", env = "PLAUDIT_LIMITS_MAX_STEPS", default_value_t = 150, value_name = "STEPS", value_parser = clap::value_parser!(u32).range(1..))]
    pub max_steps: u32,
    /// Width and height of a picture; 0: twice the pack's own
    #[arg(
        id = "limits.max_side",
        long = "limits-max-side",
        env = "PLAUDIT_LIMITS_MAX_SIDE",
        default_value_t = 0,
        value_name = "PIXELS"
    )]
    pub max_side: u32,
    /// Seconds after which a request that names no deadline is given up; 0: never. Kept jobs have none of their own
    #[arg(
        id = "limits.deadline",
        long = "limits-deadline",
        env = "PLAUDIT_LIMITS_DEADLINE",
        default_value_t = 600,
        value_name = "SECONDS"
    )]
    pub deadline: u64,
}
