//! The reference models of `training/tests/golden` through the runtime, as exported and specialised.
#![allow(clippy::unwrap_used)]

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

use plaudit::runtime::{BoundSession, Session, SessionSettings, specialise};
use plaudit_onnx::{DType, Dim, Model, Tensor, ValueInfo};
use safetensors::SafeTensors;

/// Relative L2 distance of an fp32 forward pass from the f64 one.
const TOLERANCE: f64 = 1e-5;

/// Values of a case by name, `input/…` or `output/…`.
fn case(folder: &Path, prefix: &str) -> BTreeMap<String, Tensor> {
    let bytes = fs::read(folder.join("case.safetensors")).unwrap();
    let file = SafeTensors::deserialize(&bytes).unwrap();
    let tensor = |name: &String| {
        let view = file.tensor(name).unwrap();
        Tensor::new(DType::from_safetensors(view.dtype()).unwrap(), view.shape(), view.data().to_vec())
    };
    let named = file.names().into_iter().filter_map(|name| Some((name.strip_prefix(prefix)?, name)));
    named.map(|(short, name)| (short.to_owned(), tensor(&name.to_owned()))).collect()
}

fn folders() -> Vec<PathBuf> {
    let golden = Path::new(env!("CARGO_MANIFEST_DIR")).join("training/tests/golden");
    let models = ["unet", "vae_encoder", "vae_decoder", "clip_text", "clip_vision"];
    models.iter().flat_map(|model| ["dynamo", "legacy"].map(|exporter| golden.join(model).join(exporter))).collect()
}

fn distance(ours: &[f32], reference: &Tensor) -> f64 {
    let reference = reference.to_f32().unwrap();
    assert_eq!(ours.len(), reference.len());
    let square = |values: &mut dyn Iterator<Item = f32>| values.map(|v| f64::from(v).powi(2)).sum::<f64>();
    let apart = square(&mut ours.iter().zip(&reference).map(|(a, b)| a - b));
    (apart / square(&mut reference.iter().copied())).sqrt()
}

/// Sizes of the free dimensions, from the inputs that a case feeds.
fn dims(model: &Model, inputs: &BTreeMap<String, Tensor>) -> BTreeMap<String, usize> {
    let of_input = |info: &ValueInfo| info.shape.clone().unwrap().into_iter().zip(inputs[&info.name].shape.clone());
    let named = |(dim, size): (Dim, usize)| match dim {
        Dim::Named(name) => Some((name, size)),
        Dim::Fixed(_) | Dim::Unknown => None,
    };
    model.graph.inputs.iter().flat_map(|info| of_input(info).filter_map(named).collect::<Vec<_>>()).collect()
}

/// Moves the parameters, which are the initializers with a reference gradient, to the inputs, as training does.
fn promote(model: &mut Model, gradients: &BTreeMap<String, Tensor>) -> BTreeMap<String, Tensor> {
    let initializers = std::mem::take(&mut model.graph.initializers);
    let (weights, rest): (Vec<_>, Vec<_>) =
        initializers.into_iter().partition(|(name, _)| gradients.contains_key(name));
    model.graph.initializers = rest.into_iter().collect();
    let weights: BTreeMap<String, Tensor> = weights.into_iter().collect();
    let infos = weights.iter().map(|(name, tensor)| ValueInfo::fixed(name, DType::F32, &tensor.shape));
    model.graph.inputs.extend(infos);
    weights
}

#[test]
fn exported_graphs_answer_what_pytorch_does() {
    for folder in folders() {
        let mut session = Session::open(&folder.join("model.onnx"), &SessionSettings::default()).unwrap();
        let inputs = case(&folder, "input/");
        let fed: Vec<_> = inputs.iter().map(|(name, tensor)| (name.as_str(), tensor)).collect();
        let answers = session.run(&fed).unwrap();
        let expected = case(&folder, "output/");
        for (info, answer) in session.outputs().iter().zip(&answers) {
            let found = distance(&answer.to_f32().unwrap(), &expected[&info.name]);
            assert!(found < TOLERANCE, "{} {}: {found:.1e}", folder.display(), info.name);
        }
    }
}

#[test]
fn specialised_graphs_with_promoted_parameters_answer_the_same_and_know_every_shape() {
    for folder in folders() {
        let mut model = Model::read(&folder.join("model.onnx")).unwrap();
        let inputs = case(&folder, "input/");
        let dims = dims(&model, &inputs);
        let weights = promote(&mut model, &case(&folder, "grad/"));
        let fixed = specialise(&model, &dims).unwrap();
        let outputs = fixed.graph.nodes.iter().flat_map(|node| &node.outputs);
        for name in outputs.filter(|name| !name.is_empty()) {
            let declared = fixed.graph.outputs.iter().find(|info| info.name == *name);
            let shape = fixed.graph.values.get(name).or(declared).and_then(ValueInfo::static_shape);
            assert!(shape.is_some(), "{} {name}", folder.display());
        }
        let session = Session::from_model(&fixed, &SessionSettings::default()).unwrap();
        let mut bound = BoundSession::new(session).unwrap();
        for (name, tensor) in weights.iter().chain(&inputs) {
            match tensor.dtype {
                DType::I64 => bound.buffer_mut(name).copy_from_slice(&tensor.to_i64().unwrap()),
                _ => bound.buffer_mut(name).copy_from_slice(&tensor.to_f32().unwrap()),
            }
        }
        bound.run().unwrap();
        for (name, reference) in case(&folder, "output/") {
            let found = distance(bound.buffer(&name), &reference);
            assert!(found < TOLERANCE, "{} {name}: {found:.1e}", folder.display());
        }
    }
}
