//! AdamW as a graph, for devices where weights, gradients and moments stay in device memory.
//!
//! The same update as [`AdamW::update`](super::AdamW::update), written with expressions. Outputs are new tensors, not updates in place: a step reads one set of
//! device tensors and writes another, and the sets change roles, since ONNX Runtime promises nothing about inputs and outputs that share memory.
//! On a CPU the fused pass is the one to use: as graph nodes the update made a step three times as long.

use plaudit_onnx::{
    DType, Dim, Model,
    expr::{BuildError, Builder, Expr},
};

use super::AdamWSettings;

/// The scalars that change from step to step, as inputs of the graph; the names are [`AdamW`](super::AdamW)'s fields.
pub const SCALARS: [&str; 4] = ["decay", "step_size", "second_scale", "average_rate"];
/// The output with the mean gradient's norm before clipping.
pub const GRAD_NORM: &str = "grad_norm";
/// First operator set with everything used here.
const OPSET: i64 = 18;
/// Keeps the clipping factor finite for a gradient of zero.
const TINY: f32 = 1e-30;

/// A parameter in the update graph.
#[derive(Debug, Clone, PartialEq)]
pub struct Updated {
    /// Its name.
    pub name: String,
    /// Its shape.
    pub shape: Vec<usize>,
    /// Whether it decays.
    pub decays: bool,
}

/// The update of all parameters for gradients that are sums over `micro_batches`.
///
/// Inputs for each parameter p, of its shape: `weight/p`, `grad/p`, `first/p`, `second/p`, and `average/p` where one is kept; and the [`SCALARS`].
/// Outputs: `new/weight/p`, `new/first/p`, `new/second/p`, `new/average/p`, and [`GRAD_NORM`].
///
/// # Errors
/// If two parameters share a name.
pub fn update_graph(
    parameters: &[Updated],
    settings: &AdamWSettings,
    micro_batches: usize,
) -> Result<Model, BuildError> {
    let builder = Builder::new("adamw", OPSET);
    let scalars = SCALARS.map(|name| builder.input(name, DType::F32, &[]));
    let gradients: Vec<Expr> = parameters.iter().map(|parameter| input(&builder, "grad", parameter)).collect();
    let squares = gradients.iter().map(|gradient| gradient.square().sum_all());
    let sum = squares.reduce(|sum, square| sum + square).unwrap_or_else(|| builder.constant(0.0));
    let norm = sum.sqrt() * (1.0 / micro_batches as f32);
    builder.output(GRAD_NORM, &norm);
    let one = builder.constant(1.0);
    let clip = settings.clip_norm.map_or(one.clone(), |limit| (limit / (norm + TINY)).minimum(&one));
    let scale = clip * (1.0 / micro_batches as f32);
    for (parameter, gradient) in parameters.iter().zip(gradients) {
        update(&builder, parameter, settings, &(gradient * &scale), &scalars);
    }
    builder.finish()
}

fn input(builder: &Builder, kind: &str, parameter: &Updated) -> Expr {
    let dims: Vec<Dim> = parameter.shape.iter().map(|&extent| Dim::Fixed(extent)).collect();
    builder.input(&format!("{kind}/{}", parameter.name), DType::F32, &dims)
}

/// One parameter's formulas; `gradient` is scaled already.
fn update(
    builder: &Builder,
    parameter: &Updated,
    settings: &AdamWSettings,
    gradient: &Expr,
    [decay, step_size, second_scale, average_rate]: &[Expr; 4],
) {
    let [weight, first, second] = ["weight", "first", "second"].map(|kind| input(builder, kind, parameter));
    let first = &first + (gradient - &first) * (1.0 - settings.beta1);
    let second = second * settings.beta2 + gradient.square() * (1.0 - settings.beta2);
    let kept = if parameter.decays { weight * decay } else { weight };
    let weight = kept - step_size * &first / (second.sqrt() * second_scale + settings.epsilon);
    let output = |kind: &str, value: &Expr| builder.output(&format!("new/{kind}/{}", parameter.name), value);
    output("weight", &weight);
    output("first", &first);
    output("second", &second);
    if settings.average.is_some() {
        let average = input(builder, "average", parameter);
        output("average", &(&average + (&weight - &average) * average_rate));
    }
}
