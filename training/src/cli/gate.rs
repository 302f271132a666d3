//! `plaudit-train gate`.

use std::{path::PathBuf, process::ExitCode};

use clap::{Subcommand, builder::RangedU64ValueParser};
use plaudit_training::{
    collect::Prompts,
    gate::{self, Evidence, GeneratorBounds, GeneratorGate, RewardBounds, RewardGate},
};

/// What an error exits with; 1 is a candidate that fails.
const ERROR: u8 = 2;

/// Compare a candidate with the champion and say whether it may take its place.
///
/// Exit codes: 0 pass, 1 fail, 2 an error, 3 inconclusive. The evidence is in DIR: gate.json, gate.md, differences.svg, and sheet.png of generators.
#[derive(clap::Args)]
pub(crate) struct Gate {
    #[command(subcommand)]
    kind: Kind,
}

#[derive(Subcommand)]
enum Kind {
    Generator(Box<Generator>),
    Reward(Reward),
}

/// Packs that draw: on the same prompts and seeds, by reward, judge, CLIP, diversity, looks, distance, safety and latency.
///
/// Exit codes: 0 pass, 1 fail, 2 an error, 3 inconclusive. Run again, it goes on where it stopped.
#[derive(clap::Args)]
struct Generator {
    /// The pack that serves.
    #[arg(long, value_name = "PACK_DIR")]
    champion: PathBuf,
    /// The pack that would.
    #[arg(long, value_name = "PACK_DIR")]
    candidate: PathBuf,
    /// The reward that both are measured by, instead of the champion's own.
    #[arg(long, value_name = "REWARD_DIR")]
    reward: Option<PathBuf>,
    /// Prompts from the miniature world's grammar.
    #[arg(long, default_value_t = 60, value_parser = RangedU64ValueParser::<usize>::new().range(6..))]
    prompts: usize,
    /// Share of them about held-out objects.
    #[arg(long, default_value_t = 0.4, value_parser = super::collect::share)]
    held_out: f64,
    /// Prompts from a file instead, one a line.
    #[arg(long, conflicts_with_all = ["prompts", "held_out"])]
    prompts_file: Option<PathBuf>,
    /// Pictures of each prompt, of each pack. As many again are drawn by the champion with other seeds.
    #[arg(long, default_value_t = 4, value_parser = RangedU64ValueParser::<usize>::new().range(2..))]
    pictures: usize,
    /// Steps of a picture.
    #[arg(long, default_value_t = 20, value_parser = RangedU64ValueParser::<usize>::new().range(1..))]
    steps: usize,
    /// Seed of prompts, pictures and intervals. The default is one that no dataset is collected with.
    #[arg(long, default_value_t = 4100)]
    seed: u64,
    /// Pictures and evidence.
    #[arg(short, long, value_name = "DIR", default_value = "data/gate/generator")]
    output: PathBuf,
    /// Threads; 0 means one for each core.
    #[arg(long, default_value_t = 0)]
    threads: usize,
    #[command(flatten, next_help_heading = "Bounds")]
    bounds: GeneratorBounds,
}

/// Reward packs: on votes that neither learned from, by ranking, calibration, and what must not sway them.
///
/// Exit codes: 0 pass, 1 fail, 2 an error, 3 inconclusive. Of datasets with parts, `test` and `held_out` are measured on.
#[derive(clap::Args)]
struct Reward {
    /// The reward pack that serves.
    #[arg(long, value_name = "REWARD_DIR")]
    champion: PathBuf,
    /// The reward pack that would.
    #[arg(long, value_name = "REWARD_DIR")]
    candidate: PathBuf,
    /// The pack whose CLIP both read.
    #[arg(long, value_name = "PACK_DIR", default_value = "onnx/packs/miniature")]
    pack: PathBuf,
    /// Votes that stay the same from gate to gate, as `collect` or `plaudit feedback export` writes them.
    #[arg(long, value_name = "DATASET")]
    golden: PathBuf,
    /// The votes that came last.
    #[arg(long, value_name = "DATASET")]
    newest: Option<PathBuf>,
    /// Evidence.
    #[arg(short, long, value_name = "DIR", default_value = "data/gate/reward")]
    output: PathBuf,
    /// Threads; 0 means one for each core.
    #[arg(long, default_value_t = 0)]
    threads: usize,
    #[command(flatten, next_help_heading = "Bounds")]
    bounds: RewardBounds,
}

impl Gate {
    /// Prints the table and answers the verdict's exit code.
    pub(crate) fn run(self) -> ExitCode {
        match self.evidence() {
            Ok(evidence) => {
                print!("{}", evidence.markdown());
                ExitCode::from(evidence.verdict.exit_code())
            }
            Err(error) => {
                eprintln!("Error: {error:#}");
                ExitCode::from(ERROR)
            }
        }
    }

    fn evidence(self) -> anyhow::Result<Evidence> {
        Ok(match self.kind {
            Kind::Generator(chosen) => gate::generator(&chosen.gate())?,
            Kind::Reward(chosen) => gate::reward(&chosen.gate())?,
        })
    }
}

impl Generator {
    fn gate(self) -> GeneratorGate {
        let grammar = Prompts::Grammar { amount: self.prompts, held_out: self.held_out };
        GeneratorGate {
            champion: self.champion,
            candidate: self.candidate,
            reward: self.reward,
            prompts: self.prompts_file.map_or(grammar, Prompts::File),
            pictures: self.pictures,
            steps: self.steps,
            seed: self.seed,
            bounds: self.bounds,
            out: self.output,
            threads: self.threads,
        }
    }
}

impl Reward {
    fn gate(self) -> RewardGate {
        RewardGate {
            champion: self.champion,
            candidate: self.candidate,
            pack: self.pack,
            golden: self.golden,
            newest: self.newest,
            bounds: self.bounds,
            out: self.output,
            threads: self.threads,
        }
    }
}
