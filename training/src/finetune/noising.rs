//! Pictures' latents under noise: x_t = √ᾱ_t x₀ + √(1 − ᾱ_t) ε, with x₀ drawn from the picture's posterior.

use plaudit::{
    pack::Pack,
    pipeline::schedule::{Prediction, SchedulerConfig},
};

use super::{Finetune, FinetuneError, graph::Shape};
use crate::random::Random;

/// diffusers' bounds on the posterior's log-variance.
const LOG_VARIANCE: (f32, f32) = (-30.0, 20.0);

/// A pack's forward process, over its latents.
#[derive(Debug, Clone)]
pub(super) struct Noising {
    /// √ᾱ and √(1 − ᾱ) of each timestep.
    levels: Vec<(f32, f32)>,
    /// What latents are multiplied by, after the shift was subtracted.
    scaling: f32,
    shift: f32,
    cells: usize,
}

impl Noising {
    /// Of a pack whose denoiser predicts the noise.
    pub(super) fn of(settings: &Finetune, pack: &Pack, shape: &Shape) -> Result<Self, FinetuneError> {
        let process = SchedulerConfig::from_json(pack.scheduler())?.forward_process()?;
        if process.prediction != Prediction::Epsilon {
            let fault =
                "its denoiser does not predict the noise (prediction_type epsilon), which these objectives are made for"
                    .into();
            return Err(FinetuneError::Unfit { pack: settings.pack.clone(), fault });
        }
        Ok(Self {
            levels: process.alphas.iter().map(|&alpha| (alpha.sqrt(), (1.0 - alpha).sqrt())).collect(),
            scaling: pack.scaling_factor() as f32,
            shift: pack.shift_factor() as f32,
            cells: shape.cells(),
        })
    }

    /// How many timesteps there are.
    pub(super) fn timesteps(&self) -> usize {
        self.levels.len()
    }

    /// √ᾱ and √(1 − ᾱ).
    pub(super) fn level(&self, timestep: usize) -> (f32, f32) {
        self.levels[timestep]
    }

    /// x₀, drawn from a posterior of mean and log-variance.
    pub(super) fn start(&self, moments: &[f32], random: &mut Random) -> Result<Vec<f32>, FinetuneError> {
        if moments.len() != 2 * self.cells {
            let fault =
                format!("a latent has {} moments instead of {}; remove DATA/cache", moments.len(), 2 * self.cells);
            return Err(FinetuneError::Settings { fault });
        }
        let (mean, log_variance) = moments.split_at(self.cells);
        let drawn = mean.iter().zip(log_variance).map(|(mean, log_variance)| {
            let spread = (0.5 * log_variance.clamp(LOG_VARIANCE.0, LOG_VARIANCE.1)).exp();
            (mean + spread * random.normal() - self.shift) * self.scaling
        });
        Ok(drawn.collect())
    }

    /// Appends x_t and ε.
    pub(super) fn add(
        &self,
        start: &[f32],
        timestep: usize,
        random: &mut Random,
        (sample, noise): (&mut Vec<f32>, &mut Vec<f32>),
    ) {
        let (signal, deviation) = self.levels[timestep];
        for value in start {
            let drawn = random.normal();
            sample.push(signal * value + deviation * drawn);
            noise.push(drawn);
        }
    }
}

#[cfg(test)]
impl Noising {
    /// One timestep, and no noise at it.
    pub(super) fn still(cells: usize) -> Self {
        Self { levels: vec![(1.0, 0.0)], scaling: 1.0, shift: 0.0, cells }
    }
}
