//! Weights out of a trainer, checkpoints in and out.

use std::{collections::BTreeMap, path::Path};

use indexmap::IndexMap;
use plaudit_onnx::{Model, Tensor};

use super::{Adapter, StepError, Trainer};
use crate::checkpoint::{self, CheckpointError, Loaded, State};

/// Which weights.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Which {
    /// As the last step left them.
    Current,
    /// Their exponential average; the current ones where no average is kept.
    Average,
}

const WEIGHT: &str = "weight";
const FIRST: &str = "first";
const SECOND: &str = "second";
const AVERAGE: &str = "average";

impl Trainer {
    /// The trained weights by name. After a LoRA run these are the factors; [`Trainer::apply`] merges them.
    pub fn weights(&self, which: Which) -> IndexMap<String, Tensor> {
        let named = self.parameters.iter().enumerate();
        named.map(|(index, p)| (p.name.clone(), Tensor::f32(&p.shape, self.values(index, which)))).collect()
    }

    /// Puts the trained weights into `model`, whose initializers are named as in the training graph without `prefix`; returns how many were replaced.
    pub fn apply(&self, model: &mut Model, prefix: &str, which: Which) -> usize {
        let weights = self.weights(which);
        let mut replaced = 0;
        for (name, tensor) in &mut model.graph.initializers {
            let full = format!("{prefix}{name}");
            let merged = || merged(self.adapters.iter().find(|adapter| adapter.weight == full)?, tensor, &weights);
            if let Some(new) = weights.get(&full).cloned().or_else(merged) {
                *tensor = new;
                replaced += 1;
            }
        }
        replaced
    }

    fn values(&self, index: usize, which: Which) -> &[f32] {
        let average = &self.moments[index].average;
        if which == Which::Average && !average.is_empty() {
            return average;
        }
        self.session.buffer(&self.parameters[index].name)
    }

    /// Writes a checkpoint into `directory`; `metrics_bytes` is the length of the metrics file at this step.
    ///
    /// # Errors
    /// If the disk refuses.
    pub fn save(&self, directory: &Path, metrics_bytes: u64) -> Result<(), StepError> {
        let state = State {
            step: self.step,
            position: self.position,
            random: self.random.clone(),
            metrics_bytes,
            seconds: self.seconds,
            settings: self.settings_value(),
            graph: self.fingerprint.clone(),
            tensors: String::new(),
        };
        let mut tensors = Vec::new();
        for (index, parameter) in self.parameters.iter().enumerate() {
            let moments = &self.moments[index];
            let mut push = |kind: &str, values| {
                tensors.push((format!("{kind}/{}", parameter.name), parameter.shape.clone(), values));
            };
            push(WEIGHT, self.session.buffer(&parameter.name));
            push(FIRST, &moments.first);
            push(SECOND, &moments.second);
            if !moments.average.is_empty() {
                push(AVERAGE, &moments.average);
            }
        }
        Ok(checkpoint::save(directory, state, tensors)?)
    }

    /// Goes on where a checkpoint stands. Returns what differs without making it unusable (settings, the loss), for a warning.
    ///
    /// # Errors
    /// If the checkpoint holds other parameters.
    pub fn restore(&mut self, loaded: Loaded) -> Result<Vec<String>, StepError> {
        let Loaded { state, mut tensors, skipped } = loaded;
        let mut differences = skipped;
        if state.graph != self.fingerprint {
            differences.push("the training graph is not the checkpoint's".to_owned());
        }
        if state.settings != self.settings_value() {
            differences.push(format!("settings were {} and are {}", state.settings, self.settings_value()));
        }
        self.take(&mut tensors, state.step)?;
        self.step = state.step;
        self.position = state.position;
        self.random = state.random;
        self.seconds = state.seconds;
        Ok(differences)
    }

    fn take(&mut self, tensors: &mut BTreeMap<String, Vec<f32>>, step: u64) -> Result<(), StepError> {
        self.require_same_parameters(tensors, step)?;
        for (parameter, moments) in self.parameters.iter().zip(&mut self.moments) {
            let mut take = |kind: &str| tensors.remove(&format!("{kind}/{}", parameter.name));
            let weight = take(WEIGHT).unwrap_or_default();
            self.session.buffer_mut(&parameter.name).copy_from_slice(&weight);
            moments.first = take(FIRST).unwrap_or_default();
            moments.second = take(SECOND).unwrap_or_default();
            if self.settings.optimiser.average.is_some() {
                // A run that begins to average does so from where it stands.
                moments.average = take(AVERAGE).unwrap_or(weight);
            }
        }
        self.spread();
        Ok(())
    }

    fn require_same_parameters(&self, tensors: &BTreeMap<String, Vec<f32>>, step: u64) -> Result<(), StepError> {
        let expected = self.parameters.iter().flat_map(|parameter| {
            let length = parameter.shape.iter().product::<usize>();
            [WEIGHT, FIRST, SECOND].map(|kind| (format!("{kind}/{}", parameter.name), length))
        });
        let unfit = expected.filter(|(name, length)| tensors.get(name).is_none_or(|values| values.len() != *length));
        let unfit: Vec<String> = unfit.map(|(name, length)| format!("{name} ({length} elements)")).collect();
        if unfit.is_empty() {
            return Ok(());
        }
        let detail = format!("missing or of another size: {}", unfit.join(", "));
        Err(CheckpointError::Foreign { step, what: "set of parameters", detail }.into())
    }

    fn settings_value(&self) -> serde_json::Value {
        serde_json::to_value(&self.settings).unwrap_or_default()
    }
}

/// A source weight with its trained correction added; `None` if the run did not train it.
fn merged(adapter: &Adapter, source: &Tensor, weights: &IndexMap<String, Tensor>) -> Option<Tensor> {
    let factor = |name: String| weights.get(&name).and_then(Tensor::to_f32);
    let values = adapter.merge(&source.to_f32()?, &factor(adapter.a())?, &factor(adapter.b())?);
    Some(Tensor::f32(&source.shape, &values))
}
