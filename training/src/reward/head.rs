//! The reward's head: a small network over frozen embeddings, as formulas.

use indexmap::IndexMap;
use plaudit_onnx::{
    DType::F32,
    Dim, Model, Tensor,
    expr::{BuildError, Builder, Expr},
};
use serde::{Deserialize, Serialize};

use super::Calibration;
use crate::{
    init::{Init, Rule},
    loss,
};

/// Operator set of the graphs; the pack's own.
const OPSET: i64 = 18;
/// What takes a missing prompt out of a softmax.
pub(super) const ABSENT: f32 = -1e4;
/// Keeps a batch without weight from dividing by zero.
const LEAST_WEIGHT: f32 = 1e-6;
const LAYERS: [&str; 3] = ["hidden1", "hidden2", "score"];

/// The weight that CLIP's own score, the cosine, adds to the logit by.
const COSINE: &str = "cosine.weight";
/// Where it starts: cosines of right and wrong pictures differ by about a tenth, so that the untrained reward already ranks as CLIP does.
const COSINE_START: f32 = 10.0;

/// The network's sizes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct HeadShape {
    /// Width of an embedding.
    pub width: usize,
    /// Width of both hidden layers.
    pub hidden: usize,
    /// Whether the elementwise product of both embeddings is fed beside them, and its sum, CLIP's cosine, added to the logit.
    pub product: bool,
}

/// What a loss is made of.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Objective {
    /// Rows of a batch.
    pub batch: usize,
    /// Prompts that a good picture's own is chosen from, N.
    pub prompts: usize,
    /// Weight of prompt classification, λ.
    pub auxiliary: f32,
    /// Its temperature, T.
    pub temperature: f32,
}

impl HeadShape {
    fn features(&self) -> usize {
        self.width * if self.product { 3 } else { 2 }
    }

    /// PyTorch's default for linear layers, uniform within ± 1/√fan_in; a function of the seed.
    pub(super) fn weights(&self, seed: u64) -> IndexMap<String, Tensor> {
        let sizes = [(self.features(), self.hidden), (self.hidden, self.hidden), (self.hidden, 1)];
        let layer = |(layer, (from, to)): (&str, (usize, usize))| {
            let init = Init::Uniform { bound: 1.0 / (from as f32).sqrt() };
            let draw = |part: &str, shape: Vec<usize>| {
                let name = format!("{layer}.{part}");
                let tensor = Rule { name: name.clone(), shape, init }.draw(seed);
                (name, tensor)
            };
            [draw("weight", vec![from, to]), draw("bias", vec![to])]
        };
        let mut weights: IndexMap<String, Tensor> = LAYERS.into_iter().zip(sizes).flat_map(layer).collect();
        if self.product {
            weights.insert(COSINE.to_owned(), Tensor::f32(&[1], &[COSINE_START]));
        }
        weights
    }

    /// The logit of the reward, `[rows, 1]`, of normalised embeddings `[rows, width]` each.
    ///
    /// `z = W₃ relu(W₂ relu(W₁ x))`, `x = (√w·v, √w·t)`; with products `x = (√w·v, √w·t, w·v∘t)` and `z + g·(v·t)`. The factors of the width w
    /// give every element a mean square of about 1.
    fn logit(&self, image: &Expr, text: &Expr, weights: &IndexMap<String, Tensor>) -> Expr {
        let b = image.builder();
        let (root, width) = ((self.width as f32).sqrt(), self.width as f32);
        let mut parts = vec![image * root, text * root];
        if self.product {
            parts.push(image * text * width);
        }
        let layer = |x: &Expr, layer: &str| {
            let part = |part: &str| {
                let name = format!("{layer}.{part}");
                b.weight(&name, weights[&name].clone())
            };
            x.matmul(&part("weight")) + part("bias")
        };
        let x = b.concat(&parts, -1);
        let x = layer(&x, LAYERS[0]).relu();
        let x = layer(&x, LAYERS[1]).relu();
        let z = layer(&x, LAYERS[2]);
        if !self.product {
            return z;
        }
        z + (image * text).sum(&[-1], true) * b.weight(COSINE, weights[COSINE].clone())
    }

    /// The graph that is trained.
    ///
    /// `L = Σ w (y − r)² / Σ w + λ · L_pc` ([`loss::prompt_classification`]). Inputs, f32: `image_embeds` `[batch, width]`, `text_embeds`
    /// `[batch, N, width]` (the own prompt first), `target` `[batch]` (the vote), `weight` `[batch]`, `good` `[batch]`
    /// (the weight of rows whose vote is good, 0 of others), `absent` `[batch, N]`.
    pub(super) fn objective(
        &self,
        objective: &Objective,
        weights: &IndexMap<String, Tensor>,
    ) -> Result<Model, BuildError> {
        let Objective { batch, prompts, auxiliary, temperature } = *objective;
        let b = Builder::new("reward", OPSET);
        let input = |name: &str, shape: &[usize]| {
            let dims: Vec<Dim> = shape.iter().map(|&extent| Dim::Fixed(extent)).collect();
            b.input(name, F32, &dims)
        };
        let image = input("image_embeds", &[batch, self.width]);
        let text = input("text_embeds", &[batch, prompts, self.width]);
        let [target, weight, good] = ["target", "weight", "good"].map(|name| input(name, &[batch]));
        let absent = input("absent", &[batch, prompts]);
        let rows = [(batch * prompts) as i64, self.width as i64];
        let images = image.unsqueeze(&[1]).expand(&[batch as i64, prompts as i64, self.width as i64]).reshape(&rows);
        let logits = self.logit(&images, &text.reshape(&rows), weights);
        let rewards = logits.reshape(&[batch as i64, prompts as i64]).sigmoid();
        let own = rewards.slice(1, 0, 1).squeeze(&[1]);
        let mse = ((own - target).square() * &weight).sum_all() / (weight.sum_all() + LEAST_WEIGHT);
        let classification = loss::prompt_classification(&rewards, &absent, &good, temperature);
        b.output("loss", &(&mse + &classification * auxiliary));
        b.output("mse", &(mse * 1.0));
        b.output("prompt_classification", &(classification * 1.0));
        b.finish()
    }

    /// The graph that is served: `image_embeds` and `text_embeds` `[batch, width]` in, `reward` (calibrated) and `raw` `[batch]` out.
    pub(super) fn served(
        &self,
        weights: &IndexMap<String, Tensor>,
        calibration: &Calibration,
    ) -> Result<Model, BuildError> {
        let b = Builder::new("reward", OPSET);
        let dims: [Dim; 2] = ["batch".into(), self.width.into()];
        let [image, text] = ["image_embeds", "text_embeds"].map(|name| b.input(name, F32, &dims));
        let logit = self.logit(&image, &text, weights);
        let flat = |value: Expr| value.squeeze(&[1]);
        b.output("reward", &flat(calibration.formula(&logit)));
        b.output("raw", &flat(logit.sigmoid()));
        b.finish()
    }
}
