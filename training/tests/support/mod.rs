//! A small regression that every trainer test shares: y = W₂ relu(W₁ x + b), fitted to a fixed random network of the same shape.

#![allow(dead_code, reason = "each test file uses its own part")]

use std::collections::BTreeMap;

use plaudit::runtime::SessionSettings;
use plaudit_onnx::{Attribute, DType, Dim, Model, Node, Tensor, ValueInfo};
use plaudit_training::{
    optim::{AdamWSettings, Schedule},
    random::Random,
    step::{Batch, Selection, TrainGraph, Trainer, TrainerSettings},
};

pub(crate) const BATCH: usize = 8;
pub(crate) const IN: usize = 6;
const HIDDEN: usize = 32;
pub(crate) const OUT: usize = 3;

fn drawn(name: &str, shape: &[usize]) -> Tensor {
    let mut random = Random::stream(0, name);
    let values: Vec<f32> = (0..shape.iter().product()).map(|_| 0.3 * random.normal()).collect();
    Tensor::f32(shape, &values)
}

/// The network and its loss; `x` [batch, 6] and `y` [batch, 3] are fed.
pub(crate) fn regression() -> Model {
    let mut model = Model::new("regression", 18);
    let graph = &mut model.graph;
    let rows = |width| Some(vec![Dim::Named("batch".to_owned()), Dim::Fixed(width)]);
    graph.inputs = [("x", IN), ("y", OUT)]
        .map(|(name, width)| ValueInfo { name: name.to_owned(), dtype: DType::F32, shape: rows(width) })
        .into();
    graph.outputs = ["loss", "bias_size"].map(|name| ValueInfo::fixed(name, DType::F32, &[])).into();
    for (name, shape) in
        [("first.weight", vec![IN, HIDDEN]), ("first.bias", vec![HIDDEN]), ("attn.weight", vec![HIDDEN, OUT])]
    {
        graph.initializers.insert(name.to_owned(), drawn(name, &shape));
    }
    let all = |node: Node| node.with("keepdims", Attribute::Int(0));
    graph.nodes = vec![
        Node::new("MatMul", &["x", "first.weight"], &["xw"]),
        Node::new("Add", &["xw", "first.bias"], &["xwb"]),
        Node::new("Relu", &["xwb"], &["hidden"]),
        Node::new("MatMul", &["hidden", "attn.weight"], &["out"]),
        Node::new("Sub", &["out", "y"], &["error"]),
        Node::new("Mul", &["error", "error"], &["squared"]),
        all(Node::new("ReduceMean", &["squared"], &["loss"])),
        Node::new("Mul", &["first.bias", "first.bias"], &["bias2"]),
        all(Node::new("ReduceSum", &["bias2"], &["bias_size"])),
    ];
    model
}

/// Batches from the run's generator; the targets are what a fixed linear map makes of them.
pub(crate) fn fill(batch: &mut Batch<'_>) {
    batch.fill_normal("x");
    let x = batch.f32("x").to_vec();
    let target = |row: &[f32], k: usize| (0..IN).map(|i| row[i] * ((i * OUT + k) as f32).sin()).sum::<f32>();
    let y: Vec<f32> = x.chunks(IN).flat_map(|row| (0..OUT).map(move |k| target(row, k))).collect();
    batch.f32("y").copy_from_slice(&y);
    *batch.position += BATCH as u64;
}

pub(crate) fn settings() -> TrainerSettings {
    let schedule = Schedule { peak: 1e-2, floor: 1e-4, warmup: 20, total: 2000 };
    let optimiser = AdamWSettings { average: Some(0.99), ..AdamWSettings::default() };
    TrainerSettings { optimiser, ..TrainerSettings::new(schedule) }
}

/// One thread: tests run beside each other.
pub(crate) fn session() -> SessionSettings {
    SessionSettings { threads: 1, spinning: false, ..SessionSettings::default() }
}

pub(crate) fn graph(selection: &Selection, batch: usize) -> TrainGraph {
    TrainGraph::build(regression(), selection, &BTreeMap::from([("batch".to_owned(), batch)]))
        .expect("the regression differentiates")
}

pub(crate) fn trainer(settings: TrainerSettings) -> Trainer {
    Trainer::new(graph(&Selection::All, BATCH), &session(), settings).expect("the regression's graph runs")
}
