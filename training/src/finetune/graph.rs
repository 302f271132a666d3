//! The step's graph and the forward-only graph beside it. Both call the pack's own UNet; every objective is rows of numbers fed to the one loss.

use plaudit_onnx::{
    DType::F32,
    Dim, Model, ValueInfo,
    expr::{BuildError, Builder, Expr},
};

use crate::{
    loss::row_errors,
    step::{LOSS, Lora, Parameter, adapt},
};

/// Inputs of the step beside those of the UNet. n rows of latents `[c, h, w]`; f32.
pub const NOISE: &str = "noise";
/// ε_ref `[n, c, h, w]`.
pub const REFERENCE: &str = "reference";
/// m `[n]`.
pub const MIX: &str = "mix";
/// w `[n]`.
pub const WEIGHT: &str = "weight";
/// γ `[n]`.
pub const ANCHOR: &str = "anchor";
/// λ `[n]`.
pub const KTO_WEIGHT: &str = "kto_weight";
/// s · β_K `[n]`.
pub const KTO_SLOPE: &str = "kto_slope";
/// z₀, a scalar.
pub const BASELINE: &str = "baseline";
/// s `[n]` of guided training; 1 is the conditional prediction.
pub const GUIDANCE: &str = "guidance";
/// Mean of ‖ε_θ − ε‖² over rows, whatever the objective: what divergence is seen by.
pub(super) const NOISE_ERROR: &str = "noise_error";
/// Mean of ‖ε_θ − ε_ref‖² over rows.
pub(super) const ANCHOR_ERROR: &str = "anchor_error";
/// Output of the forward-only graph.
pub const PREDICTION: &str = "prediction";

/// Axes of a latent.
const LATENT_AXES: [i64; 3] = [1, 2, 3];

/// Sizes of one run of a graph.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Shape {
    /// n.
    pub rows: usize,
    /// Channels, height and width of a latent, in cells.
    pub latent: [usize; 3],
    /// Tokens and width of a prompt's features.
    pub features: [usize; 2],
    /// Whether predictions are guided: the UNet then runs on 2 n rows, first those of the empty prompt, and `guidance` is an input.
    pub guided: bool,
}

impl Shape {
    /// Numbers of a latent.
    pub fn cells(&self) -> usize {
        self.latent.iter().product()
    }

    /// Numbers of a prompt's features.
    pub fn words(&self) -> usize {
        self.features.iter().product()
    }

    /// Rows of features that are fed.
    pub fn prompts(&self) -> usize {
        self.rows * if self.guided { 2 } else { 1 }
    }

    fn latents(&self) -> [Dim; 4] {
        let [channels, height, width] = self.latent;
        [self.rows, channels, height, width].map(Dim::Fixed)
    }
}

/// The step: inputs `sample` (x_t), `timestep` `[n]`, `encoder_hidden_states` `[n or 2 n, tokens, width]` and those above; outputs `loss` and what is logged.
///
/// The formula is [`Objective`](super::Objective)'s. Fed wherever a term is not wanted: m = 1, and 0 for w, γ, λ.
///
/// # Errors
/// If the UNet is not one.
pub fn objective_graph(unet: &Model, shape: &Shape) -> Result<Model, BuildError> {
    let b = builder(unet, "finetune");
    let (latents, rows) = (shape.latents(), [Dim::Fixed(shape.rows)]);
    let predicted = predict(&b, unet, shape);
    let [noise, reference] = [NOISE, REFERENCE].map(|name| b.input(name, F32, &latents));
    let [mix, weight, anchor, kto_weight, kto_slope] =
        [MIX, WEIGHT, ANCHOR, KTO_WEIGHT, KTO_SLOPE].map(|name| b.input(name, F32, &rows));
    let baseline = b.input(BASELINE, F32, &[]);

    let mixed = mix.unsqueeze(&LATENT_AXES);
    let target = &mixed * &noise + (1.0 - &mixed) * &reference;
    let weighted = row_errors(&predicted, &target) * weight;

    let apart = row_errors(&predicted, &reference);
    let anchored = &apart * anchor;

    let error = row_errors(&predicted, &noise);
    let gain = row_errors(&reference, &noise) - &error;
    // 1 − σ(x) = σ(−x).
    let judged = (-(kto_slope * (gain - baseline))).sigmoid() * kto_weight;

    b.output(LOSS, &(weighted + anchored + judged).mean_all());
    b.output(NOISE_ERROR, &error.mean_all());
    b.output(ANCHOR_ERROR, &apart.mean_all());
    b.finish()
}

/// The UNet's prediction alone, guided where the step is: inputs as the step's first three, output `prediction` `[n, c, h, w]`.
///
/// # Errors
/// If the UNet is not one.
pub fn forward_graph(unet: &Model, shape: &Shape) -> Result<Model, BuildError> {
    let b = builder(unet, "forward");
    let predicted = predict(&b, unet, shape);
    b.output(PREDICTION, &predicted);
    b.finish()
}

/// The forward-only graph of the weights that are being trained: they are inputs of the trainer's names.
///
/// # Errors
/// If the UNet is not one.
pub fn current_graph(
    unet: &Model,
    shape: &Shape,
    lora: Option<Lora>,
    parameters: &[Parameter],
) -> Result<Model, BuildError> {
    Ok(freed(forward_graph(unet, shape)?, lora, parameters))
}

/// The step's loss without a gradient, of the weights that are being trained: inputs and outputs as [`objective_graph`], and the weights.
///
/// # Errors
/// If the UNet is not one.
pub(super) fn loss_graph(
    unet: &Model,
    shape: &Shape,
    lora: Option<Lora>,
    parameters: &[Parameter],
) -> Result<Model, BuildError> {
    Ok(freed(objective_graph(unet, shape)?, lora, parameters))
}

/// Makes inputs of weights that are being trained.
fn freed(mut model: Model, lora: Option<Lora>, parameters: &[Parameter]) -> Model {
    if let Some(lora) = lora {
        adapt(&mut model.graph, lora);
    }
    for Parameter { name, shape, .. } in parameters {
        model.graph.initializers.shift_remove(name);
        model.graph.inputs.retain(|input| &input.name != name);
        model.graph.inputs.push(ValueInfo::fixed(name.clone(), F32, shape));
    }
    model
}

fn builder(unet: &Model, name: &str) -> Builder {
    Builder::new(name, unet.opsets.get("").copied().unwrap_or_default())
}

/// ε_θ(x_t, t, z), or with guidance ε_∅ + s (ε_z − ε_∅) (Ho and Salimans 2022, eq. 6).
fn predict(b: &Builder, unet: &Model, shape: &Shape) -> Expr {
    let sample = b.input("sample", F32, &shape.latents());
    let timestep = b.input("timestep", F32, &[Dim::Fixed(shape.rows)]);
    let [tokens, width] = shape.features;
    let text = b.input("encoder_hidden_states", F32, &[shape.prompts(), tokens, width].map(Dim::Fixed));
    let call = |sample: Expr, timestep: Expr| {
        b.call(unet, "", &[("sample", sample), ("timestep", timestep), ("encoder_hidden_states", text.clone())])
            .remove(0)
    };
    if !shape.guided {
        return call(sample, timestep);
    }
    let scale = b.input(GUIDANCE, F32, &[Dim::Fixed(shape.rows)]).unsqueeze(&LATENT_AXES);
    let twice = |value: &Expr| b.concat(&[value.clone(), value.clone()], 0);
    let both = call(twice(&sample), twice(&timestep));
    let (empty, prompted) = (both.slice(0, 0, shape.rows as i64), both.slice(0, shape.rows as i64, i64::MAX));
    &empty + (prompted - &empty) * scale
}
