//! What a leg is, and what is written down of it.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{RaterKind, SimulateError, Simulation};
use crate::daemon::TuneObjective;

const LEGS: &str = "legs";
const FILE: &str = "leg.json";

/// A leg that is to be run.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Planned {
    pub(super) objective: TuneObjective,
    /// Share of hostile raters.
    pub(super) hostile: f64,
    pub(super) rounds: usize,
}

/// What a leg came to so far.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Leg {
    /// How the generator is tuned.
    pub objective: String,
    /// Share of hostile raters.
    pub hostile: f64,
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

/// Legs in the order in which they are run: the first objective first, without and with hostile raters, then the others without.
pub(super) fn plan(simulation: &Simulation) -> Vec<Planned> {
    let Simulation { objectives, hostile, rounds, side_rounds, .. } = simulation;
    let mut plan = Vec::new();
    for (at, &objective) in objectives.iter().enumerate() {
        for (number, &hostile) in hostile.iter().enumerate() {
            let rounds = if at == 0 && number == 0 { *rounds } else { *side_rounds };
            if at == 0 || number == 0 {
                plan.push(Planned { objective, hostile, rounds });
            }
        }
    }
    plan
}

impl Planned {
    /// Its name in folders and reports.
    pub(super) fn name(&self) -> String {
        format!("{}-hostile-{:02.0}", self.objective.name(), 100.0 * self.hostile)
    }

    pub(super) fn folder(&self, out: &Path) -> PathBuf {
        out.join(LEGS).join(self.name())
    }

    /// Where it is written down.
    pub(super) fn path(&self, out: &Path) -> PathBuf {
        self.folder(out).join(FILE)
    }

    /// What is written down of it; nothing where it has not begun.
    pub(super) fn read(&self, out: &Path) -> Result<Leg, SimulateError> {
        let path = self.path(out);
        if !path.exists() {
            let objective = self.objective.name().to_owned();
            return Ok(Leg { objective, hostile: self.hostile, ..Leg::default() });
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
