//! `plaudit-train`: everything that makes or changes weights.

use std::{path::PathBuf, time::Duration};

use clap::{Parser, Subcommand};
use plaudit_training::pretrain::{Stage, Workshop, pretrain};
use tracing_subscriber::EnvFilter;

const SECONDS_A_MINUTE: f64 = 60.0;

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
    /// What to do.
    #[arg(long, value_enum, default_value = "all")]
    stage: Stage,
    /// Where checkpoints, curves and cached latents go.
    #[arg(long, default_value = "data/pretrain")]
    data: PathBuf,
    /// The pack to write into.
    #[arg(long, default_value = "onnx/packs/miniature")]
    pack: PathBuf,
    /// Minutes until a training stage's leg ends; the next run goes on. Without it a stage trains to its last step.
    #[arg(long)]
    minutes: Option<f64>,
    /// Steps of a training stage in all, over which its rate falls, instead of the recipe's.
    #[arg(long)]
    steps: Option<u64>,
    /// Pictures that the evaluation draws and rates.
    #[arg(long, default_value_t = 480)]
    pictures: usize,
    /// Threads; 0 means one for each core.
    #[arg(long, default_value_t = 0)]
    threads: usize,
    /// Seed of weights, scenes and noise.
    #[arg(long, default_value_t = 0)]
    seed: u64,
}

fn main() -> anyhow::Result<()> {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("warn,plaudit_training=info"));
    tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).init();
    let Command::Pretrain(chosen) = Arguments::parse().command;
    let workshop = Workshop {
        pack: chosen.pack,
        data: chosen.data,
        threads: chosen.threads,
        seed: chosen.seed,
        leg: chosen.minutes.map(|minutes| Duration::from_secs_f64(minutes * SECONDS_A_MINUTE)),
        pictures: chosen.pictures,
        steps: chosen.steps,
    };
    Ok(pretrain(chosen.stage, &workshop)?)
}
