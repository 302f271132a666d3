//! AdamW on the host: one parallel sweep over the gradients for their norm, one over everything for the update.

use rayon::prelude::*;
use serde::{Deserialize, Serialize};

/// Elements that one task takes at a time: 16 Ki floats, so that a chunk's five streams (320 KiB) stay within a core's second-level cache.
pub const GRADIENT_CHUNK: usize = 16 * 1024;
/// Steps over which the average's decay is warmed up: `(1 + t) / (10 + t)`, like diffusers' `EMAModel`.
const AVERAGE_WARM_UP: f64 = 10.0;

/// AdamW's constants (Loshchilov and Hutter 2019, algorithm 2, without its schedule multiplier).
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct AdamWSettings {
    /// Decay of the first moment, β₁.
    pub beta1: f32,
    /// Decay of the second moment, β₂.
    pub beta2: f32,
    /// ε, added to √v̂.
    pub epsilon: f32,
    /// Decoupled decay λ: each step first multiplies a parameter by `1 − rate · λ`.
    pub weight_decay: f32,
    /// Gradients whose joint L2 norm exceeds this are scaled down to it; `None` never clips.
    pub clip_norm: Option<f32>,
    /// Decay of the weights' exponential average, reached after a warm-up; `None` keeps no average.
    pub average: Option<f32>,
}

impl Default for AdamWSettings {
    fn default() -> Self {
        Self { beta1: 0.9, beta2: 0.999, epsilon: 1e-8, weight_decay: 1e-2, clip_norm: Some(1.0), average: None }
    }
}

/// What the optimiser remembers of one parameter; all of its length.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Moments {
    /// Average of the gradient.
    pub first: Vec<f32>,
    /// Average of the squared gradient.
    pub second: Vec<f32>,
    /// Average of the weights; empty when none is kept.
    pub average: Vec<f32>,
}

impl Moments {
    /// Moments of a parameter before its first step; the average starts at the parameter itself.
    pub fn new(parameter: &[f32], settings: &AdamWSettings) -> Self {
        let zeros = vec![0.0; parameter.len()];
        let average = if settings.average.is_some() { parameter.to_vec() } else { Vec::new() };
        Self { first: zeros.clone(), second: zeros, average }
    }
}

/// One parameter, its gradient and its moments, for one update.
#[derive(Debug)]
pub struct Slot<'a> {
    /// The parameter, changed in place.
    pub parameter: &'a mut [f32],
    /// ∂L/∂parameter, or the sum of it over micro-batches.
    pub gradient: &'a [f32],
    /// Moments, changed in place.
    pub moments: &'a mut Moments,
    /// Whether weight decay applies.
    pub decays: bool,
}

/// AdamW for one step: everything that is the same for all parameters.
///
/// With gradient `g` (scaled by clipping), rate η and t counted from 1:
/// `p ← p (1 − η λ)`, `m ← β₁ m + (1 − β₁) g`, `v ← β₂ v + (1 − β₂) g²`,
/// `p ← p − η / (1 − β₁ᵗ) · m / (√v / √(1 − β₂ᵗ) + ε)`, `a ← d a + (1 − d) p`. The arithmetic and its order are `torch.optim.AdamW`'s.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct AdamW {
    /// Factor on each gradient: clipping, and one over the number of micro-batches.
    pub gradient_scale: f32,
    /// `1 − η λ`.
    pub decay: f32,
    /// `η / (1 − β₁ᵗ)`.
    pub step_size: f32,
    /// `1 / √(1 − β₂ᵗ)`.
    pub second_scale: f32,
    /// `1 − d` with the warmed-up d; 0 without an average.
    pub average_rate: f32,
    /// `1 − β₁`.
    pub first_rate: f32,
    /// β₂.
    pub beta2: f32,
    /// ε.
    pub epsilon: f32,
}

impl AdamW {
    /// The constants of step `step` (from 0) at learning rate `rate`, for gradients that are sums over `micro_batches` and whose mean's norm is `norm`.
    pub fn at(settings: &AdamWSettings, step: u64, rate: f32, micro_batches: usize, norm: f32) -> Self {
        let t = step as f64 + 1.0;
        let correction = |beta: f32| 1.0 - f64::from(beta).powf(t);
        let clip = match settings.clip_norm {
            // PyTorch's clip_grad_norm_ adds 1e-6 to the norm; ours is exact at the threshold.
            Some(limit) if norm > limit => f64::from(limit) / f64::from(norm),
            _ => 1.0,
        };
        let average_rate = settings.average.map_or(0.0, |decay| {
            let warmed = (1.0 + t) / (AVERAGE_WARM_UP + t);
            1.0 - f64::from(decay).min(warmed)
        });
        Self {
            gradient_scale: (clip / micro_batches as f64) as f32,
            decay: (1.0 - f64::from(rate) * f64::from(settings.weight_decay)) as f32,
            step_size: (f64::from(rate) / correction(settings.beta1)) as f32,
            second_scale: (1.0 / correction(settings.beta2).sqrt()) as f32,
            average_rate: average_rate as f32,
            first_rate: (1.0 - f64::from(settings.beta1)) as f32,
            beta2: settings.beta2,
            epsilon: settings.epsilon,
        }
    }

    /// Updates every parameter in one parallel sweep. The result does not depend on the number of threads.
    pub fn update(&self, slots: Vec<Slot<'_>>) {
        let chunks: Vec<Chunk<'_>> = slots.into_iter().flat_map(Chunk::split).collect();
        chunks.into_par_iter().for_each(|chunk| self.update_chunk(chunk));
    }

    fn update_chunk(&self, chunk: Chunk<'_>) {
        let Chunk { parameter, gradient, first, second, average, decays } = chunk;
        let n = parameter.len();
        let (gradient, first, second) = (&gradient[..n], &mut first[..n], &mut second[..n]);
        let decay = if decays { self.decay } else { 1.0 };
        for i in 0..n {
            let g = gradient[i] * self.gradient_scale;
            let m = first[i] + (g - first[i]) * self.first_rate;
            let v = second[i] * self.beta2 + (1.0 - self.beta2) * g * g;
            first[i] = m;
            second[i] = v;
            parameter[i] = parameter[i] * decay - self.step_size * m / (v.sqrt() * self.second_scale + self.epsilon);
        }
        for (average, parameter) in average.iter_mut().zip(parameter.iter()) {
            *average += (parameter - *average) * self.average_rate;
        }
    }
}

/// A stretch of one parameter.
struct Chunk<'a> {
    parameter: &'a mut [f32],
    gradient: &'a [f32],
    first: &'a mut [f32],
    second: &'a mut [f32],
    average: &'a mut [f32],
    decays: bool,
}

impl<'a> Chunk<'a> {
    fn split(slot: Slot<'a>) -> Vec<Self> {
        let Slot { parameter, gradient, moments, decays } = slot;
        let mut averages = moments.average.chunks_mut(GRADIENT_CHUNK);
        let states = moments.first.chunks_mut(GRADIENT_CHUNK).zip(moments.second.chunks_mut(GRADIENT_CHUNK));
        let streams = parameter.chunks_mut(GRADIENT_CHUNK).zip(gradient.chunks(GRADIENT_CHUNK)).zip(states);
        streams
            .map(|((parameter, gradient), (first, second))| {
                let average = averages.next().unwrap_or_default();
                Self { parameter, gradient, first, second, average, decays }
            })
            .collect()
    }
}

/// The joint L2 norm of all gradients, accumulated in f64 chunk by chunk: the same for any number of threads.
pub fn gradient_norm(gradients: &[&[f32]]) -> f32 {
    let chunks: Vec<&[f32]> = gradients.iter().flat_map(|gradient| gradient.chunks(GRADIENT_CHUNK)).collect();
    let sums: Vec<f64> = chunks.par_iter().map(|chunk| sum_of_squares(chunk)).collect();
    sums.iter().sum::<f64>().sqrt() as f32
}

/// Σ x², in eight lanes so that it vectorises.
fn sum_of_squares(values: &[f32]) -> f64 {
    const LANES: usize = 8;
    let mut lanes = [0.0_f64; LANES];
    let mut rows = values.chunks_exact(LANES);
    for row in &mut rows {
        for (lane, &value) in lanes.iter_mut().zip(row) {
            *lane += f64::from(value) * f64::from(value);
        }
    }
    let rest: f64 = rows.remainder().iter().map(|&value| f64::from(value) * f64::from(value)).sum();
    lanes.iter().sum::<f64>() + rest
}
