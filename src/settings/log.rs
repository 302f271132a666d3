//! Settings of the log.

/// Form of the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum LogFormat {
    /// A line for people.
    Text,
    /// A JSON object a line.
    Json,
}

/// What is logged, and how.
#[derive(Debug, Clone, PartialEq, clap::Args)]
#[command(next_help_heading = "Log")]
pub struct LogSettings {
    /// A line for people, or a JSON object a line
    #[arg(
        id = "log.format",
        long = "log-format",
        env = "PLAUDIT_LOG_FORMAT",
        default_value = "text",
        value_name = "FORMAT"
    )]
    pub format: LogFormat,
    /// error, warn, info, debug or trace; several by module, such as info,plaudit::engine=debug
    #[arg(
        id = "log.level",
        long = "log-level",
        env = "PLAUDIT_LOG_LEVEL",
        default_value = "info,ort=error,sqlx=warn,actix_server=warn",
        value_name = "LEVEL"
    )]
    pub level: String,
    /// Where an OpenTelemetry collector takes traces (OTLP over HTTP), such as http://127.0.0.1:4318; without it none are made
    #[arg(id = "log.traces", long = "log-traces", env = "PLAUDIT_LOG_TRACES", value_name = "URL")]
    pub traces: Option<String>,
}
