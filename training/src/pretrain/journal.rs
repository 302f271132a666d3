//! `state.json` in the pack: what each stage has done and reached.

use std::{
    fs,
    path::{Path, PathBuf},
};

use serde_json::{Map, Value, json};

use super::{PretrainError, Workshop, files};
use crate::step::Trainer;

const STEPS: &str = "steps";
const MINUTES: &str = "minutes";
const SECONDS_A_MINUTE: f64 = 60.0;

/// What a stage reached, against what it should reach.
pub(super) struct Mark {
    pub(super) what: &'static str,
    pub(super) reached: f64,
    pub(super) pass: std::ops::RangeInclusive<f64>,
}

impl Mark {
    fn passed(&self) -> bool {
        self.pass.contains(&self.reached)
    }
}

/// How far a training stage has come.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(super) struct Standing {
    pub(super) steps: u64,
    /// Of training, over all legs.
    pub(super) seconds: f64,
}

/// Logs the marks and writes them, with the steps done, under the stage's name. Steps and minutes never become fewer:
/// a run that began anew beside a pack that had come further takes nothing from the record.
pub(super) fn record(
    workshop: &Workshop,
    stage: &str,
    trainer: Option<&Trainer>,
    marks: &[Mark],
) -> Result<(), PretrainError> {
    let path = path(workshop);
    let mut state = read(&path)?;
    let mut entry = Map::new();
    entry.insert("seed".to_owned(), json!(workshop.seed));
    if let Some(trainer) = trainer {
        let before = stood(state.get(stage));
        let minutes = before.seconds.max(trainer.seconds()) / SECONDS_A_MINUTE;
        entry.insert(STEPS.to_owned(), json!(before.steps.max(trainer.steps())));
        entry.insert(MINUTES.to_owned(), json!((minutes * 10.0).round() / 10.0));
    }
    for mark in marks {
        let verdict = if mark.passed() { "passed" } else { "NOT passed" };
        let (low, high) = (mark.pass.start(), mark.pass.end());
        tracing::info!("{stage}: {} {:.3}, pass mark {low} to {high}: {verdict}", mark.what, mark.reached);
        let reached = (mark.reached * 1e4).round() / 1e4;
        entry.insert(
            mark.what.to_owned(),
            json!({"reached": reached, "low": low, "high": high, "passed": mark.passed()}),
        );
    }
    state.insert(stage.to_owned(), Value::Object(entry));
    write(&path, state)
}

/// How far a stage has come; not at all where it has no entry.
pub(super) fn standing(workshop: &Workshop, stage: &str) -> Result<Standing, PretrainError> {
    Ok(stood(read(&path(workshop))?.get(stage)))
}

fn stood(entry: Option<&Value>) -> Standing {
    let steps = entry.and_then(|entry| entry[STEPS].as_u64()).unwrap_or_default();
    let minutes = entry.and_then(|entry| entry[MINUTES].as_f64()).unwrap_or_default();
    Standing { steps, seconds: minutes * SECONDS_A_MINUTE }
}

/// Takes stages' entries out.
pub(super) fn forget(workshop: &Workshop, stages: &[&str]) -> Result<(), PretrainError> {
    let path = path(workshop);
    let mut state = read(&path)?;
    stages.iter().for_each(|stage| drop(state.remove(*stage)));
    write(&path, state)
}

/// Whether a stage has an entry.
pub(super) fn has(workshop: &Workshop, stage: &str) -> Result<bool, PretrainError> {
    Ok(read(&path(workshop))?.contains_key(stage))
}

pub(super) fn path(workshop: &Workshop) -> PathBuf {
    workshop.pack.join("state.json")
}

fn write(path: &Path, state: Map<String, Value>) -> Result<(), PretrainError> {
    files::replace(path, format!("{:#}\n", Value::Object(state)).as_bytes())
}

fn read(path: &Path) -> Result<Map<String, Value>, PretrainError> {
    if !path.exists() {
        return Ok(Map::new());
    }
    let text = fs::read(path).map_err(PretrainError::io(path))?;
    let fault = |error: serde_json::Error| PretrainError::Content { path: path.to_owned(), fault: error.to_string() };
    serde_json::from_slice(&text).map_err(fault)
}
