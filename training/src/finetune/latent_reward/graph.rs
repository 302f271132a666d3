//! The network: the denoiser down to its smallest maps, and a head that says whether the picture that will come of it is going to be liked.

use std::collections::BTreeMap;

use indexmap::IndexMap;
use plaudit::runtime::specialise;
use plaudit_onnx::{
    DType::F32,
    Dim, Model, Tensor, ValueInfo,
    expr::{BuildError, Builder, Expr},
};

use crate::{
    finetune::{FinetuneError, graph::Shape},
    init::{Init, Rule},
    step::LOSS,
};

/// Inputs beside the denoiser's own three: y `[n]`, the share of thumbs up, and w `[n]`.
pub(super) const LABEL: &str = "label";
pub(super) const WEIGHT: &str = "weight";
/// What the gradient is taken by.
pub(super) const SAMPLE: &str = "sample";
/// Output `[n]`: logits of a thumb up.
pub(super) const LOGIT: &str = "logit";

/// Width of the head's hidden layer.
const HIDDEN: usize = 256;
/// Keeps a standard deviation from being 0.
const EPSILON: f32 = 1e-5;
/// The map, while its size is looked for.
const MAP: &str = "map";
/// Names of the head's weights.
const LAYERS: [&str; 2] = ["latent_reward.hidden", "latent_reward.logit"];

/// A network before it is a graph of a size.
#[derive(Debug, Clone)]
pub(super) struct Network {
    /// The denoiser's first half; its output is the map.
    trunk: Model,
    head: IndexMap<String, Tensor>,
}

impl Network {
    /// `None` where the denoiser has no turn: nothing in it is enlarged.
    ///
    /// A U-Net's maps are smallest just before it first enlarges one.
    pub(super) fn of(unet: &Model, shape: &Shape, seed: u64) -> Result<Option<Self>, FinetuneError> {
        let enlarging = unet.graph.nodes.iter().find(|node| node.op == "Resize");
        let Some(turn) = enlarging.and_then(|node| node.inputs.first()) else { return Ok(None) };
        let mut trunk = unet.clone();
        trunk.graph.outputs = vec![ValueInfo { name: turn.clone(), dtype: F32, shape: None }];
        trunk.graph.prune();
        let Some(channels) = channels(&trunk, shape)? else { return Ok(None) };
        let from = 2 * channels + shape.features[1];
        let draw = |name: String, shape: Vec<usize>, init| (name.clone(), Rule { name, shape, init }.draw(seed));
        let bound = Init::Uniform { bound: 1.0 / (from as f32).sqrt() };
        // The last layer is zero: the first answer is a half for every picture.
        let head = [
            draw(format!("{}.weight", LAYERS[0]), vec![from, HIDDEN], bound),
            draw(format!("{}.bias", LAYERS[0]), vec![HIDDEN], bound),
            draw(format!("{}.weight", LAYERS[1]), vec![HIDDEN, 1], Init::Zeros),
            draw(format!("{}.bias", LAYERS[1]), vec![1], Init::Zeros),
        ];
        Ok(Some(Self { trunk, head: head.into_iter().collect() }))
    }

    /// What is trained: the votes' cross-entropy, `L = −mean w (y ln σ(z) + (1 − y) ln σ(−z))`.
    pub(super) fn objective(&self, shape: &Shape) -> Result<Model, BuildError> {
        let b = self.builder();
        let logit = self.logit(&b, shape);
        let rows = [Dim::Fixed(shape.rows)];
        let [label, weight] = [LABEL, WEIGHT].map(|name| b.input(name, F32, &rows));
        let liked = &label * logit.log_sigmoid() + (1.0 - &label) * (-&logit).log_sigmoid();
        b.output(LOSS, &(-(liked * weight)).mean_all());
        b.finish()
    }

    /// What guides: `loss` = Σ ln σ(z), whose gradient by `sample` is wanted, and `logit`.
    pub(super) fn guide(&self, shape: &Shape) -> Result<Model, BuildError> {
        let b = self.builder();
        let logit = self.logit(&b, shape);
        b.output(LOGIT, &logit);
        b.output(LOSS, &logit.log_sigmoid().sum_all());
        b.finish()
    }

    /// Draws the last layer, which is zero at first.
    #[cfg(test)]
    pub(super) fn disturb(&mut self, mut draw: impl FnMut() -> f32) {
        let values: Vec<f32> = (0..HIDDEN).map(|_| 0.1 * draw()).collect();
        self.head.insert(format!("{}.weight", LAYERS[1]), Tensor::f32(&[HIDDEN, 1], &values));
    }

    fn builder(&self) -> Builder {
        Builder::new("latent_reward", self.trunk.opsets.get("").copied().unwrap_or_default())
    }

    /// `z = W₂ silu(W₁ n(mean and maximum of the map, mean of the prompt's features))`, n to mean 0 and deviation 1. `[n]`.
    fn logit(&self, b: &Builder, shape: &Shape) -> Expr {
        let (map, text) = map(b, &self.trunk, shape);
        let parts = [map.mean(&[2, 3], false), map.max(&[2, 3], false), text.mean(&[1], false)];
        let features = b.concat(&parts, 1);
        let centred = &features - features.mean(&[1], true);
        let features = &centred / (centred.square().mean(&[1], true) + EPSILON).sqrt();
        let layer = |x: &Expr, name: &str| {
            let part = |part: &str| {
                let name = format!("{name}.{part}");
                b.weight(&name, self.head[&name].clone())
            };
            x.matmul(&part("weight")) + part("bias")
        };
        let hidden = layer(&features, LAYERS[0]);
        layer(&(&hidden * hidden.sigmoid()), LAYERS[1]).squeeze(&[1])
    }
}

/// The trunk's answer, and the prompt's features that it was given.
fn map(b: &Builder, trunk: &Model, shape: &Shape) -> (Expr, Expr) {
    let [channels, height, width] = shape.latent;
    let sample = b.input(SAMPLE, F32, &[shape.rows, channels, height, width].map(Dim::Fixed));
    let timestep = b.input("timestep", F32, &[Dim::Fixed(shape.rows)]);
    let [tokens, wide] = shape.features;
    let text = b.input("encoder_hidden_states", F32, &[shape.rows, tokens, wide].map(Dim::Fixed));
    let inputs = [("sample", sample), ("timestep", timestep), ("encoder_hidden_states", text.clone())];
    (b.call(trunk, "", &inputs).remove(0), text)
}

/// Channels of the trunk's map, where it is one.
fn channels(trunk: &Model, shape: &Shape) -> Result<Option<usize>, FinetuneError> {
    let b = Builder::new("map", trunk.opsets.get("").copied().unwrap_or_default());
    b.output(MAP, &map(&b, trunk, shape).0);
    let fixed = specialise(&b.finish()?, &BTreeMap::new())?;
    let found = fixed.graph.value(MAP).and_then(|info| info.static_shape());
    Ok(found.filter(|shape| shape.len() == 4).map(|shape| shape[1]))
}
