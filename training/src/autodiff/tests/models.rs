//! Whole models against PyTorch autograd: UNet, autoencoder, and both CLIP towers, from both of PyTorch's exporters.
//!
//! Fixtures: `training/tests/golden`, written by `tests/golden/scripts/gradients.py`.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use plaudit::runtime::{Session, SessionSettings, specialise};
use plaudit_onnx::{Attribute, DType, Dim, Model, Node, Tensor, ValueInfo};
use safetensors::SafeTensors;

use crate::autodiff::backward;

/// ‖Δ‖ / max(‖g‖, [`FLOOR`]·‖G‖) of a parameter, where G is the whole gradient.
const TOLERANCE: f64 = 1e-4;
const FLOOR: f64 = 1e-6;
/// Key projections' biases have gradient zero: a softmax does not see a shift. In single precision rounding remains, and
/// PyTorch's own f32 autograd measures 1e-3 to 6e-3 on these cases.
const ZERO_TOLERANCE: f64 = 1e-2;
/// ‖g‖ / ‖G‖ of the f64 reference below which a gradient is zero.
const ZERO: f64 = 1e-9;

type Tensors = BTreeMap<String, Tensor>;

/// A model, the tensors of its case, by kind.
struct Golden {
    model: Model,
    inputs: Tensors,
    cotangents: Tensors,
    gradients: Tensors,
}

impl Golden {
    fn read(folder: &Path) -> Self {
        let bytes = std::fs::read(folder.join("case.safetensors")).unwrap();
        let file = SafeTensors::deserialize(&bytes).unwrap();
        let of = |kind: &str| {
            let named = |name: &str| Some((name.strip_prefix(kind)?.to_owned(), tensor(&file, name)));
            file.names().into_iter().filter_map(named).collect()
        };
        let model = Model::read(&folder.join("model.onnx")).unwrap();
        Self { model, inputs: of("input/"), cotangents: of("cotangent/"), gradients: of("grad/") }
    }

    /// Σ output·cotangent as the model's one output, its parameters and cotangents as inputs, all shapes fixed.
    fn prepared(&self) -> (Model, Tensors) {
        let mut model = self.model.clone();
        let graph = &mut model.graph;
        let mut fed = self.inputs.clone();
        for name in self.gradients.keys().filter(|name| !self.inputs.contains_key(*name)) {
            let tensor = graph.initializers.shift_remove(name).unwrap_or_else(|| panic!("{name} is no initializer"));
            graph.inputs.push(ValueInfo::fixed(name.clone(), tensor.dtype, &tensor.shape));
            fed.insert(name.clone(), tensor);
        }
        let mut terms = Vec::new();
        for (output, cotangent) in &self.cotangents {
            let [weight, weighted, term] = ["weight", "weighted", "term"].map(|part| format!("{part}/{output}"));
            graph.inputs.push(ValueInfo::fixed(weight.clone(), DType::F32, &cotangent.shape));
            fed.insert(weight.clone(), cotangent.clone());
            graph.nodes.push(Node::new("Mul", &[output, &weight], &[&weighted]));
            graph.nodes.push(Node::new("ReduceSum", &[&weighted], &[&term]).with("keepdims", Attribute::Int(0)));
            terms.push(term);
        }
        let terms: Vec<&str> = terms.iter().map(String::as_str).collect();
        graph.nodes.push(Node::new("Sum", &terms, &["loss"]));
        graph.outputs = vec![ValueInfo::fixed("loss", DType::F32, &[])];
        (specialise(&model, &self.dims()).unwrap(), fed)
    }

    /// The free dimensions' sizes in this case.
    fn dims(&self) -> BTreeMap<String, usize> {
        let sizes = |info: &ValueInfo| {
            let tensor = &self.inputs[&info.name];
            let named = |(dim, &size): (&Dim, &usize)| match dim {
                Dim::Named(name) => Some((name.clone(), size)),
                Dim::Fixed(_) | Dim::Unknown => None,
            };
            info.shape.iter().flatten().zip(&tensor.shape).filter_map(named).collect::<Vec<_>>()
        };
        self.model.graph.inputs.iter().filter(|info| self.inputs.contains_key(&info.name)).flat_map(sizes).collect()
    }
}

fn tensor(file: &SafeTensors, name: &str) -> Tensor {
    let view = file.tensor(name).unwrap();
    let dtype = match view.dtype() {
        safetensors::Dtype::I64 => DType::I64,
        _ => DType::F32,
    };
    Tensor::new(dtype, view.shape(), view.data().to_vec())
}

fn norm(values: &[f32]) -> f64 {
    values.iter().map(|&x| f64::from(x).powi(2)).sum::<f64>().sqrt()
}

/// A parameter's error, and the error allowed.
struct Error {
    parameter: String,
    error: f64,
    allowed: f64,
}

impl Error {
    fn of(parameter: &str, expected: &[f32], ours: &[f32], whole: f64) -> Self {
        let delta: Vec<f32> = expected.iter().zip(ours).map(|(a, b)| a - b).collect();
        let error = norm(&delta) / norm(expected).max(FLOOR * whole);
        let allowed = if norm(expected) < ZERO * whole { ZERO_TOLERANCE } else { TOLERANCE };
        Self { parameter: parameter.to_owned(), error, allowed }
    }
}

/// The errors of all of a case's gradients, computed in one run.
fn errors(folder: &Path) -> Vec<Error> {
    let golden = Golden::read(folder);
    let (mut model, fed) = golden.prepared();
    let wrt: Vec<String> = golden.gradients.keys().cloned().collect();
    backward(&mut model.graph, "loss", &wrt).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    let settings = SessionSettings { threads: 1, ..SessionSettings::default() };
    let mut session = Session::from_model(&model, &settings).unwrap();
    let fed: Vec<(&str, &Tensor)> = fed.iter().map(|(name, tensor)| (name.as_str(), tensor)).collect();
    let results = session.run(&fed).unwrap();
    let values = |tensor: &Tensor| tensor.to_f32().unwrap();
    let whole = golden.gradients.values().map(|g| norm(&values(g)).powi(2)).sum::<f64>().sqrt();
    let error = |(name, ours): (&String, _)| Error::of(name, &values(&golden.gradients[name]), &values(ours), whole);
    wrt.iter().zip(&results[1..]).map(error).collect()
}

fn check(model: &str) {
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/golden").join(model);
    for exporter in ["dynamo", "legacy"] {
        let errors = errors(&root.join(exporter));
        let nonzero = errors.iter().filter(|error| error.allowed == TOLERANCE);
        let worst = nonzero.max_by(|a, b| a.error.total_cmp(&b.error)).unwrap();
        println!("{model}/{exporter}: {} gradients, worst {:.1e} ({})", errors.len(), worst.error, worst.parameter);
        let off = errors.iter().filter(|e| e.error > e.allowed || e.error.is_nan());
        let off: Vec<_> = off.map(|e| format!("{} is off by {:.1e}", e.parameter, e.error)).collect();
        assert!(off.is_empty(), "{model}/{exporter}:\n{}", off.join("\n"));
    }
}

#[test]
fn unet_gradients_equal_autograds() {
    check("unet");
}

#[test]
fn vae_encoder_gradients_equal_autograds() {
    check("vae_encoder");
}

#[test]
fn vae_decoder_gradients_equal_autograds() {
    check("vae_decoder");
}

#[test]
fn clip_text_gradients_equal_autograds() {
    check("clip_text");
}

#[test]
fn clip_vision_gradients_equal_autograds() {
    check("clip_vision");
}
