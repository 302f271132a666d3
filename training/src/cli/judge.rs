//! `plaudit-train judge`.

use std::{path::PathBuf, time::Duration};

use plaudit_training::judges::{self, Training, Which};

use super::minutes;

/// What `plaudit-train judge` is told.
#[derive(clap::Args)]
pub(crate) struct Judge {
    /// Which of them.
    #[arg(long, value_enum)]
    which: Which,
    /// The pack whose autoencoder and UNet redraw some of the drawings.
    #[arg(long, default_value = "onnx/packs/miniature")]
    pack: PathBuf,
    /// Where checkpoints, curves and redrawn pictures go.
    #[arg(long, default_value = "data/judges")]
    data: PathBuf,
    /// Where the judge is written, in a directory of its name.
    #[arg(long, default_value = "training/judges")]
    out: PathBuf,
    /// Go on from a finished judge's weights, at a lower rate and with drawings that it has not seen.
    #[arg(long)]
    from: Option<PathBuf>,
    /// Minutes until the leg ends; the next run goes on. Without it it trains to its last step.
    #[arg(long, value_parser = minutes)]
    minutes: Option<Duration>,
    /// Steps in all, over which the rate falls.
    #[arg(long, default_value_t = 4000, value_parser = clap::value_parser!(u64).range(1..))]
    steps: u64,
    /// Drawings that the pack redraws, in hundreds.
    #[arg(long, default_value_t = 20)]
    redrawn: usize,
    /// Threads; 0 means one for each core.
    #[arg(long, default_value_t = 0)]
    threads: usize,
    /// Seed of weights and drawings.
    #[arg(long)]
    seed: Option<u64>,
}

/// Seeds far from pre-training's, and each judge's own.
const GATE_SEED: u64 = 7_100;
const REPORT_SEED: u64 = 9_300;
const HUNDRED: usize = 100;

impl Judge {
    /// Trains it.
    pub(crate) fn train(self) -> anyhow::Result<()> {
        let own = match self.which {
            Which::Gate => GATE_SEED,
            Which::Report => REPORT_SEED,
        };
        let training = Training {
            pack: self.pack,
            data: self.data,
            out: self.out.join(self.which.name()),
            from: self.from,
            leg: self.minutes,
            steps: self.steps,
            redrawn: self.redrawn * HUNDRED,
            threads: self.threads,
            seed: self.seed.unwrap_or(own),
        };
        Ok(judges::train(self.which, &training)?)
    }
}
