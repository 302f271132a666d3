//! Euler and Euler ancestral in σ (Karras et al. 2022, algorithm 1 without churn; Crowson's k-diffusion for the ancestral step).

use super::{
    SchedulerKind,
    config::{FinalSigma, Options, Prediction, Spacing},
    table,
};

/// σ of every call and the one after the last.
#[derive(Debug, Clone)]
pub(super) struct Euler {
    sigmas: Vec<f32>,
    prediction: Prediction,
    ancestral: bool,
}

/// What a schedule in σ starts from.
pub(super) struct Start {
    /// The timesteps visited.
    pub(super) timesteps: Vec<f32>,
    /// Factor of the unit normal.
    pub(super) init_noise_sigma: f32,
}

impl Euler {
    /// The plan, its timesteps and the first latent's scale.
    pub(super) fn new(kind: SchedulerKind, options: &Options, steps: usize) -> (Self, Start) {
        let ancestral = kind == SchedulerKind::EulerAncestral;
        let trained = table::sigmas(&table::alphas_for_sigmas(options));
        let mut timesteps = table::timesteps(options, steps, false);
        let mut sigmas: Vec<f64> = timesteps.iter().map(|&t| table::interpolate(&trained, t)).collect();
        if options.log_linear {
            sigmas = table::log_linear(&trained, steps + 1);
        }
        if options.karras && !ancestral {
            let minimum = options.sigma_min.unwrap_or(sigmas[sigmas.len() - 1]);
            sigmas = table::karras(minimum, options.sigma_max.unwrap_or(sigmas[0]), steps);
            timesteps = sigmas.iter().map(|&sigma| table::timestep_of(sigma, &trained)).collect();
        }
        let minimum = options.final_sigma == FinalSigma::Minimum && !ancestral;
        let mut sigmas: Vec<f32> = sigmas.into_iter().map(|sigma| sigma as f32).collect();
        sigmas.push(if minimum { trained[0] } else { 0.0 });
        let largest = sigmas.iter().copied().fold(0.0, f32::max);
        let init_noise_sigma = match options.spacing {
            Spacing::Linspace | Spacing::Trailing => largest,
            Spacing::Leading => (largest * largest + 1.0).sqrt(),
        };
        let timesteps = timesteps.into_iter().map(|t| t as f32).collect();
        (Self { sigmas, prediction: options.prediction, ancestral }, Start { timesteps, init_noise_sigma })
    }

    /// Leaves the first calls out.
    pub(super) fn skip(&mut self, calls: usize) {
        self.sigmas.drain(..calls);
    }

    pub(super) fn level(&self, step: usize) -> table::Level {
        table::Level::of_ratio(self.sigmas[step])
    }

    /// Divisor of the latent before the denoiser sees it: √(σ² + 1).
    pub(super) fn input_divisor(&self, step: usize) -> f32 {
        (self.sigmas[step].powi(2) + 1.0).sqrt()
    }

    /// x ← x + (σ' − σ) (x − x₀) / σ; ancestral: σ' is split into a deterministic part and σ_up of fresh noise.
    pub(super) fn step(&self, step: usize, output: &[f32], latent: &mut [f32], noise: impl FnOnce(&mut [f32])) {
        let (sigma, next) = (self.sigmas[step], self.sigmas[step + 1]);
        let up =
            if self.ancestral { (next * next * (sigma * sigma - next * next) / (sigma * sigma)).sqrt() } else { 0.0 };
        let down = if self.ancestral { (next * next - up * up).sqrt() } else { next };
        let square = sigma * sigma + 1.0;
        let velocity = -sigma / square.sqrt();
        for (x, &m) in latent.iter_mut().zip(output) {
            let clean = match self.prediction {
                Prediction::Epsilon => *x - sigma * m,
                Prediction::Sample => m,
                Prediction::Velocity => m * velocity + *x / square,
            };
            *x += (*x - clean) / sigma * (down - sigma);
        }
        if self.ancestral {
            let mut fresh = vec![0.0; latent.len()];
            noise(&mut fresh);
            for (x, z) in latent.iter_mut().zip(fresh) {
                *x += z * up;
            }
        }
    }
}
