//! `plaudit-train`: everything that makes or changes weights.

use std::path::PathBuf;

use clap::{Parser, Subcommand};
use plaudit_training::pretrain::tokenizer;

#[derive(Parser)]
#[command(version, about)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Build the miniature pack from nothing, stage by stage.
    Pretrain(Pretrain),
}

#[derive(clap::Args)]
struct Pretrain {
    /// The pack to write into.
    #[arg(long, default_value = "onnx/packs/miniature")]
    pack: PathBuf,
}

fn main() -> anyhow::Result<()> {
    match Arguments::parse().command {
        Command::Pretrain(pretrain) => tokenizer::write(&tokenizer::train(), &pretrain.pack.join("tokenizer"))?,
    }
    Ok(())
}
