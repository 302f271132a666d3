//! Weights out of a trainer, checkpoints in and out.

use std::{collections::BTreeMap, path::Path};

use indexmap::IndexMap;
use plaudit::runtime::View;
use plaudit_onnx::{Model, Tensor};

use super::{Adapter, Parameter, ResidentTrainer, StepError, Trainer, TrainerSettings};
use crate::checkpoint::{self, CheckpointError, Loaded, State};

/// A trainer whose state a run writes down and goes on from. Both kinds write the same: a run can change its device between two legs.
pub trait Checkpointed {
    /// Steps done.
    fn steps(&self) -> u64;

    /// Writes a checkpoint into `directory`; `metrics_bytes` is the length of the metrics file at this step.
    ///
    /// # Errors
    /// If the disk or a copy from the device fails.
    fn save(&self, directory: &Path, metrics_bytes: u64) -> Result<(), StepError>;

    /// Goes on where a checkpoint stands. Returns what differs without making it unusable (settings, the loss), for a warning.
    ///
    /// # Errors
    /// If the checkpoint holds other parameters, or a copy to the device fails.
    fn restore(&mut self, loaded: Loaded) -> Result<Vec<String>, StepError>;
}

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
/// A parameter's tensors in a checkpoint and in the update graph; the last only where an average is kept.
pub(super) const KINDS: [&str; 4] = [WEIGHT, FIRST, SECOND, AVERAGE];

impl Trainer {
    /// The trained weights by name. After a LoRA run these are the factors; [`Trainer::apply`] merges them.
    pub fn weights(&self, which: Which) -> IndexMap<String, Tensor> {
        let named = self.parameters.iter().enumerate();
        named.map(|(index, p)| (p.name.clone(), Tensor::f32(&p.shape, self.values(index, which)))).collect()
    }

    /// Puts the trained weights into `model`, whose initializers are named as in the training graph without `prefix`; returns how many were replaced.
    pub fn apply(&self, model: &mut Model, prefix: &str, which: Which) -> usize {
        put(&self.weights(which), &self.adapters, model, prefix)
    }

    /// A trained weight's numbers, by its place among [`Trainer::parameters`].
    pub(crate) fn values(&self, index: usize, which: Which) -> &[f32] {
        let average = &self.moments[index].average;
        if which == Which::Average && !average.is_empty() {
            return average;
        }
        self.session.buffer(&self.parameters[index].name)
    }

    fn take(&mut self, tensors: &mut BTreeMap<String, Vec<f32>>, step: u64) -> Result<(), StepError> {
        require_same_parameters(&self.parameters, tensors, step)?;
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
}

impl Checkpointed for Trainer {
    fn steps(&self) -> u64 {
        self.step
    }

    fn save(&self, directory: &Path, metrics_bytes: u64) -> Result<(), StepError> {
        let state = State {
            step: self.step,
            position: self.position,
            random: self.random.clone(),
            metrics_bytes,
            seconds: self.seconds,
            settings: value(&self.settings),
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

    fn restore(&mut self, loaded: Loaded) -> Result<Vec<String>, StepError> {
        let Loaded { state, mut tensors, skipped } = loaded;
        let differences = differences(skipped, &state, &self.fingerprint, &self.settings);
        self.take(&mut tensors, state.step)?;
        self.step = state.step;
        self.position = state.position;
        self.random = state.random;
        self.seconds = state.seconds;
        Ok(differences)
    }
}

impl ResidentTrainer {
    /// Puts the trained weights into `model`, as [`Trainer::apply`] does; returns how many were replaced.
    ///
    /// # Errors
    /// If a copy from the device fails.
    pub fn apply(&self, model: &mut Model, prefix: &str, which: Which) -> Result<usize, StepError> {
        Ok(put(&self.weights(which)?, &self.adapters, model, prefix))
    }
}

impl Checkpointed for ResidentTrainer {
    fn steps(&self) -> u64 {
        self.steps
    }

    fn save(&self, directory: &Path, metrics_bytes: u64) -> Result<(), StepError> {
        let state = State {
            step: self.steps,
            position: self.position,
            random: self.random.clone(),
            metrics_bytes,
            seconds: self.seconds,
            settings: value(&self.settings),
            graph: self.fingerprint.clone(),
            tensors: String::new(),
        };
        let mut host = Vec::new();
        for (parameter, doubles) in self.parameters.iter().zip(&self.state) {
            for (kind, double) in KINDS.iter().zip(doubles) {
                let values = double.now.download()?.to_f32().unwrap_or_default();
                host.push((format!("{kind}/{}", parameter.name), parameter.shape.clone(), values));
            }
        }
        let tensors = host.iter().map(|(name, shape, values)| (name.clone(), shape.clone(), values.as_slice()));
        Ok(checkpoint::save(directory, state, tensors.collect())?)
    }

    fn restore(&mut self, loaded: Loaded) -> Result<Vec<String>, StepError> {
        let Loaded { state, tensors, skipped } = loaded;
        let differences = differences(skipped, &state, &self.fingerprint, &self.settings);
        require_same_parameters(&self.parameters, &tensors, state.step)?;
        for (parameter, doubles) in self.parameters.iter().zip(&mut self.state) {
            for (kind, double) in KINDS.iter().zip(doubles) {
                // A run that begins to average does so from where it stands.
                let name = |kind: &str| format!("{kind}/{}", parameter.name);
                let values = tensors.get(&name(kind)).or_else(|| tensors.get(&name(WEIGHT)));
                double.now.upload(View::new(&parameter.shape, values.map_or(&[][..], Vec::as_slice)))?;
            }
        }
        self.steps = state.step;
        self.position = state.position;
        self.random = state.random;
        self.seconds = state.seconds;
        Ok(differences)
    }
}

/// Replaces what was trained, by name; returns how much.
fn put(weights: &IndexMap<String, Tensor>, adapters: &[Adapter], model: &mut Model, prefix: &str) -> usize {
    let mut replaced = 0;
    for (name, tensor) in &mut model.graph.initializers {
        let full = format!("{prefix}{name}");
        let merged = || merged(adapters.iter().find(|adapter| adapter.weight == full)?, tensor, weights);
        if let Some(new) = weights.get(&full).cloned().or_else(merged) {
            *tensor = new;
            replaced += 1;
        }
    }
    replaced
}

/// What a checkpoint was made with and this run is not.
fn differences(skipped: Vec<String>, state: &State, graph: &str, settings: &TrainerSettings) -> Vec<String> {
    let mut differences = skipped;
    if state.graph != graph {
        differences.push("the training graph is not the checkpoint's".to_owned());
    }
    if state.settings != value(settings) {
        differences.push(format!("settings were {} and are {}", state.settings, value(settings)));
    }
    differences
}

fn require_same_parameters(
    parameters: &[Parameter],
    tensors: &BTreeMap<String, Vec<f32>>,
    step: u64,
) -> Result<(), StepError> {
    let expected = parameters.iter().flat_map(|parameter| {
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

fn value(settings: &TrainerSettings) -> serde_json::Value {
    serde_json::to_value(settings).unwrap_or_default()
}

/// A source weight with its trained correction added; `None` if the run did not train it.
fn merged(adapter: &Adapter, source: &Tensor, weights: &IndexMap<String, Tensor>) -> Option<Tensor> {
    let factor = |name: String| weights.get(&name).and_then(Tensor::to_f32);
    let values = adapter.merge(&source.to_f32()?, &factor(adapter.a())?, &factor(adapter.b())?);
    Some(Tensor::f32(&source.shape, &values))
}
