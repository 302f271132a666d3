//! PNDM: pseudo-numerical methods on the diffusion manifold (Liu et al. 2022).
//!
//! With `skip_prk_steps` (as Stable Diffusion ships) every step is a linear multistep one (eq. 12); the second timestep is
//! visited twice, so 20 steps make 21 calls. Without it, three Runge–Kutta steps of four calls each come first (eq. 13).

use super::{
    ScheduleError, ScheduleState,
    config::{Options, Prediction},
    table,
};

/// Steps that begin with Runge–Kutta when they are not skipped, and the multistep rule's order.
const ORDER: usize = 4;

/// What a call does with the denoiser's output.
#[derive(Debug, Clone, Copy)]
enum Rule {
    /// Call 0 to 3 of a Runge–Kutta step.
    RungeKutta(usize),
    /// A multistep call.
    Multistep,
    /// Multistep's second call: the first step again, from its own latent, with the mean of both outputs.
    Corrected,
}

/// Coefficients of the transfer φ from ᾱ to ᾱ' (eq. 11).
#[derive(Debug, Clone)]
struct Transfer {
    rule: Rule,
    alpha: f32,
    sigma: f32,
    latent: f32,
    difference: f32,
    denominator: f32,
}

/// ᾱ around the timestep that a call visits.
#[derive(Debug, Clone, Copy)]
struct Place {
    /// One stride earlier in the run, where there is more noise.
    before: f32,
    here: f32,
    /// One stride later.
    after: f32,
}

/// The whole run's calls.
#[derive(Debug, Clone)]
pub(super) struct Pndm {
    calls: Vec<Transfer>,
    /// Where each call stands, for plans that begin later.
    places: Vec<Place>,
    prediction: Prediction,
}

impl Pndm {
    /// The plan and the timesteps it visits, one a call.
    pub(super) fn new(options: &Options, steps: usize) -> Result<(Self, Vec<f32>), ScheduleError> {
        if !options.skip_prk_steps && steps < ORDER {
            return Err(ScheduleError::Steps { steps, least: ORDER, most: options.train_timesteps });
        }
        let alphas = table::alphas_cumprod(options);
        let last = if options.set_alpha_to_one { 1.0 } else { alphas[0] };
        let stride = (options.train_timesteps / steps) as i64;
        let visited: Vec<i64> = table::timesteps(options, steps, true).into_iter().map(|t| t as i64).collect();
        let calls = if options.skip_prk_steps { multistep(&visited, stride) } else { warmed_up(&visited, stride) };
        let timesteps = calls.iter().map(|call| call.visited as f32).collect();
        let transfer = |call: &Call| {
            let at = |t| super::alpha_at(&alphas, t, last, steps);
            Ok(Transfer::new(call.rule, at(call.from)?, at(call.to)?))
        };
        let place = |call: &Call| {
            let at = |t| super::alpha_at(&alphas, t, last, steps);
            let here = at(call.visited)?;
            // The first visit has nothing before it, and no plan corrects it.
            let before = at(call.visited + stride).unwrap_or(here);
            Ok(Place { before, here, after: at(call.visited - stride)? })
        };
        let places = calls.iter().map(place).collect::<Result<_, ScheduleError>>()?;
        let calls = calls.iter().map(transfer).collect::<Result<_, ScheduleError>>()?;
        Ok((Self { calls, places, prediction: options.prediction }, timesteps))
    }

    pub(super) fn level(&self, step: usize) -> table::Level {
        table::Level::of_alpha_bar(self.places[step].here)
    }

    /// Leaves the first calls out. What is left begins like a whole run, with a multistep call and its correction, at
    /// whichever timesteps come next: diffusers counts calls, not timesteps.
    pub(super) fn skip(&mut self, calls: usize) {
        if calls == 0 {
            return;
        }
        self.calls.drain(..calls);
        self.places.drain(..calls);
        for (at, (call, place)) in self.calls.iter_mut().zip(&self.places).enumerate() {
            *call = match at {
                1 => Transfer::new(Rule::Corrected, place.before, place.here),
                _ => Transfer::new(Rule::Multistep, place.here, place.after),
            };
        }
    }

    /// One call: combines outputs by the rule, then transfers the latent.
    pub(super) fn step(&self, state: &mut ScheduleState, step: usize, output: &[f32], latent: &mut [f32]) {
        let call = &self.calls[step];
        let combined = match call.rule {
            Rule::RungeKutta(part) => runge_kutta(state, part, output, latent),
            Rule::Multistep => {
                if state.outputs.len() == ORDER {
                    state.outputs.remove(0);
                }
                state.outputs.push(output.to_vec());
                if step == 0 {
                    state.held_latent = latent.to_vec();
                }
                combine(&state.outputs)
            }
            Rule::Corrected => {
                latent.copy_from_slice(&state.held_latent);
                output.iter().zip(&state.outputs[0]).map(|(new, old)| (new + old) / 2.0).collect()
            }
        };
        call.apply(self.prediction, &combined, latent);
    }
}

/// Adams–Bashforth weights for one to four known outputs, newest last.
fn combine(outputs: &[Vec<f32>]) -> Vec<f32> {
    let at = |back: usize, i: usize| outputs[outputs.len() - back][i];
    let value = |i: usize| match outputs.len() {
        1 => at(1, i),
        2 => (3.0 * at(1, i) - at(2, i)) / 2.0,
        3 => (23.0 * at(1, i) - 16.0 * at(2, i) + 5.0 * at(3, i)) / 12.0,
        _ => (1.0 / 24.0) * (55.0 * at(1, i) - 59.0 * at(2, i) + 37.0 * at(3, i) - 9.0 * at(4, i)),
    };
    (0..outputs[0].len()).map(value).collect()
}

/// Weights 1/6, 1/3, 1/3, 1/6; every call starts from the latent of the first.
fn runge_kutta(state: &mut ScheduleState, part: usize, output: &[f32], latent: &mut [f32]) -> Vec<f32> {
    const WEIGHTS: [f32; 4] = [1.0 / 6.0, 1.0 / 3.0, 1.0 / 3.0, 1.0 / 6.0];
    if part == 0 {
        state.held_latent = latent.to_vec();
        state.outputs.push(output.to_vec());
        state.mean_output = vec![0.0; output.len()];
    }
    for (mean, value) in state.mean_output.iter_mut().zip(output) {
        *mean += WEIGHTS[part] * value;
    }
    latent.copy_from_slice(&state.held_latent);
    if part + 1 == WEIGHTS.len() { std::mem::take(&mut state.mean_output) } else { output.to_vec() }
}

/// A call: which timestep the denoiser sees, and between which the latent moves.
struct Call {
    rule: Rule,
    visited: i64,
    from: i64,
    to: i64,
}

/// The first timestep, the second twice, then the rest.
fn multistep(visited: &[i64], stride: i64) -> Vec<Call> {
    let call = |&t: &i64| Call { rule: Rule::Multistep, visited: t, from: t, to: t - stride };
    let mut calls: Vec<Call> = visited.iter().map(call).collect();
    if let Some(&second) = visited.get(1) {
        calls.insert(1, Call { rule: Rule::Corrected, visited: second, from: second + stride, to: second });
    }
    calls
}

/// Three Runge–Kutta steps over the first timesteps and half-way between them, then multistep calls.
fn warmed_up(visited: &[i64], stride: i64) -> Vec<Call> {
    let half = stride / 2;
    let runge_kutta = visited[..ORDER].windows(2).flat_map(|pair| {
        let (from, to) = (pair[0], pair[1]);
        [(from, from - half), (to + half, to + half), (to + half, to), (to, to)]
            .into_iter()
            .enumerate()
            .map(move |(part, (seen, target))| Call { rule: Rule::RungeKutta(part), visited: seen, from, to: target })
    });
    let call = |&t: &i64| Call { rule: Rule::Multistep, visited: t, from: t, to: t - stride };
    runge_kutta.chain(visited[ORDER - 1..].iter().map(call)).collect()
}

impl Transfer {
    fn new(rule: Rule, from: f32, to: f32) -> Self {
        Self {
            rule,
            alpha: from.sqrt(),
            sigma: (1.0 - from).sqrt(),
            latent: (to / from).sqrt(),
            difference: to - from,
            denominator: from * (1.0 - to).sqrt() + (from * (1.0 - from) * to).sqrt(),
        }
    }

    /// x ← √(ᾱ'/ᾱ) x − (ᾱ' − ᾱ) ε / (ᾱ √(1 − ᾱ') + √(ᾱ (1 − ᾱ) ᾱ')).
    fn apply(&self, prediction: Prediction, output: &[f32], latent: &mut [f32]) {
        for (x, &m) in latent.iter_mut().zip(output) {
            let noise = if prediction == Prediction::Velocity { self.alpha * m + self.sigma * *x } else { m };
            *x = self.latent * *x - self.difference * noise / self.denominator;
        }
    }
}
