//! DDIM without added noise, η = 0 (Song et al. 2021, eq. 12).

use super::{
    ScheduleError,
    config::{Options, Prediction},
    table,
};

/// Coefficients of one step: √ᾱ and √(1 − ᾱ), now and after.
#[derive(Debug, Clone)]
struct Coefficients {
    alpha: f32,
    sigma: f32,
    next_alpha: f32,
    next_sigma: f32,
}

/// The whole run's coefficients.
#[derive(Debug, Clone)]
pub(super) struct Ddim {
    steps: Vec<Coefficients>,
    prediction: Prediction,
    clip: Option<f32>,
}

impl Ddim {
    /// The plan and the timesteps it visits.
    pub(super) fn new(options: &Options, steps: usize) -> Result<(Self, Vec<f32>), ScheduleError> {
        let alphas = table::alphas_cumprod(options);
        let last = if options.set_alpha_to_one { 1.0 } else { alphas[0] };
        let timesteps = table::timesteps(options, steps, true);
        let stride = (options.train_timesteps / steps) as i64;
        let at = |t: i64| super::alpha_at(&alphas, t, last, steps);
        let coefficients = |&t: &f64| {
            let (alpha, next) = (at(t as i64)?, at(t as i64 - stride)?);
            let (sigma, next_sigma) = ((1.0 - alpha).sqrt(), (1.0 - next).sqrt());
            Ok(Coefficients { alpha: alpha.sqrt(), sigma, next_alpha: next.sqrt(), next_sigma })
        };
        let steps = timesteps.iter().map(coefficients).collect::<Result<_, ScheduleError>>()?;
        let plan = Self { steps, prediction: options.prediction, clip: options.clip };
        Ok((plan, timesteps.into_iter().map(|t| t as f32).collect()))
    }

    /// Leaves the first calls out.
    pub(super) fn skip(&mut self, calls: usize) {
        self.steps.drain(..calls);
    }

    pub(super) fn level(&self, step: usize) -> table::Level {
        let Coefficients { alpha, sigma, .. } = self.steps[step];
        table::Level { alpha, sigma }
    }

    /// x ← √ᾱ' x₀ + √(1 − ᾱ') ε.
    pub(super) fn step(&self, step: usize, output: &[f32], latent: &mut [f32]) {
        let Coefficients { alpha, sigma, next_alpha, next_sigma } = self.steps[step];
        for (x, &m) in latent.iter_mut().zip(output) {
            let (clean, noise) = match self.prediction {
                Prediction::Epsilon => ((*x - sigma * m) / alpha, m),
                Prediction::Sample => (m, (*x - alpha * m) / sigma),
                Prediction::Velocity => (alpha * *x - sigma * m, alpha * m + sigma * *x),
            };
            let clean = self.clip.map_or(clean, |bound| clean.clamp(-bound, bound));
            *x = next_alpha * clean + next_sigma * noise;
        }
    }
}
