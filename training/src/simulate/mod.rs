//! The proof: simulated raters use a real server, the daemon learns from their votes, and a judge that the loop never heard says what became of it.
//!
//! A *leg* is one recipe with one share of hostile raters and one seed, over some rounds, on a server and a directory of its own. A round: raters ask for
//! pictures over HTTP and vote with the tokens that come with them; the daemon looks once, in this process; a version that is tried goes on being
//! voted on until its trial ends; the server swaps. Then the protocol of Lee et al. 2023 compares base and tuned, alone and with best-of-N, at
//! equal calls of the denoiser.
//!
//! ```text
//! OUT/asked/hostile-05/                           the first round's votes of a share and seed, which its legs begin with
//! OUT/legs/<recipe>-hostile-05/leg.json           what each round came to; a run that was stopped goes on behind its last whole step
//! OUT/legs/<recipe>-hostile-05/votes-2.jsonl      the votes of a round, with what the raters could not know: the truth
//! OUT/legs/<recipe>-hostile-05/data/              the server's directory
//! OUT/drawn/<version>/<seed>/<arm>/0007.png       pictures of the protocol, a prompt a file
//! OUT/report.json report.md report.html *.svg *.png
//! ```

mod asking;
mod client;
mod course;
mod error;
mod figures;
mod first;
mod html;
mod leg;
mod measure;
mod plots;
mod population;
mod protocol;
mod recipe;
mod report;
mod seeds;
mod server;
mod studio;

use std::{
    path::PathBuf,
    time::{Duration, Instant},
};

pub use client::{Client, Shown};
pub use error::SimulateError;
pub use leg::{Leg, RoundFacts};
pub use measure::{Arm, ArmFigures, MeasuredLeg, Versus, Which};
pub use population::{Answer, Person, Population, RaterKind, Shares};
pub use protocol::{Outcome, Protocol, Tally};
pub use recipe::Recipe;
pub use report::Report;
pub use seeds::Pooled;
pub use server::{Server, locate};

use crate::daemon::DaemonSettings;

/// A server that runs already.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Running {
    /// Its address, such as `http://127.0.0.1:8080`.
    pub url: String,
    /// An administrator's key.
    pub key: String,
    /// Its directory: the daemon learns beside it.
    pub data: PathBuf,
}

/// How much of everything.
#[derive(Debug, Clone, PartialEq)]
pub struct Simulation {
    /// Where everything goes.
    pub out: PathBuf,
    /// The pack that is the base.
    pub pack: PathBuf,
    /// The `plaudit` program; `None`: beside this one.
    pub program: Option<PathBuf>,
    /// A server that runs already, for a single leg; `None`: each leg starts one.
    pub running: Option<Running>,
    /// What generators are tuned by. The first is the finalist: its legs also have hostile raters and further seeds, and are drawn in every arm; the
    /// others are screened.
    pub objectives: Vec<Recipe>,
    /// Shares of hostile raters, the finalist's legs; the others have the first share only.
    pub hostile: Vec<f64>,
    /// Legs of the finalist with the first share, each with prompts, raters and pictures of its own.
    pub seeds: usize,
    /// Shares of the other raters who are not honest.
    pub shares: Shares,
    /// Raters.
    pub raters: usize,
    /// Rounds of the finalist's first leg.
    pub rounds: usize,
    /// Rounds of the other legs.
    pub side_rounds: usize,
    /// Prompts that are asked for in a round.
    pub prompts: usize,
    /// Pictures of each.
    pub pictures: usize,
    /// Votes on each picture, by different raters. The first votes with its token, others through the application's key.
    pub votes: usize,
    /// Steps of a picture that is voted on.
    pub steps: usize,
    /// Prompts that are asked for at most while a version is on trial; then the operator decides as the gate did, and the report says so.
    pub trial_prompts: usize,
    /// The comparison.
    pub protocol: Protocol,
    /// The daemon's; its directory is the leg's.
    pub daemon: DaemonSettings,
    /// Flags of the servers that are started, after those that every leg has.
    pub flags: Vec<String>,
    /// Time after which this run ends; the next one goes on.
    pub leg: Option<Duration>,
    /// Seed of prompts, raters and pictures.
    pub seed: u64,
}

/// What came of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Finished {
    /// Everything is done; where the report is.
    Whole(PathBuf),
    /// This run's time is over: run the same again.
    Partly(PathBuf),
}

/// Runs every leg from where it stands; what is there is measured and reported after each.
///
/// # Errors
/// A server that does not start or answer, a daemon that cannot work, a full disk.
pub async fn simulate(simulation: &Simulation) -> Result<Finished, SimulateError> {
    std::fs::create_dir_all(&simulation.out).map_err(SimulateError::io("create", &simulation.out))?;
    let until = simulation.leg.map(|leg| Instant::now() + leg);
    let plan = leg::plan(simulation);
    leg::check(simulation, &plan)?;
    let mut seen = measure::Seen::default();
    for (number, planned) in plan.iter().enumerate() {
        let before = planned.read(&simulation.out)?;
        let done = course::run(simulation, planned, until).await?;
        if is_over(until) {
            break;
        }
        // The last is measured with all of them.
        if done && number + 1 < plan.len() && before != planned.read(&simulation.out)? {
            seen = report(simulation, seen, until).await?.1;
        }
    }
    let whole = plan.iter().map(|leg| leg.is_done(&simulation.out)).collect::<Result<Vec<_>, _>>()?;
    let ((path, measured), _) = report(simulation, seen, until).await?;
    let whole = measured && whole.into_iter().all(|done| done);
    Ok(if whole { Finished::Whole(path) } else { Finished::Partly(path) })
}

/// Measures what is there and writes the report: where it is, and whether nothing of it is missing.
async fn report(
    simulation: &Simulation,
    mut seen: measure::Seen,
    until: Option<Instant>,
) -> Result<((PathBuf, bool), measure::Seen), SimulateError> {
    let simulation = simulation.clone();
    tokio::task::spawn_blocking(move || {
        let measured = measure::all(&simulation, &mut seen, until)?;
        Ok(((report::write(&simulation, &measured)?, measured.whole), seen))
    })
    .await?
}

/// Whether a run's time is over.
fn is_over(until: Option<Instant>) -> bool {
    until.is_some_and(|until| Instant::now() >= until)
}
