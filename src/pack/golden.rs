//! One small call of each component, and what it answered when the pack was made.
//!
//! ONNX Runtime does not notice damaged weights: of 400 single flipped bits 193 changed the output silently. Hashes find
//! damaged files; golden outputs find a runtime, a device or a variant that computes something else.
//!
//! Inputs follow a formula and are not stored: element i of a float input is sin(0.7 (i + 1)), token i is
//! (7 i + 3) mod 100, and row r has timestep 1 + 333 r.

use std::{collections::BTreeMap, fs, path::Path};

use plaudit_onnx::{Bytes, DType, Dim, Model, Tensor, ValueInfo};
use safetensors::{SafeTensorError, SafeTensors, tensor::TensorView};

use super::{Component, component::Axis, component::Port};
use crate::runtime::{RuntimeError, Session, SessionSettings};

/// The golden outputs' file name, at the top of a pack.
pub const GOLDEN: &str = "golden.safetensors";

/// Largest relative L2 distance in fp32: kernels differ in the order of their sums, which costs about 1e-6.
pub const TOLERANCE_F32: f64 = 1e-4;

/// The same in fp16, whose numbers have 11 bits: about 5e-4 each, and layers add up.
pub const TOLERANCE_F16: f64 = 2e-2;

/// Two rows show that rows are kept apart.
const ROWS: usize = 2;
/// The smallest side that three halvings leave whole.
const CELLS: usize = 8;
/// Eight pixels a cell at most.
const PIXELS: usize = 64;
/// Text positions where the graph leaves them free.
const TOKENS: usize = 7;

/// A component's inputs at small size, made by the formula.
pub fn inputs(component: Component, model: &Model) -> Vec<(String, Tensor)> {
    let ports = component.signature().inputs;
    let info = |port: &Port| model.graph.inputs.iter().find(|info| info.name == port.name);
    ports.iter().map(|port| (port.name.to_owned(), by_formula(port, &extents(port, info(port))))).collect()
}

fn extents(port: &Port, info: Option<&ValueInfo>) -> Vec<usize> {
    let dims = info.and_then(|info| info.shape.as_deref()).unwrap_or_default();
    let extent = |(index, axis): (usize, &Axis)| match (dims.get(index), axis) {
        (Some(Dim::Fixed(extent)), _) => *extent,
        (_, Axis::Batch) => ROWS,
        (_, Axis::Cells) => CELLS,
        (_, Axis::Pixels) => PIXELS,
        (_, Axis::Tokens) => TOKENS,
        // Structure checks have refused a graph that leaves these free.
        (_, Axis::Channels) => 1,
    };
    port.axes.iter().enumerate().map(extent).collect()
}

fn by_formula(port: &Port, shape: &[usize]) -> Tensor {
    let count: usize = shape.iter().product();
    if port.dtype == DType::I64 {
        let ids: Vec<i64> = (0..count as i64).map(|i| (7 * i + 3) % 100).collect();
        return Tensor::i64(shape, &ids);
    }
    let wave = |i: usize| (0.7 * (i as f64 + 1.0)).sin() as f32;
    let time = |row: usize| 1.0 + 333.0 * row as f32;
    let values: Vec<f32> =
        if port.axes == [Axis::Batch] { (0..count).map(time).collect() } else { (0..count).map(wave).collect() };
    Tensor::f32(shape, &values)
}

/// What a component answers, by `component/output`.
///
/// # Errors
/// If the graph cannot be loaded or run.
pub fn answers(
    component: Component,
    model: &Model,
    settings: &SessionSettings,
) -> Result<BTreeMap<String, Tensor>, RuntimeError> {
    // One call: threads that wait busily for a second one would only slow others.
    let settings = SessionSettings { spinning: false, ..settings.clone() };
    let mut session = Session::from_model(model, &settings)?;
    let inputs = inputs(component, model);
    let fed: Vec<_> = inputs.iter().map(|(name, tensor)| (name.as_str(), tensor)).collect();
    let outputs = session.run(&fed)?;
    let names = session.outputs().iter().map(|info| format!("{component}/{}", info.name));
    let wanted =
        |name: &str| component.signature().outputs.iter().any(|port| name == format!("{component}/{}", port.name));
    Ok(names.zip(outputs).filter(|(name, _)| wanted(name)).collect())
}

/// ‖a − b‖ / ‖b‖ over the elements as f64; infinite where shapes or types differ.
pub fn distance(ours: &Tensor, golden: &Tensor) -> f64 {
    let (Some(a), Some(b)) = (ours.to_f32(), golden.to_f32()) else {
        return if ours == golden { 0.0 } else { f64::INFINITY };
    };
    if ours.shape != golden.shape {
        return f64::INFINITY;
    }
    let square = |values: &mut dyn Iterator<Item = f64>| values.map(|v| v * v).sum::<f64>();
    let apart = square(&mut a.iter().zip(&b).map(|(a, b)| f64::from(*a) - f64::from(*b)));
    let size = square(&mut b.iter().map(|b| f64::from(*b)));
    let relative = (apart / size).sqrt();
    if apart == 0.0 {
        0.0
    } else if relative.is_nan() {
        f64::INFINITY
    } else {
        relative
    }
}

/// The largest distance over a component's outputs.
pub(super) fn farthest(answers: &BTreeMap<String, Tensor>, expected: &BTreeMap<String, Tensor>) -> f64 {
    let one = |(name, tensor)| expected.get(name).map_or(f64::INFINITY, |golden| distance(tensor, golden));
    answers.iter().map(one).fold(0.0, f64::max)
}

/// Writes golden outputs into a pack.
pub(crate) fn write(folder: &Path, tensors: &BTreeMap<String, Tensor>) -> std::io::Result<()> {
    let view = |(name, tensor)| view(tensor).map(|view| (name, view));
    let views = tensors.iter().map(view).collect::<Result<Vec<_>, _>>().map_err(std::io::Error::other)?;
    let bytes = safetensors::serialize(views, None).map_err(std::io::Error::other)?;
    fs::write(folder.join(GOLDEN), bytes)
}

fn view(tensor: &Tensor) -> Result<TensorView<'_>, SafeTensorError> {
    TensorView::new(tensor.dtype.safetensors(), tensor.shape.clone(), &tensor.data)
}

/// Reads a pack's golden outputs.
pub(crate) fn read(folder: &Path) -> Result<BTreeMap<String, Tensor>, String> {
    let bytes = fs::read(folder.join(GOLDEN)).map_err(|error| error.to_string())?;
    let file = SafeTensors::deserialize(&bytes).map_err(|error| error.to_string())?;
    let tensor = |(name, view): (String, TensorView<'_>)| {
        let dtype =
            DType::from_safetensors(view.dtype()).ok_or_else(|| format!("{name} has type {:?}", view.dtype()))?;
        Ok((name, Tensor { dtype, shape: view.shape().to_vec(), data: Bytes::Owned(view.data().into()) }))
    };
    file.tensors().into_iter().map(tensor).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn distance_is_relative_and_notices_shape_type_and_not_a_number() {
        let tensor = |values: &[f32]| Tensor::f32(&[values.len()], values);
        let cases = [
            (tensor(&[3.0, 4.0]), tensor(&[3.0, 4.0]), 0.0),
            (tensor(&[3.0, 4.5]), tensor(&[3.0, 4.0]), 0.1),
            (tensor(&[0.0, 0.0]), tensor(&[0.0, 0.0]), 0.0),
            (tensor(&[1.0, 0.0]), tensor(&[0.0, 0.0]), f64::INFINITY),
            (tensor(&[f32::NAN, 0.0]), tensor(&[1.0, 0.0]), f64::INFINITY),
            (tensor(&[1.0]), tensor(&[1.0, 0.0]), f64::INFINITY),
            (Tensor::i64(&[1], &[1]), tensor(&[1.0]), f64::INFINITY),
        ];
        for (ours, golden, expected) in cases {
            let found = distance(&ours, &golden);
            assert!(found == expected || (found - expected).abs() < 1e-12, "{ours:?}: {found} instead of {expected}");
        }
    }

    #[test]
    fn golden_outputs_read_back() {
        let folder = tempfile::tempdir().unwrap();
        let tensors = BTreeMap::from([
            ("unet/out_sample".to_owned(), Tensor::f32(&[2, 1], &[1.0, -2.0])),
            ("safety_checker/has_nsfw_concepts".to_owned(), Tensor::new(DType::Bool, &[2], vec![0, 1])),
        ]);
        write(folder.path(), &tensors).unwrap();
        assert_eq!(read(folder.path()).unwrap(), tensors);
    }
}
