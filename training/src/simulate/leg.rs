//! What a leg is, and what is written down of it.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{RaterKind, Recipe, SimulateError, Simulation};

const LEGS: &str = "legs";
const FILE: &str = "leg.json";

/// A leg that is to be run.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Planned {
    pub(super) recipe: Recipe,
    /// Share of hostile raters.
    pub(super) hostile: f64,
    /// Which of the seeds, from 0.
    pub(super) seed: usize,
    pub(super) rounds: usize,
    /// Whether it is the finalist's, and drawn in every arm.
    pub(super) finalist: bool,
}

/// What a leg came to so far.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Leg {
    /// How the generator is tuned.
    pub objective: String,
    /// Share of hostile raters.
    pub hostile: f64,
    /// Which of the seeds, from 0.
    #[serde(default)]
    pub seed: usize,
    /// The generator that it began with, and the reward.
    pub base: Vec<String>,
    /// Rounds that are done.
    pub rounds: Vec<RoundFacts>,
}

/// What a round came to.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct RoundFacts {
    /// From 1.
    pub number: usize,
    /// Votes that were cast in it, those of the trial too, by kind of rater: votes, and those that are the truth.
    pub votes: BTreeMap<RaterKind, [u64; 2]>,
    /// Pictures that were drawn, and those that were right.
    pub drawn: [u64; 2],
    /// What the daemon's look came to, and its line.
    pub done: String,
    #[allow(missing_docs)]
    pub said: String,
    /// What is known of the daemon's round, as the database has it; null where none began.
    pub round: Value,
    /// How the trial ended, where there was one: state, why, and whether the operator decided.
    pub trial: Option<TrialFacts>,
    /// Raters in quarantine before the round learned, by kind.
    pub quarantined: BTreeMap<RaterKind, u64>,
    /// The champion generator after it.
    pub generator: String,
    /// The champion reward after it.
    pub reward: String,
    /// Seconds of the daemon's look.
    pub seconds: f64,
}

/// How a trial ended.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct TrialFacts {
    /// The version that was tried.
    pub version: String,
    /// Its last state.
    pub state: String,
    /// Why.
    pub reason: String,
    /// Whether people's votes were too few, and the operator promoted it as the gate had let it pass.
    pub by_operator: bool,
}

/// Seeds of legs lie this far apart: further than those of rounds and trials reach.
const SEEDS: u64 = 1_000_000;

/// Legs in the order in which they are run: the finalist's first, its further seeds, its hostile raters, then the screen of the others.
pub(super) fn plan(simulation: &Simulation) -> Vec<Planned> {
    let Simulation { objectives, hostile, rounds, side_rounds, seeds, .. } = simulation;
    let (Some((&finalist, others)), Some((&first, hostile))) = (objectives.split_first(), hostile.split_first()) else {
        return Vec::new();
    };
    let side = Planned { recipe: finalist, hostile: first, seed: 0, rounds: *side_rounds, finalist: true };
    let mut plan = vec![Planned { rounds: *rounds, ..side.clone() }];
    plan.extend((1..*seeds).map(|seed| Planned { seed, ..side.clone() }));
    plan.extend(hostile.iter().map(|&hostile| Planned { hostile, ..side.clone() }));
    plan.extend(others.iter().map(|&recipe| Planned { recipe, finalist: false, ..side.clone() }));
    plan
}

/// Refuses what could only fail after hours.
pub(super) fn check(simulation: &Simulation, plan: &[Planned]) -> Result<(), SimulateError> {
    if simulation.votes > simulation.raters {
        return Err(SimulateError::Raters { raters: simulation.raters, votes: simulation.votes });
    }
    if simulation.running.is_some() && plan.len() > 1 {
        return Err(SimulateError::Legs { legs: plan.len() });
    }
    let learning = &simulation.daemon.learning;
    for Planned { recipe, .. } in plan {
        let lacks = match (recipe.unlabelled, recipe.pretraining) {
            (true, _) if learning.tune_pictures == 0 => Some("--tune-pictures"),
            (_, true) if learning.base_data.is_none() => Some("--base-data"),
            _ => None,
        };
        if let Some(flag) = lacks {
            return Err(SimulateError::Lacks { recipe: recipe.to_string(), flag });
        }
    }
    Ok(())
}

impl Planned {
    /// Its name in folders and reports.
    pub(super) fn name(&self) -> String {
        format!("{}-{}", self.recipe, self.raters())
    }

    /// Who votes in it, and on what at first: equal for legs that differ in their recipe alone.
    pub(super) fn raters(&self) -> String {
        let seed = if self.seed == 0 { String::new() } else { format!("-seed-{}", self.seed) };
        format!("hostile-{:02.0}{seed}", 100.0 * self.hostile)
    }

    /// Seed of its prompts, raters, pictures and learning.
    pub(super) fn first_seed(&self, simulation: &Simulation) -> u64 {
        simulation.seed + SEEDS * self.seed as u64
    }

    /// Whether all its rounds are written down.
    pub(super) fn is_done(&self, out: &Path) -> Result<bool, SimulateError> {
        Ok(self.read(out)?.rounds.len() >= self.rounds)
    }

    pub(super) fn folder(&self, out: &Path) -> PathBuf {
        out.join(LEGS).join(self.name())
    }

    /// Where it is written down.
    fn path(&self, out: &Path) -> PathBuf {
        self.folder(out).join(FILE)
    }

    /// What is written down of it; nothing where it has not begun.
    pub(super) fn read(&self, out: &Path) -> Result<Leg, SimulateError> {
        let path = self.path(out);
        if !path.exists() {
            let Self { recipe, hostile, seed, .. } = *self;
            return Ok(Leg { objective: recipe.to_string(), hostile, seed, ..Leg::default() });
        }
        let text = fs::read(&path).map_err(SimulateError::io("read", &path))?;
        serde_json::from_slice(&text).map_err(|error| SimulateError::content(&path, error))
    }

    pub(super) fn write(&self, out: &Path, leg: &Leg) -> Result<(), SimulateError> {
        // Numbers, texts and maps with text keys always serialise.
        replace(&self.path(out), &serde_json::to_vec_pretty(leg).unwrap_or_default())
    }
}

/// Writes a file aside and moves it to its place.
pub(super) fn replace(path: &Path, bytes: &[u8]) -> Result<(), SimulateError> {
    if let Some(parent) = path.parent() {
        fs::create_dir_all(parent).map_err(SimulateError::io("create", parent))?;
    }
    let mut aside = path.as_os_str().to_owned();
    aside.push(".new");
    fs::write(&aside, bytes).map_err(SimulateError::io("write", path))?;
    fs::rename(&aside, path).map_err(SimulateError::io("move to", path))
}
