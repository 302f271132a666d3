//! The `plaudit` command.

mod cli;

use std::process::ExitCode;

use tracing_subscriber::EnvFilter;

fn main() -> ExitCode {
    match cli::Cli::read(std::env::args_os()).and_then(run) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {}", cli::explain(&error));
            ExitCode::FAILURE
        }
    }
}

fn run(cli: cli::Cli) -> anyhow::Result<()> {
    if !cli.logs_itself() {
        let filter = EnvFilter::try_from_env("PLAUDIT_LOG").unwrap_or_else(|_| EnvFilter::new("warn,ort=error"));
        tracing_subscriber::fmt().with_env_filter(filter).with_ansi(cli::colours()).with_writer(std::io::stderr).init();
    }
    cli.run()
}
