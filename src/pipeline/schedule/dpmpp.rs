//! DPM-Solver++ (2M), data prediction (Lu et al. 2022, algorithm 2).

use super::{
    ScheduleError, ScheduleState,
    config::{BetaSchedule, FinalSigma, Options, Prediction, SolverType, Spacing},
    table,
};

/// Below this many steps the last is of first order (`lower_order_final`), for stability.
const FEW_STEPS: usize = 15;

/// σ of every call and the one after the last, and how steps are combined.
#[derive(Debug, Clone)]
pub(super) struct DpmPp2m {
    sigmas: Vec<f32>,
    prediction: Prediction,
    solver_type: SolverType,
    /// `solver_order` 1: every step is of first order.
    first_order: bool,
    first_order_last: bool,
}

/// A point of the trajectory: x = α x₀ + σ ε, λ = ln α − ln σ.
#[derive(Clone, Copy)]
struct Point {
    alpha: f32,
    sigma: f32,
    lambda: f32,
}

impl Point {
    /// From σ/α.
    fn new(ratio: f32) -> Self {
        let alpha = 1.0 / (ratio * ratio + 1.0).sqrt();
        let sigma = ratio * alpha;
        Self { alpha, sigma, lambda: alpha.ln() - sigma.ln() }
    }
}

impl DpmPp2m {
    /// The plan and the timesteps it visits.
    pub(super) fn new(options: &Options, steps: usize) -> Result<(Self, Vec<f32>), ScheduleError> {
        let alphas = table::alphas_for_sigmas(options);
        let trained = table::sigmas(&alphas);
        let (sigmas, timesteps) = match options.karras {
            true => karras(options, &trained, steps),
            false => {
                let timesteps = spaced(options, &alphas, steps)?;
                (timesteps.iter().map(|&t| table::interpolate(&trained, t)).collect(), timesteps)
            }
        };
        let mut sigmas: Vec<f32> = sigmas.into_iter().map(|sigma| sigma as f32).collect();
        let to_zero = options.final_sigma == FinalSigma::Zero;
        sigmas.push(if to_zero { 0.0 } else { trained[0] });
        let few = options.lower_order_final && steps < FEW_STEPS;
        let plan = Self {
            sigmas,
            prediction: options.prediction,
            solver_type: options.solver_type,
            first_order: options.solver_order == 1,
            first_order_last: options.euler_at_final || few || to_zero,
        };
        Ok((plan, timesteps.into_iter().map(|t| t as f32).collect()))
    }

    /// Leaves the first calls out.
    pub(super) fn skip(&mut self, calls: usize) {
        self.sigmas.drain(..calls);
    }

    pub(super) fn level(&self, step: usize) -> table::Level {
        table::Level::of_ratio(self.sigmas[step])
    }

    /// One call: predicts x₀, then takes a first- or second-order step with the last two predictions.
    pub(super) fn step(&self, state: &mut ScheduleState, step: usize, output: &[f32], latent: &mut [f32]) {
        let now = Point::new(self.sigmas[step]);
        let clean: Vec<f32> = latent.iter().zip(output).map(|(&x, &m)| self.clean(now, x, m)).collect();
        let last = step + 2 == self.sigmas.len();
        let first_order = self.first_order || last && self.first_order_last;
        match state.outputs.pop() {
            Some(before) if !first_order => self.second_order(step, &clean, &before, latent),
            _ => self.first_order(step, &clean, latent),
        }
        state.outputs.push(clean);
    }

    fn clean(&self, now: Point, x: f32, m: f32) -> f32 {
        match self.prediction {
            Prediction::Epsilon => (x - now.sigma * m) / now.alpha,
            Prediction::Sample => m,
            Prediction::Velocity => now.alpha * x - now.sigma * m,
        }
    }

    /// x ← (σ'/σ) x − α' (e^−h − 1) x₀.
    fn first_order(&self, step: usize, clean: &[f32], latent: &mut [f32]) {
        let (now, next) = (Point::new(self.sigmas[step]), Point::new(self.sigmas[step + 1]));
        let decay = (-(next.lambda - now.lambda)).exp() - 1.0;
        for (x, &d0) in latent.iter_mut().zip(clean) {
            *x = next.sigma / now.sigma * *x - next.alpha * decay * d0;
        }
    }

    /// The same with the slope D₁ = (x₀ − x₀ before) / r₀ added.
    fn second_order(&self, step: usize, clean: &[f32], before: &[f32], latent: &mut [f32]) {
        let at = |i: usize| Point::new(self.sigmas[i]);
        let (previous, now, next) = (at(step - 1), at(step), at(step + 1));
        let h = next.lambda - now.lambda;
        let ratio = (now.lambda - previous.lambda) / h;
        let decay = (-h).exp() - 1.0;
        let slope = match self.solver_type {
            SolverType::Midpoint => -0.5 * (next.alpha * decay),
            SolverType::Heun => next.alpha * (decay / h + 1.0),
        };
        for ((x, &d0), &old) in latent.iter_mut().zip(clean).zip(before) {
            let d1 = 1.0 / ratio * (d0 - old);
            *x = next.sigma / now.sigma * *x - next.alpha * decay * d0 + slope * d1;
        }
    }
}

/// Karras's σ over the whole trained range; whole timesteps, rounded except for the cosine schedule, where diffusers truncates.
fn karras(options: &Options, trained: &[f32], steps: usize) -> (Vec<f64>, Vec<f64>) {
    let minimum = options.sigma_min.unwrap_or_else(|| f64::from(trained[0]));
    let maximum = options.sigma_max.unwrap_or_else(|| f64::from(trained[trained.len() - 1]));
    let sigmas = table::karras(minimum, maximum, steps);
    let cosine = options.beta_schedule == BetaSchedule::SquaredCosine;
    let whole = |t: f64| if cosine { t.trunc() } else { t.round_ties_even() };
    let timesteps = sigmas.iter().map(|&sigma| whole(table::timestep_of(sigma, trained))).collect();
    (sigmas, timesteps)
}

/// One timestep more than steps is laid out and the last dropped; `lambda_min_clipped` shortens the range from above.
fn spaced(options: &Options, alphas: &[f32], steps: usize) -> Result<Vec<f64>, ScheduleError> {
    let lambda = |alpha: f32| alpha.sqrt().ln() - (1.0 - alpha).sqrt().ln();
    let clipped = alphas.iter().filter(|&&alpha| f64::from(lambda(alpha)) < options.lambda_min_clipped).count();
    let last = options.train_timesteps - clipped;
    if last == 0 {
        return Err(ScheduleError::Steps { steps, least: 1, most: 0 });
    }
    Ok(match options.spacing {
        Spacing::Linspace => {
            let even = table::linspace(0.0, (last - 1) as f64, steps + 1);
            even[1..].iter().rev().map(|t| t.round_ties_even()).collect()
        }
        Spacing::Leading => {
            let mut multiples = table::leading(last / (steps + 1), steps + 1, options.steps_offset);
            multiples.truncate(steps);
            multiples
        }
        Spacing::Trailing => table::trailing(last as f64, options.train_timesteps as f64 / steps as f64, steps),
    })
}
