//! `state.json` in the pack: what each stage has done and reached.

use std::{fs, path::PathBuf};

use serde_json::{Map, Value, json};

use super::{PretrainError, Workshop};
use crate::step::Trainer;

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

/// Logs the marks and writes them, with the steps done, under the stage's name.
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
        entry.insert("steps".to_owned(), json!(trainer.steps()));
        entry.insert("minutes".to_owned(), json!((trainer.seconds() / 6.0).round() / 10.0));
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
    let text = format!("{:#}\n", Value::Object(state));
    fs::write(&path, text).map_err(PretrainError::io(path))
}

/// Whether a stage has an entry.
pub(super) fn has(workshop: &Workshop, stage: &str) -> Result<bool, PretrainError> {
    Ok(read(&path(workshop))?.contains_key(stage))
}

fn path(workshop: &Workshop) -> PathBuf {
    workshop.pack.join("state.json")
}

fn read(path: &PathBuf) -> Result<Map<String, Value>, PretrainError> {
    if !path.exists() {
        return Ok(Map::new());
    }
    let text = fs::read(path).map_err(PretrainError::io(path))?;
    let fault = |error: serde_json::Error| PretrainError::Content { path: path.clone(), fault: error.to_string() };
    serde_json::from_slice(&text).map_err(fault)
}
