//! `plaudit-train`: everything that makes or changes weights.

use std::{path::PathBuf, time::Duration};

use clap::{Parser, Subcommand, builder::RangedU64ValueParser};
use plaudit_training::{
    judges::{self, Training, Which},
    pretrain::{Scale, Stage, Workshop, pretrain},
};
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
    /// Train one of the two judges that are not the rater.
    Judge(Judge),
}

#[derive(clap::Args)]
struct Judge {
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
    fn train(self) -> anyhow::Result<()> {
        let own = match self.which {
            Which::Gate => GATE_SEED,
            Which::Report => REPORT_SEED,
        };
        let training = Training {
            pack: self.pack,
            data: self.data,
            out: self.out.join(self.which.name()),
            leg: self.minutes,
            steps: self.steps,
            redrawn: self.redrawn * HUNDRED,
            threads: self.threads,
            seed: self.seed.unwrap_or(own),
        };
        Ok(judges::train(self.which, &training)?)
    }
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
    /// Begin from nothing: the pack's weights and `state.json` entries of this stage and all after it are first set aside
    /// into DATA/replaced. Once, for the first leg; later legs go on without it. Refused where DATA has checkpoints of such a stage.
    ///
    /// Without it a stage goes on from its checkpoint in DATA, or where there is none from the pack's weights, at the step
    /// that `state.json` names.
    #[arg(long)]
    fresh: bool,
    /// Minutes until a training stage's leg ends; the next run goes on. Without it a stage trains to its last step.
    #[arg(long, value_parser = minutes)]
    minutes: Option<Duration>,
    /// Steps of a training stage in all, over which its rate falls, instead of the recipe's.
    #[arg(long, value_parser = clap::value_parser!(u64).range(1..))]
    steps: Option<u64>,
    /// Pictures that the evaluation draws and rates.
    #[arg(long, default_value_t = 480, value_parser = RangedU64ValueParser::<usize>::new().range(1..))]
    pictures: usize,
    /// Guidance scale of the evaluation's pictures, instead of the pack's own.
    #[arg(long)]
    guidance: Option<f32>,
    /// Threads; 0 means one for each core.
    #[arg(long, default_value_t = 0)]
    threads: usize,
    /// Seed of weights, scenes and noise.
    #[arg(long, default_value_t = 0)]
    seed: u64,
}

/// A duration above zero, in minutes.
fn minutes(text: &str) -> Result<Duration, String> {
    let number = text.parse::<f64>().map_err(|_| "not a number".to_owned())?;
    let time = Duration::try_from_secs_f64(number * SECONDS_A_MINUTE).ok();
    time.filter(|time| !time.is_zero())
        .ok_or_else(|| "give a number of minutes above 0, for example 30 or 0.5".to_owned())
}

fn main() -> anyhow::Result<()> {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("warn,plaudit_training=info"));
    tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).init();
    match Arguments::parse().command {
        Command::Pretrain(chosen) => chosen.run(),
        Command::Judge(chosen) => chosen.train(),
    }
}

impl Pretrain {
    fn run(self) -> anyhow::Result<()> {
        let workshop = Workshop {
            pack: self.pack,
            data: self.data,
            threads: self.threads,
            seed: self.seed,
            leg: self.minutes,
            pictures: self.pictures,
            guidance: self.guidance,
            steps: self.steps,
            fresh: self.fresh,
            scale: Scale::default(),
        };
        Ok(pretrain(self.stage, &workshop)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error(arguments: &[&str]) -> String {
        let all = ["plaudit-train", "pretrain"].iter().chain(arguments);
        Arguments::try_parse_from(all).err().map(|error| error.to_string()).unwrap_or_default()
    }

    #[test]
    fn arguments_that_cannot_be_are_refused_by_name() {
        let cases = [
            ("--minutes=-1", "above 0"),
            ("--minutes=nan", "above 0"),
            ("--minutes=inf", "above 0"),
            ("--minutes=1e300", "above 0"),
            ("--minutes=0", "above 0"),
            ("--minutes=soon", "not a number"),
            ("--pictures=0", "not in 1.."),
            ("--steps=0", "not in 1.."),
        ];
        for (argument, reason) in cases {
            let (name, text) = (argument.split('=').next().unwrap_or_default(), error(&[argument]));
            assert!(text.contains(name) && text.contains(reason), "{argument}: {text}");
        }
        assert_eq!(error(&["--minutes=0.5", "--pictures=1", "--steps=1", "--fresh"]), "");
    }
}
