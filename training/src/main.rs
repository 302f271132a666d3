//! `plaudit-train`: everything that makes or changes weights.

mod cli;

use std::{path::PathBuf, process::ExitCode, time::Duration};

use clap::{Parser, Subcommand, builder::RangedU64ValueParser};
use plaudit_training::{
    collect::collect,
    pretrain::{Scale, Stage, Workshop, pretrain},
    reward::reward,
};
use tracing_subscriber::EnvFilter;

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
    Collect(cli::collect::Collect),
    Data(cli::data::Data),
    Finetune(Box<cli::finetune::FinetuneArguments>),
    Gate(cli::gate::Gate),
    /// Train one of the two judges that are not the rater.
    Judge(cli::judge::Judge),
    Reward(cli::reward::Reward),
    Run(Box<cli::run::Run>),
    Simulate(Box<cli::simulate::Simulate>),
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
    #[arg(long, value_parser = cli::minutes)]
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

impl Pretrain {
    fn workshop(&self) -> Workshop {
        Workshop {
            pack: self.pack.clone(),
            data: self.data.clone(),
            threads: self.threads,
            seed: self.seed,
            leg: self.minutes,
            pictures: self.pictures,
            guidance: self.guidance,
            steps: self.steps,
            fresh: self.fresh,
            scale: Scale::default(),
        }
    }
}

fn main() -> anyhow::Result<ExitCode> {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("warn,plaudit_training=info"));
    tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).init();
    match Arguments::parse().command {
        Command::Pretrain(chosen) => pretrain(chosen.stage, &chosen.workshop())?,
        Command::Collect(chosen) => collect(&chosen.collection())?,
        Command::Data(chosen) => chosen.run()?,
        Command::Finetune(chosen) => return chosen.run(),
        Command::Gate(chosen) => return Ok(chosen.run()),
        Command::Judge(chosen) => chosen.train()?,
        Command::Run(chosen) => return Ok(chosen.run()),
        Command::Simulate(chosen) => return Ok(chosen.run()),
        Command::Reward(chosen) => println!("{}", reward(&chosen.training())?),
    }
    Ok(ExitCode::SUCCESS)
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
