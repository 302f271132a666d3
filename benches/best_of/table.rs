//! What was drawn and judged: a line of JSON for each prompt.

use std::{
    collections::BTreeMap,
    fs::File,
    io::{BufRead, BufReader, Write},
    path::Path,
};

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};

/// A prompt and its candidates, by seed.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Prompt {
    pub(crate) number: usize,
    pub(crate) prompt: String,
    pub(crate) category: String,
    pub(crate) held_out: bool,
    pub(crate) candidates: Vec<Candidate>,
}

/// A picture in full, and what was seen of it before.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Candidate {
    pub(crate) seed: u32,
    pub(crate) reward: f32,
    pub(crate) clip: f32,
    /// What the rule rater says, without noise.
    pub(crate) truth: bool,
    /// What the report judge says: the probability that the picture is right.
    pub(crate) judged: f32,
    /// Rewards of the picture drawn in so few steps.
    pub(crate) previews: BTreeMap<usize, f32>,
    /// Rewards of the estimate of the clean picture after so many calls.
    pub(crate) estimates: BTreeMap<usize, f32>,
}

impl Candidate {
    /// Whether the report judge takes it.
    pub(crate) fn good(&self) -> f64 {
        f64::from(u8::from(self.judged >= 0.5))
    }
}

/// All complete lines of a file; a last one that a kill cut short is not one.
pub(crate) fn read(path: &Path) -> Result<Vec<Prompt>> {
    let Ok(file) = File::open(path) else { return Ok(Vec::new()) };
    let mut prompts = Vec::new();
    for line in BufReader::new(file).lines() {
        match serde_json::from_str(&line?) {
            Ok(prompt) => prompts.push(prompt),
            Err(_) => break,
        }
    }
    Ok(prompts)
}

/// Writes all lines anew, so that nothing follows one that was cut short.
pub(crate) fn rewrite(path: &Path, prompts: &[Prompt]) -> Result<File> {
    let mut file = File::create(path).with_context(|| format!("cannot write {}", path.display()))?;
    for prompt in prompts {
        append(&mut file, prompt)?;
    }
    Ok(file)
}

/// Adds a line.
pub(crate) fn append(file: &mut File, prompt: &Prompt) -> Result<()> {
    writeln!(file, "{}", serde_json::to_string(prompt)?)?;
    Ok(file.flush()?)
}
