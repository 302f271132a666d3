//! Edited graphs compute what they did before the edit, as ONNX Runtime runs them.
#![allow(clippy::unwrap_used)]

use std::path::{Path, PathBuf};

use plaudit::runtime::{Session, SessionSettings};
use plaudit_onnx::{
    DType, Dim, Model, Tensor, ValueInfo,
    edit::{self, Edit, EditError},
};

/// Relative L2 distance where only the order of operations may change.
const EXACT: f64 = 1e-6;
/// Relative L2 distance of an fp16 variant: its rounding, 5e-4 an operation, over tens of layers.
const HALF: f64 = 1e-2;
/// Rows of every batch, and the extent of every other free dimension.
const ROWS: usize = 3;
const FREE: usize = 16;

fn root(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

fn extents(info: &ValueInfo) -> Vec<usize> {
    let extent = |dim: &Dim| match dim {
        Dim::Fixed(extent) => *extent,
        Dim::Named(name) if name.contains("batch") => ROWS,
        Dim::Named(_) | Dim::Unknown => FREE,
    };
    info.shape.iter().flatten().map(extent).collect()
}

/// Numbers of order one; a timestep is the same for every row, and token ids are small.
fn feed(info: &ValueInfo) -> Tensor {
    let shape = if info.name == "timestep" && info.shape != Some(vec![]) { vec![ROWS] } else { extents(info) };
    let count: usize = shape.iter().product();
    let wave = |at: usize| ((at * 37 + info.name.len() * 11) % 101) as f32 / 50.0 - 1.0;
    match (info.name.as_str(), info.dtype) {
        ("timestep", DType::F32) => Tensor::f32(&shape, &vec![611.0; count]),
        ("timestep", _) => Tensor::i64(&shape, &vec![611; count]),
        (_, DType::F32) => Tensor::f32(&shape, &(0..count).map(wave).collect::<Vec<_>>()),
        _ => Tensor::i64(&shape, &(0..count as i64).map(|at| at % 50).collect::<Vec<_>>()),
    }
}

fn run(model: &Model) -> Vec<f32> {
    let mut session = Session::from_model(model, &SessionSettings::default()).unwrap();
    let fed: Vec<_> = model.graph.inputs.iter().map(|info| (info.name.clone(), feed(info))).collect();
    let fed: Vec<_> = fed.iter().map(|(name, tensor)| (name.as_str(), tensor)).collect();
    session.run(&fed).unwrap()[0].to_f32().unwrap()
}

fn distance(ours: &[f32], reference: &[f32]) -> f64 {
    assert_eq!(ours.len(), reference.len());
    let square = |values: &mut dyn Iterator<Item = f32>| values.map(|v| f64::from(v).powi(2)).sum::<f64>();
    let apart = square(&mut ours.iter().zip(reference).map(|(a, b)| a - b));
    (apart / square(&mut reference.iter().copied())).sqrt()
}

type Make = fn(&Model) -> Result<Edit, EditError>;

const TIMESTEP: Make = |model| edit::timestep_per_row(&model.graph, "timestep", "sample");
const ZERO: Make = |model| Ok(edit::zero_additions(&model.graph));
const NAMES: Make = |model| Ok(edit::weight_names(&model.graph));
const HALVES: Make = |model| edit::half_precision(&model.graph, &edit::FULL_PRECISION);

#[test]
fn edits_keep_what_a_graph_computes() {
    let small = "onnx/tests/models";
    let cases = [
        (format!("{small}/attention_legacy.onnx"), ZERO, EXACT),
        (format!("{small}/attention_dynamo.onnx"), ZERO, EXACT),
        (format!("{small}/attention_dynamo.onnx"), HALVES, HALF),
        (format!("{small}/time_scalar_legacy.onnx"), TIMESTEP, EXACT),
        (format!("{small}/time_scalar_dynamo.onnx"), TIMESTEP, EXACT),
        (format!("{small}/time_scalar_legacy.onnx"), HALVES, HALF),
        ("tests/golden/tiny_sd_optimum/unet/model.onnx".to_owned(), TIMESTEP, EXACT),
        ("tests/golden/tiny_sd_optimum/unet/model.onnx".to_owned(), NAMES, EXACT),
        ("tests/golden/tiny_sd/unet/model.onnx".to_owned(), HALVES, HALF),
        ("tests/golden/tiny_sd_optimum/unet/model.onnx".to_owned(), HALVES, HALF),
        ("tests/golden/tiny_sd/text_encoder/model.onnx".to_owned(), HALVES, HALF),
        ("tests/golden/tiny_sd/vae_decoder/model.onnx".to_owned(), HALVES, HALF),
        ("tests/golden/tiny_sd_optimum/vae_encoder/model.onnx".to_owned(), HALVES, HALF),
    ];
    let mut wrong = Vec::new();
    for (path, make, tolerance) in cases {
        let before = Model::read(&root(&path)).unwrap();
        let edit = make(&before).unwrap();
        let mut after = before.clone();
        edit.apply(&mut after).unwrap();
        let found = distance(&run(&after), &run(&before));
        if edit.is_empty() || found.is_nan() || found > tolerance {
            wrong.push(format!("{path}, {}: {found:.1e} after {} steps", edit.label, edit.steps.len()));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}
