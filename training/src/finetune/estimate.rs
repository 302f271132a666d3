//! What a run will take, before it starts: memory from the graph, time from one step that changes nothing.

use std::collections::HashMap;

use plaudit::swap::free_memory;
use plaudit_onnx::{Graph, Model, ValueInfo};

use super::{Finetune, FinetuneError};
use crate::step::TrainGraph;

const MIB: f64 = (1 << 20) as f64;
/// The runtime itself, encoders and prompts, in bytes.
const BASE: u64 = 200 << 20;
/// What the runtime's arenas hold for a number that is alive: they grow by doubling and do not close gaps. Measured on the miniature, whose run of
/// 16 rows took 695 MiB at most where numbers alone make 546.
const ARENA: f64 = 1.8;
/// Bytes of a number.
const F32: u64 = 4;
/// Copies of a trained weight beside the one that is run: gradient, and AdamW's two moments.
const STATE: u64 = 3;

/// Bytes, by what they are for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Memory {
    /// Weights as they run, and what the optimiser keeps of them.
    pub(super) weights: u64,
    /// Intermediate values of the step at its fullest moment.
    pub(super) activations: u64,
    /// Forward-only sessions and the pack that draws sheets.
    pub(super) beside: u64,
}

impl Memory {
    /// Of a step whose micro-batches run side by side in `lanes`, and `forwards` sessions without a gradient.
    pub(super) fn of(settings: &Finetune, graph: &TrainGraph, lanes: usize, forwards: usize, sheets: u64) -> Self {
        let lanes = lanes as u64;
        let trained: u64 = graph.parameters().iter().map(|parameter| bytes(&parameter.shape)).sum();
        let frozen = weights(graph.model());
        let sums = u64::from(settings.micro_batches > 1) + u64::from(settings.average.is_some());
        let activations = (peak(&graph.model().graph) as f64 * ARENA) as u64;
        // A forward pass keeps only what its next operators read.
        let forward = trained + frozen + activations / 4;
        Self {
            weights: lanes * (2 * trained + frozen) + (STATE - 1 + sums) * trained,
            activations: lanes * activations,
            beside: forwards as u64 * forward + sheets,
        }
    }

    /// All of it.
    pub(super) fn total(&self) -> u64 {
        self.weights + self.activations + self.beside + BASE
    }

    fn detail(&self) -> String {
        let mib = |bytes: u64| format!("{:.0}", bytes as f64 / MIB);
        format!(
            "weights and optimiser {}, step {}, reference and sheets {}, all else {}",
            mib(self.weights),
            mib(self.activations),
            mib(self.beside),
            mib(BASE)
        )
    }

    /// Compares with what is free.
    pub(super) fn admit(&self, settings: &Finetune) -> Result<(), FinetuneError> {
        let needed = self.total();
        let Some(available) = settings.memory_limit.or_else(free_memory) else { return Ok(()) };
        tracing::info!(
            "memory: about {:.0} MiB of {:.0} ({})",
            needed as f64 / MIB,
            available as f64 / MIB,
            self.detail()
        );
        if needed <= available || settings.force {
            return Ok(());
        }
        Err(FinetuneError::Memory { needed, available, detail: self.detail() })
    }
}

/// Compares the time that is left with what is allowed. `seconds_a_step` was measured.
pub(super) fn admit_time(settings: &Finetune, done: u64, seconds_a_step: f64) -> Result<(), FinetuneError> {
    const HOUR: f64 = 3600.0;
    let steps = settings.steps.saturating_sub(done);
    let estimated = seconds_a_step * steps as f64;
    tracing::info!("time: about {:.2} hours for {steps} steps at {seconds_a_step:.2} s", estimated / HOUR);
    match settings.most_time {
        Some(most) if estimated > most.as_secs_f64() && !settings.force => {
            Err(FinetuneError::Time { steps, seconds_a_step, estimated, allowed: most.as_secs_f64() })
        }
        _ => Ok(()),
    }
}

/// Bytes of a session that keeps what it needs for a gradient.
pub(super) fn session(model: &Model) -> u64 {
    weights(model) + (peak(&model.graph) as f64 * ARENA) as u64
}

/// Bytes of a model's weights.
pub(super) fn weights(model: &Model) -> u64 {
    model.graph.initializers.values().map(|tensor| tensor.data.len() as u64).sum()
}

fn bytes(shape: &[usize]) -> u64 {
    shape.iter().map(|&extent| extent as u64).product::<u64>() * F32
}

/// Bytes of intermediate values at the moment when most are alive: a value lives from its operator to the last that reads it.
///
/// Inputs, weights and results have buffers of their own and do not count.
pub(super) fn peak(graph: &Graph) -> u64 {
    let size = |info: &ValueInfo| {
        info.static_shape()
            .map_or(0, |shape| shape.iter().map(|&n| n as u64).product::<u64>() * info.dtype.size() as u64)
    };
    let results: std::collections::HashSet<&str> = graph.outputs.iter().map(|output| output.name.as_str()).collect();
    let mut last: HashMap<&str, usize> = HashMap::new();
    for (at, node) in graph.nodes.iter().enumerate() {
        last.extend(node.inputs.iter().map(|name| (name.as_str(), at)));
    }
    let mut ends: HashMap<usize, Vec<u64>> = HashMap::new();
    let (mut alive, mut most) = (0_u64, 0_u64);
    for (at, node) in graph.nodes.iter().enumerate() {
        for name in node.outputs.iter().filter(|name| !results.contains(name.as_str())) {
            let bytes = graph.values.get(name).map_or(0, size);
            if let Some(&end) = last.get(name.as_str()) {
                alive += bytes;
                ends.entry(end).or_default().push(bytes);
            }
        }
        most = most.max(alive);
        alive -= ends.remove(&at).unwrap_or_default().iter().sum::<u64>();
    }
    most
}

#[cfg(test)]
mod tests {
    use plaudit_onnx::{DType, Node};

    use super::*;

    #[test]
    fn values_count_from_their_operator_to_their_last_reader() {
        let mut graph = Graph { outputs: vec![ValueInfo::fixed("d", DType::F32, &[100])], ..Graph::default() };
        graph.nodes = vec![
            Node::new("Exp", &["x"], &["a"]),
            Node::new("Exp", &["a"], &["b"]),
            Node::new("Add", &["a", "b"], &["c"]),
            Node::new("Exp", &["c"], &["d"]),
        ];
        for (name, extent) in [("a", 10), ("b", 20), ("c", 5)] {
            graph.values.insert(name.into(), ValueInfo::fixed(name, DType::F32, &[extent]));
        }
        assert_eq!(peak(&graph), 4 * (10 + 20 + 5));
    }
}
