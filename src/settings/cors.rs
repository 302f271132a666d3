//! Settings of who may call from other pages.

/// Pages of other origins that may call from a browser.
#[derive(Debug, Clone, PartialEq, clap::Args)]
#[command(next_help_heading = "Cross-origin requests")]
pub struct CorsSettings {
    /// Origins such as `https://app.example.org`, separated by commas; by default none
    #[arg(
        id = "cors.origins",
        long = "cors-origins",
        env = "PLAUDIT_CORS_ORIGINS",
        value_delimiter = ',',
        value_name = "ORIGINS"
    )]
    pub origins: Vec<String>,
}
