//! Stable Diffusion's forward process at training time.

use crate::{loss::min_snr_weight, random::Random};

/// Training timesteps.
const TIMESTEPS: usize = 1000;
/// β of the first and the last step; its root is linear in between ("scaled linear").
const BETAS: (f64, f64) = (0.00085, 0.012);
/// Deviation of noise that is the same over a whole channel: without it a model cannot learn how bright a picture is.
const OFFSET: f32 = 0.05;
/// Signal-to-noise ratio above which a step counts less (min-SNR weighting, Hang et al. 2023).
const GAMMA: f32 = 5.0;

/// ᾱ and loss weight of every timestep.
pub(super) struct Process {
    signal: Vec<(f32, f32)>,
    weights: Vec<f32>,
}

impl Process {
    pub(super) fn new() -> Self {
        let (low, high) = (BETAS.0.sqrt(), BETAS.1.sqrt());
        let beta = |t: usize| (low + (high - low) * t as f64 / (TIMESTEPS - 1) as f64).powi(2);
        let kept = (0..TIMESTEPS).scan(1.0, |product, t| {
            *product *= 1.0 - beta(t);
            Some(*product)
        });
        let alphas: Vec<f64> = kept.collect();
        let signal = alphas.iter().map(|alpha| (alpha.sqrt() as f32, (1.0 - alpha).sqrt() as f32)).collect();
        let weights = alphas.iter().map(|&alpha| min_snr_weight(alpha as f32, GAMMA)).collect();
        Self { signal, weights }
    }

    /// Draws a timestep and noise ε for one latent `[channels, area]`, and replaces the latent by
    /// `√ᾱ x + √(1 − ᾱ) ε`. Returns the timestep and its loss weight `min(SNR, γ) / SNR`.
    pub(super) fn corrupt(
        &self,
        latent: &mut [f32],
        noise: &mut [f32],
        area: usize,
        random: &mut Random,
    ) -> (f32, f32) {
        let t = random.below(TIMESTEPS);
        random.fill_normal(noise);
        for channel in noise.chunks_mut(area) {
            let offset = OFFSET * random.normal();
            channel.iter_mut().for_each(|value| *value += offset);
        }
        let (signal, deviation) = self.signal[t];
        latent.iter_mut().zip(noise.iter()).for_each(|(x, noise)| *x = signal * *x + deviation * noise);
        (t as f32, self.weights[t])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn signal_ends_where_stable_diffusions_does() {
        let process = Process::new();
        // ᾱ₀ and ᾱ₉₉₉ of SD v1.5's schedule.
        assert!((process.signal[0].0.powi(2) - 0.99915).abs() < 1e-5);
        assert!((process.signal[TIMESTEPS - 1].0.powi(2) - 0.00466).abs() < 1e-5);
    }

    #[test]
    fn clean_steps_count_less_and_noisy_ones_fully() {
        let weights = Process::new().weights;
        assert!(weights[0] < 0.01 && weights[TIMESTEPS - 1] == 1.0);
        assert!(weights.windows(2).all(|pair| pair[0] <= pair[1]));
    }
}
