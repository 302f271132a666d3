//! The trained noise schedule ᾱ and the timesteps visited, in the precision and order of operations of torch and NumPy.
//!
//! Near t = 0, 1 − ᾱ cancels: a table in f64 would differ from diffusers' by 10⁻⁴ in σ. Where diffusers rounds to f32, so do we.

use super::config::{BetaSchedule, Options, Spacing};

/// Largest β of the cosine schedule (diffusers' `max_beta`).
const COSINE_MAX_BETA: f64 = 0.999;
/// Offset of the cosine schedule (Nichol and Dhariwal 2021, eq. 17).
const COSINE_OFFSET: f64 = 0.008;
/// Stands for ᾱ_T = 0 where a σ is needed: 2⁻²⁴ makes σ_T = 4096.
const ZERO_SNR_ALPHA: f32 = 1.0 / 16_777_216.0;
/// Karras et al. 2022, eq. 5.
const KARRAS_RHO: f64 = 7.0;

/// Signal and noise of a point: x = α x₀ + σ ε.
#[derive(Debug, Clone, Copy)]
pub(super) struct Level {
    pub(super) alpha: f32,
    pub(super) sigma: f32,
}

impl Level {
    /// From ᾱ.
    pub(super) fn of_alpha_bar(alpha_bar: f32) -> Self {
        Self { alpha: alpha_bar.sqrt(), sigma: (1.0 - alpha_bar).sqrt() }
    }

    /// From σ/α, Euler's σ.
    pub(super) fn of_ratio(ratio: f32) -> Self {
        let alpha = 1.0 / (ratio * ratio + 1.0).sqrt();
        Self { alpha, sigma: ratio * alpha }
    }
}

/// ᾱ at each trained timestep.
pub(super) fn alphas_cumprod(options: &Options) -> Vec<f32> {
    let betas = options.trained_betas.clone().unwrap_or_else(|| match options.beta_schedule {
        BetaSchedule::Linear => linspace_f32(options.beta_start, options.beta_end, options.train_timesteps),
        BetaSchedule::ScaledLinear => {
            linspace_f32(options.beta_start.sqrt(), options.beta_end.sqrt(), options.train_timesteps)
                .into_iter()
                .map(|root| root * root)
                .collect()
        }
        BetaSchedule::SquaredCosine => cosine_betas(options.train_timesteps),
    });
    let betas = if options.rescale_zero_snr { rescale_zero_terminal_snr(&betas) } else { betas };
    cumulative_product(betas.iter().map(|beta| 1.0 - beta))
}

/// ᾱ with its last entry lifted from zero when the schedule ends in pure noise, so that σ stays finite.
pub(super) fn alphas_for_sigmas(options: &Options) -> Vec<f32> {
    let mut alphas = alphas_cumprod(options);
    if options.rescale_zero_snr
        && let Some(last) = alphas.last_mut()
    {
        *last = ZERO_SNR_ALPHA;
    }
    alphas
}

/// σ = √((1 − ᾱ) / ᾱ) at each trained timestep, ascending.
pub(super) fn sigmas(alphas: &[f32]) -> Vec<f32> {
    alphas.iter().map(|alpha| ((1.0 - alpha) / alpha).sqrt()).collect()
}

/// torch.linspace in f32: from both ends towards the middle, multiplication and addition fused.
fn linspace_f32(start: f64, end: f64, count: usize) -> Vec<f32> {
    let (start, end) = (start as f32, end as f32);
    let step = if count > 1 { (end - start) / (count - 1) as f32 } else { 0.0 };
    let at = |i: usize| match i < count / 2 {
        true => step.mul_add(i as f32, start),
        false => (-step).mul_add((count - i - 1) as f32, end),
    };
    (0..count).map(at).collect()
}

fn cosine_betas(count: usize) -> Vec<f32> {
    let alpha_bar = |t: f64| ((t + COSINE_OFFSET) / (1.0 + COSINE_OFFSET) * std::f64::consts::FRAC_PI_2).cos().powi(2);
    let at = |i: usize| alpha_bar(i as f64 / count as f64);
    (0..count).map(|i| (1.0 - at(i + 1) / at(i)).min(COSINE_MAX_BETA) as f32).collect()
}

/// torch.cumprod of f32: accumulated in f64, rounded at each entry.
fn cumulative_product(factors: impl Iterator<Item = f32>) -> Vec<f32> {
    factors
        .scan(1.0_f64, |product, factor| {
            *product *= f64::from(factor);
            Some(*product as f32)
        })
        .collect()
}

/// Shifts √ᾱ so that it ends at zero and scales it back to its first value (Lin et al. 2023, algorithm 1).
fn rescale_zero_terminal_snr(betas: &[f32]) -> Vec<f32> {
    let mut roots: Vec<f32> =
        cumulative_product(betas.iter().map(|beta| 1.0 - beta)).into_iter().map(f32::sqrt).collect();
    let (Some(&first), Some(&last)) = (roots.first(), roots.last()) else { return Vec::new() };
    let scale = first / (first - last);
    for root in &mut roots {
        *root = (*root - last) * scale;
    }
    let alpha_bar: Vec<f32> = roots.iter().map(|root| root * root).collect();
    let first = std::iter::once(1.0 - alpha_bar[0]);
    first.chain(alpha_bar.windows(2).map(|pair| 1.0 - pair[1] / pair[0])).collect()
}

/// NumPy's linspace: `start + i · step`, the last value exactly `end`.
pub(super) fn linspace(start: f64, end: f64, count: usize) -> Vec<f64> {
    let step = if count > 1 { (end - start) / (count - 1) as f64 } else { 0.0 };
    let exact_end = |i| count > 1 && i == count - 1;
    (0..count).map(|i| if exact_end(i) { end } else { start + step * i as f64 }).collect()
}

/// The visited timesteps of DDIM, PNDM and Euler, descending. DDIM and PNDM round `linspace`'s to whole ones.
pub(super) fn timesteps(options: &Options, steps: usize, whole: bool) -> Vec<f64> {
    let trained = options.train_timesteps;
    match options.spacing {
        Spacing::Linspace => {
            let even = linspace(0.0, (trained - 1) as f64, steps).into_iter().rev();
            even.map(|t| if whole { t.round_ties_even() } else { f64::from(t as f32) }).collect()
        }
        Spacing::Leading => leading(trained / steps, steps, options.steps_offset),
        Spacing::Trailing => trailing(trained as f64, trained as f64 / steps as f64, steps),
    }
}

/// Multiples of `ratio` below `count · ratio`, plus `offset`, descending.
pub(super) fn leading(ratio: usize, count: usize, offset: i64) -> Vec<f64> {
    (0..count).rev().map(|i| ((i * ratio) as i64 + offset) as f64).collect()
}

/// From `start` down by `ratio`, rounded, minus one.
pub(super) fn trailing(start: f64, ratio: f64, count: usize) -> Vec<f64> {
    (0..count).map(|i| (start - i as f64 * ratio).round_ties_even() - 1.0).collect()
}

/// `numpy.interp` over 0, 1, 2 …: the table's value at a fractional index, clamped to its ends.
pub(super) fn interpolate(table: &[f32], index: f64) -> f64 {
    let last = table.len() - 1;
    let low = (index.max(0.0) as usize).min(last);
    if low == last {
        return f64::from(table[last]);
    }
    let (a, b) = (f64::from(table[low]), f64::from(table[low + 1]));
    (b - a) * (index.max(0.0) - low as f64) + a
}

/// `count` values of σ from `maximum` to `minimum`, even in σ^(1/ρ) (Karras et al. 2022, eq. 5).
pub(super) fn karras(minimum: f64, maximum: f64, count: usize) -> Vec<f64> {
    let (low, high) = (minimum.powf(1.0 / KARRAS_RHO), maximum.powf(1.0 / KARRAS_RHO));
    linspace(0.0, 1.0, count).into_iter().map(|ramp| (high + ramp * (low - high)).powf(KARRAS_RHO)).collect()
}

/// `count` values of σ over the trained range, descending, even in ln σ.
pub(super) fn log_linear(trained: &[f32], count: usize) -> Vec<f64> {
    let log = |sigma: f32| f64::from(sigma.ln());
    let logs = linspace_f32(log(trained[trained.len() - 1]), log(trained[0]), count);
    logs.into_iter().map(|log| f64::from(log.exp())).collect()
}

/// The fractional timestep whose σ this is, linear in log σ between trained timesteps.
pub(super) fn timestep_of(sigma: f64, sigmas: &[f32]) -> f64 {
    /// Below it the logarithm is cut, as diffusers does.
    const SMALLEST_SIGMA: f64 = 1e-10;
    let log = |sigma: f32| f64::from(sigma).ln() as f32;
    let wanted = sigma.max(SMALLEST_SIGMA).ln();
    let not_above = sigmas.partition_point(|&trained| f64::from(log(trained)) <= wanted);
    let low = not_above.saturating_sub(1).min(sigmas.len() - 2);
    let (a, b) = (log(sigmas[low]), log(sigmas[low + 1]));
    let weight = ((f64::from(a) - wanted) / f64::from(a - b)).clamp(0.0, 1.0);
    (1.0 - weight) * low as f64 + weight * (low + 1) as f64
}
