//! `plaudit feedback`: votes as files, in figures, and gone.

mod erase;
mod export;
mod import;
mod stats;

use std::path::PathBuf;

use clap::{Args, Subcommand};
use plaudit::store::Store;

/// What `plaudit feedback` is told.
#[derive(Debug, Args)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    command: Command,

    /// The server's file of settings; by default plaudit.toml where it is there
    #[arg(long, env = "PLAUDIT_CONFIG", value_name = "FILE", global = true)]
    config: Option<PathBuf>,

    /// The server's directory; the server may be running
    #[arg(long, env = "PLAUDIT_DATA", default_value = "./data", value_name = "DIR", global = true)]
    data: PathBuf,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Write votes with their pictures as a dataset that Hugging Face's `datasets` reads
    Export(export::Arguments),
    /// Add the votes of a dataset or a CSV file to the log
    Import(import::Arguments),
    /// Count votes: by rating, model version, rater and day, and how far raters agree
    Stats(stats::Arguments),
    /// Erase a rater or a picture from votes, log and datasets to come
    Erase(erase::Arguments),
}

/// Does it, beside a server that may be running.
pub(crate) fn run(arguments: Arguments) -> anyhow::Result<()> {
    tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(async {
        let store = Store::attach(&arguments.data).await?;
        let done = match arguments.command {
            Command::Export(arguments) => export::run(&store, arguments).await,
            Command::Import(arguments) => import::run(&store, arguments).await,
            Command::Stats(arguments) => stats::run(&store, arguments).await,
            Command::Erase(arguments) => erase::run(&store, arguments).await,
        };
        store.close().await;
        done
    })
}
