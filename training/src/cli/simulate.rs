//! `plaudit-train simulate`.

use std::{path::PathBuf, process::ExitCode, time::Duration};

use clap::builder::RangedU64ValueParser;
use plaudit_training::{
    daemon::{DaemonSettings, Learning, Passing, Release, Soundness, Watermark},
    simulate::{Finished, Protocol, Recipe, Running, Shares, Simulation, simulate},
};

use super::{collect::share, minutes};

/// What an error exits with, and a run whose time was over.
const ERROR: u8 = 2;
const PARTLY: u8 = 3;
/// More than any leg has: how often rounds begin is the simulation's concern.
const MANY: u32 = 1_000_000;

/// Prove the loop: simulated raters use a real server, the daemon learns from their votes, the server swaps, and a judge that nothing in the
/// loop has heard says what became of it.
///
/// Run again, it goes on where it stopped. Exit codes: 0 everything is done, 2 an error, 3 this run's --minutes are over.
#[derive(clap::Args)]
pub(crate) struct Simulate {
    /// Legs, pictures and the report
    #[arg(short, long, value_name = "DIR", default_value = "runs/experiment")]
    output: PathBuf,
    /// The pack that is the base
    #[arg(long, default_value = "onnx/packs/miniature")]
    pack: PathBuf,
    /// The `plaudit` program; by default beside this one
    #[arg(long, value_name = "FILE")]
    program: Option<PathBuf>,
    /// A server that runs already, instead of one that each leg starts: one leg only
    #[arg(long, requires_all = ["key", "data"])]
    url: Option<String>,
    /// An administrator's key of that server
    #[arg(long, env = "PLAUDIT_KEY", hide_env_values = true, requires = "url")]
    key: Option<String>,
    /// That server's directory: the daemon learns beside it
    #[arg(long, value_name = "DIR", requires = "url")]
    data: Option<PathBuf>,
    /// How the generator is tuned, one or more: an objective, then +unlabelled (--tune-pictures more of each voted prompt, which only the reward
    /// scores), +pretraining (--base-data) or +anchored, then @RATE. The first is the finalist: it also has --seeds and hostile raters
    /// [default: all that there are data for, the latent reward first]
    #[arg(long, value_delimiter = ',')]
    objectives: Vec<Recipe>,
    /// Shares of hostile raters, one or more
    #[arg(long, value_delimiter = ',', value_parser = share, default_values_t = [0.0, 0.05, 0.1])]
    hostile: Vec<f64>,
    /// Legs of the finalist without hostile raters, each with prompts, raters and pictures of its own
    #[arg(long, default_value_t = 3, value_parser = RangedU64ValueParser::<usize>::new().range(1..))]
    seeds: usize,
    /// Share of lenient raters
    #[arg(long, value_parser = share, default_value_t = 0.2)]
    lenient: f64,
    /// Share of careless raters
    #[arg(long, value_parser = share, default_value_t = 0.1)]
    careless: f64,
    /// Raters
    #[arg(long, default_value_t = 40, value_parser = RangedU64ValueParser::<usize>::new().range(1..))]
    raters: usize,
    /// Rounds of the first leg
    #[arg(long, default_value_t = 5, value_parser = RangedU64ValueParser::<usize>::new().range(1..))]
    rounds: usize,
    /// Rounds of the other legs
    #[arg(long, default_value_t = 2, value_parser = RangedU64ValueParser::<usize>::new().range(1..))]
    side_rounds: usize,
    /// Prompts that are asked for in a round
    #[arg(long, default_value_t = 250, value_parser = RangedU64ValueParser::<usize>::new().range(1..))]
    prompts: usize,
    /// Pictures of each prompt
    #[arg(long, default_value_t = 4, value_parser = RangedU64ValueParser::<usize>::new().range(1..=10))]
    pictures: usize,
    /// Votes on each picture, by different raters; agreement is judged from three on
    #[arg(long, default_value_t = 3, value_parser = RangedU64ValueParser::<usize>::new().range(1..=10))]
    votes: usize,
    /// Steps of a picture
    #[arg(long, default_value_t = 20, value_parser = RangedU64ValueParser::<usize>::new().range(1..=150))]
    steps: usize,
    /// Prompts that are asked for at most while a version is on trial; 0: no trial, a version that passed its gate is promoted at once
    #[arg(long, default_value_t = 60)]
    trial_prompts: usize,
    /// Share of raters that a trial draws for
    #[arg(long, default_value_t = 0.5)]
    trial_share: f64,
    /// Prompts of the comparison, half of them about held-out objects
    #[arg(long, default_value_t = 120, value_parser = RangedU64ValueParser::<usize>::new().range(2..))]
    protocol_prompts: usize,
    /// Pictures of a prompt that are compared
    #[arg(long, default_value_t = 2, value_parser = RangedU64ValueParser::<usize>::new().range(1..))]
    protocol_pictures: usize,
    /// Candidates of each picture of best-of-N
    #[arg(long, default_value_t = 4, value_parser = RangedU64ValueParser::<usize>::new().range(1..))]
    best_of: usize,
    /// Steps of the reward at most
    #[arg(long, default_value_t = 3000, value_parser = clap::value_parser!(u64).range(1..))]
    reward_steps: u64,
    /// Updates of the generator in a round [default: 500; for the reward gradient 200]
    #[arg(long, value_parser = clap::value_parser!(u64).range(1..))]
    tune_steps: Option<u64>,
    /// Highest learning rate of the generator [default: 1e-5; for the reward gradient 5e-5]
    #[arg(long)]
    tune_rate: Option<f32>,
    /// How far the latent reward leads [default: 60]
    #[arg(long)]
    tune_strength: Option<f32>,
    /// Pictures more of each voted prompt that the champion draws for +unlabelled
    #[arg(long, default_value_t = 4)]
    tune_pictures: usize,
    /// Captioned pictures for +pretraining, as `data draw` and `data import` write them
    #[arg(long, value_name = "DATASET")]
    base_data: Option<PathBuf>,
    /// Prompts of the generators' gate
    #[arg(long, default_value_t = 60, value_parser = RangedU64ValueParser::<usize>::new().range(6..))]
    gate_prompts: usize,
    /// Refuse what a gate cannot decide. By default that passes where every figure itself lies within its bound: a round of a simulation has
    /// few votes and prompts, and the report judge is the proof
    #[arg(long)]
    strict: bool,
    /// Minutes until this run ends; the next one goes on
    #[arg(long, value_parser = minutes)]
    minutes: Option<Duration>,
    /// Flags of the servers that are started, such as --server-flags=--trial-alpha=0.2
    #[arg(long, value_name = "FLAG", allow_hyphen_values = true)]
    server_flags: Vec<String>,
    /// Threads of the daemon and the comparison; 0 means one for each core
    #[arg(long, default_value_t = 0)]
    threads: usize,
    /// Seed of prompts, raters and pictures
    #[arg(long, default_value_t = 0)]
    seed: u64,
}

impl Simulate {
    /// Runs what is left and prints where the report is.
    pub(crate) fn run(self) -> ExitCode {
        let simulation = self.simulation();
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
        let ended =
            runtime.map_err(anyhow::Error::from).and_then(|runtime| Ok(runtime.block_on(simulate(&simulation))?));
        match ended {
            Ok(Finished::Whole(page)) => {
                println!("{}", page.display());
                ExitCode::SUCCESS
            }
            Ok(Finished::Partly(page)) => {
                println!("{} (not finished: run the same again)", page.display());
                ExitCode::from(PARTLY)
            }
            Err(error) => {
                eprintln!("Error: {error:#}");
                ExitCode::from(ERROR)
            }
        }
    }

    fn simulation(self) -> Simulation {
        let running = self.url.clone().zip(self.key.clone()).zip(self.data.clone());
        let daemon = self.daemon();
        let all =
            || Recipe::all().into_iter().filter(|recipe| !recipe.pretraining || self.base_data.is_some()).collect();
        let objectives = if self.objectives.is_empty() { all() } else { self.objectives };
        Simulation {
            out: self.output,
            pack: self.pack,
            program: self.program,
            running: running.map(|((url, key), data)| Running { url, key, data }),
            objectives,
            hostile: self.hostile,
            seeds: self.seeds,
            shares: Shares { lenient: self.lenient, careless: self.careless, hostile: 0.0 },
            raters: self.raters,
            rounds: self.rounds,
            side_rounds: self.side_rounds,
            prompts: self.prompts,
            pictures: self.pictures,
            votes: self.votes,
            steps: self.steps,
            trial_prompts: self.trial_prompts,
            protocol: Protocol {
                prompts: self.protocol_prompts,
                pictures: self.protocol_pictures,
                best_of: self.best_of,
                steps: self.steps,
                ..Protocol::default()
            },
            daemon,
            flags: self.server_flags,
            leg: self.minutes,
            seed: self.seed,
        }
    }

    /// A daemon that begins a round whenever it looks, and refuses unfit votes as always.
    fn daemon(&self) -> DaemonSettings {
        let usual = DaemonSettings::new("data");
        let release = if self.trial_prompts == 0 { Release::Promote } else { Release::Trial };
        DaemonSettings {
            watermark: Watermark {
                new_votes: 1,
                rounds_per_day: MANY,
                rounds_per_base: MANY,
                retry_after: 0,
                ..usual.watermark.clone()
            },
            soundness: Soundness { min_votes: 100, ..usual.soundness.clone() },
            learning: Learning {
                keep_reward: true,
                reward_steps: self.reward_steps,
                tune_steps: self.tune_steps,
                tune_rate: self.tune_rate,
                tune_strength: self.tune_strength,
                tune_pictures: self.tune_pictures,
                base_data: self.base_data.clone(),
                seed: self.seed,
                threads: self.threads,
                ..usual.learning.clone()
            },
            passing: Passing {
                gate_prompts: self.gate_prompts,
                gate_steps: self.steps,
                accept_inconclusive: !self.strict,
                release,
                share: self.trial_share,
                shadow: 0,
                ..usual.passing.clone()
            },
            ..usual
        }
    }
}
