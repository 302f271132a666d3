//! Noise schedules and solvers: how a row's latent moves between two calls of the denoiser.
//!
//! A [`Schedule`] is an immutable plan for one scheduler and number of steps; many rows may share it. What a row carries
//! from call to call is its [`ScheduleState`]. Every scheduler is diffusers' class of the same name, number for number.
//!
//! ```
//! use plaudit::pipeline::schedule::{Schedule, SchedulerConfig, SchedulerKind};
//! let config = SchedulerConfig::parse(r#"{"beta_schedule": "scaled_linear"}"#)?;
//! let schedule = Schedule::new(SchedulerKind::Euler, &config, 20)?;
//! let mut latent = vec![schedule.init_noise_sigma(); 4];
//! let mut state = schedule.state();
//! for step in 0..schedule.timesteps().len() {
//!     let seen = schedule.scale_input(step, &latent).into_owned();
//!     let output = seen; // the denoiser's answer at schedule.timesteps()[step]
//!     schedule.step(&mut state, step, &output, &mut latent, |_fresh_noise| {});
//! }
//! # Ok::<(), plaudit::pipeline::schedule::ScheduleError>(())
//! ```

mod config;
mod ddim;
mod dpmpp;
mod euler;
mod pndm;
mod reader;
mod table;

use std::{borrow::Cow, path::PathBuf, str::FromStr};

use config::Options;
pub use config::{BetaSchedule, FinalSigma, ForwardProcess, Prediction, SchedulerConfig, SolverType, Spacing};
pub use reader::OptionFault;
use table::Level;

/// The schedulers offered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum SchedulerKind {
    /// `ddim`, DDIMScheduler with η = 0.
    Ddim,
    /// `pndm`, PNDMScheduler.
    Pndm,
    /// `euler`, EulerDiscreteScheduler.
    Euler,
    /// `euler_a`, EulerAncestralDiscreteScheduler: draws fresh noise at each step.
    EulerAncestral,
    /// `dpmpp_2m`, DPMSolverMultistepScheduler.
    DpmPp2m,
    /// `dpmpp_2m_karras`, the same over Karras's σ.
    DpmPp2mKarras,
}

impl SchedulerKind {
    /// All, in the order in which messages list them.
    pub const ALL: [Self; 6] =
        [Self::Ddim, Self::Pndm, Self::Euler, Self::EulerAncestral, Self::DpmPp2m, Self::DpmPp2mKarras];

    /// The short name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Ddim => "ddim",
            Self::Pndm => "pndm",
            Self::Euler => "euler",
            Self::EulerAncestral => "euler_a",
            Self::DpmPp2m => "dpmpp_2m",
            Self::DpmPp2mKarras => "dpmpp_2m_karras",
        }
    }

    /// diffusers' class.
    pub fn class(self) -> &'static str {
        match self {
            Self::Ddim => "DDIMScheduler",
            Self::Pndm => "PNDMScheduler",
            Self::Euler => "EulerDiscreteScheduler",
            Self::EulerAncestral => "EulerAncestralDiscreteScheduler",
            Self::DpmPp2m | Self::DpmPp2mKarras => "DPMSolverMultistepScheduler",
        }
    }
}

impl std::fmt::Display for SchedulerKind {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for SchedulerKind {
    type Err = ScheduleError;

    /// By short name or by diffusers' class name.
    fn from_str(name: &str) -> Result<Self, ScheduleError> {
        let named = |kind: &Self| kind.name() == name || kind.class() == name;
        Self::ALL.into_iter().find(named).ok_or_else(|| ScheduleError::Unknown(name.to_owned()))
    }
}

/// Why there is no such schedule.
#[derive(Debug, thiserror::Error)]
#[allow(missing_docs)]
pub enum ScheduleError {
    #[error("cannot read {path}: {source}", path = path.display())]
    File { path: PathBuf, source: std::io::Error },
    #[error("scheduler_config.json is not a JSON object: {0}")]
    Json(#[source] serde_json::Error),
    #[error("there is no scheduler {0:?}; there are {names}", names = names())]
    Unknown(String),
    #[error("the scheduler {kind} cannot run with this scheduler_config.json: {}", join(faults))]
    Unsupported { kind: SchedulerKind, faults: Vec<OptionFault> },
    #[error("{steps} steps are outside of {least} to {most}, what this scheduler can do with its configuration")]
    Steps { steps: usize, least: usize, most: usize },
}

fn names() -> String {
    SchedulerKind::ALL.map(SchedulerKind::name).join(", ")
}

fn join(faults: &[OptionFault]) -> String {
    faults.iter().map(OptionFault::to_string).collect::<Vec<_>>().join("; ")
}

/// An immutable plan: the timesteps to visit and every coefficient of every step.
#[derive(Debug, Clone)]
pub struct Schedule {
    kind: SchedulerKind,
    timesteps: Vec<f32>,
    init_noise_sigma: f32,
    rule: Rule,
    /// Steps asked for; PNDM makes more calls.
    steps: usize,
    prediction: Prediction,
}

#[derive(Debug, Clone)]
enum Rule {
    Ddim(ddim::Ddim),
    Pndm(pndm::Pndm),
    Euler(euler::Euler),
    DpmPp2m(dpmpp::DpmPp2m),
}

/// What one row remembers between calls: earlier outputs and, for PNDM, an earlier latent. Empty before the first call.
#[derive(Debug, Clone, Default)]
pub struct ScheduleState {
    outputs: Vec<Vec<f32>>,
    held_latent: Vec<f32>,
    mean_output: Vec<f32>,
}

impl Schedule {
    /// Plans `steps` steps (1 to the number of trained timesteps).
    ///
    /// # Errors
    /// An option that this scheduler cannot do (all are named), or a number of steps outside of what the options allow.
    pub fn new(kind: SchedulerKind, config: &SchedulerConfig, steps: usize) -> Result<Self, ScheduleError> {
        let options = Options::resolve(kind, config)?;
        let most = options.train_timesteps;
        if steps == 0 || steps > most {
            return Err(ScheduleError::Steps { steps, least: 1, most });
        }
        /// Schedulers that are not in σ start from the unit normal itself.
        const UNIT: f32 = 1.0;
        let (rule, timesteps, init_noise_sigma) = match kind {
            SchedulerKind::Ddim => {
                let (plan, timesteps) = ddim::Ddim::new(&options, steps)?;
                (Rule::Ddim(plan), timesteps, UNIT)
            }
            SchedulerKind::Pndm => {
                let (plan, timesteps) = pndm::Pndm::new(&options, steps)?;
                (Rule::Pndm(plan), timesteps, UNIT)
            }
            SchedulerKind::Euler | SchedulerKind::EulerAncestral => {
                let (plan, start) = euler::Euler::new(kind, &options, steps);
                (Rule::Euler(plan), start.timesteps, start.init_noise_sigma)
            }
            SchedulerKind::DpmPp2m | SchedulerKind::DpmPp2mKarras => {
                let (plan, timesteps) = dpmpp::DpmPp2m::new(&options, steps)?;
                (Rule::DpmPp2m(plan), timesteps, UNIT)
            }
        };
        Ok(Self { kind, timesteps, init_noise_sigma, rule, steps, prediction: options.prediction })
    }

    /// Which scheduler this is.
    pub fn kind(&self) -> SchedulerKind {
        self.kind
    }

    /// The timestep of each call of the denoiser; PNDM makes one call more than there are steps.
    pub fn timesteps(&self) -> &[f32] {
        &self.timesteps
    }

    /// Factor of the unit normal noise that the first latent is.
    pub fn init_noise_sigma(&self) -> f32 {
        self.init_noise_sigma
    }

    /// What a row remembers before its first call.
    pub fn state(&self) -> ScheduleState {
        ScheduleState::default()
    }

    /// The latent as the denoiser is to see it at call `step`.
    pub fn scale_input<'a>(&self, step: usize, latent: &'a [f32]) -> Cow<'a, [f32]> {
        match &self.rule {
            Rule::Euler(plan) => {
                let divisor = plan.input_divisor(step);
                Cow::Owned(latent.iter().map(|x| x / divisor).collect())
            }
            Rule::Ddim(_) | Rule::Pndm(_) | Rule::DpmPp2m(_) => Cow::Borrowed(latent),
        }
    }

    /// The end of this plan, for a run that starts from a picture and may leave it by `strength`, in (0, 1]: of the steps
    /// asked for the last `strength` are done, one call at least.
    #[must_use]
    pub fn ending(mut self, strength: f64) -> Self {
        let done = ((self.steps as f64 * strength) as usize).min(self.steps);
        let skipped = (self.steps - done).min(self.timesteps.len().saturating_sub(1));
        self.timesteps.drain(..skipped);
        match &mut self.rule {
            Rule::Ddim(plan) => plan.skip(skipped),
            Rule::Pndm(plan) => plan.skip(skipped),
            Rule::Euler(plan) => plan.skip(skipped),
            Rule::DpmPp2m(plan) => plan.skip(skipped),
        }
        self
    }

    /// A clean latent with as much of `noise` as call `step` expects, as the solver holds it.
    pub fn noised(&self, step: usize, clean: &[f32], noise: &[f32]) -> Vec<f32> {
        let level = self.level(step);
        // Euler's latents are not scaled down by α.
        let (signal, deviation) = match &self.rule {
            Rule::Euler(_) => (1.0, level.sigma / level.alpha),
            Rule::Ddim(_) | Rule::Pndm(_) | Rule::DpmPp2m(_) => (level.alpha, level.sigma),
        };
        clean.iter().zip(noise).map(|(x, z)| signal * x + deviation * z).collect()
    }

    /// x̂₀: the clean latent that the denoiser's output at call `step` amounts to; `seen` is what the denoiser saw.
    pub fn estimate(&self, step: usize, output: &[f32], seen: &[f32]) -> Vec<f32> {
        let Level { alpha, sigma } = self.level(step);
        let clean = |(&m, &x): (&f32, &f32)| match self.prediction {
            Prediction::Epsilon => (x - sigma * m) / alpha,
            Prediction::Sample => m,
            Prediction::Velocity => alpha * x - sigma * m,
        };
        output.iter().zip(seen).map(clean).collect()
    }

    /// How much signal and noise the denoiser sees at a call.
    fn level(&self, step: usize) -> Level {
        match &self.rule {
            Rule::Ddim(plan) => plan.level(step),
            Rule::Pndm(plan) => plan.level(step),
            Rule::Euler(plan) => plan.level(step),
            Rule::DpmPp2m(plan) => plan.level(step),
        }
    }

    /// Moves a row's latent over call `step`, given the denoiser's (guided) output there.
    ///
    /// `noise` fills a slice with unit normals from the row's own generator; only the ancestral scheduler calls it, once a call.
    pub fn step(
        &self,
        state: &mut ScheduleState,
        step: usize,
        output: &[f32],
        latent: &mut [f32],
        noise: impl FnOnce(&mut [f32]),
    ) {
        match &self.rule {
            Rule::Ddim(plan) => plan.step(step, output, latent),
            Rule::Pndm(plan) => plan.step(state, step, output, latent),
            Rule::Euler(plan) => plan.step(step, output, latent, noise),
            Rule::DpmPp2m(plan) => plan.step(state, step, output, latent),
        }
    }
}

/// ᾱ at a timestep; past the clean end, `last`.
fn alpha_at(alphas: &[f32], timestep: i64, last: f32, steps: usize) -> Result<f32, ScheduleError> {
    let most = steps.saturating_sub(1);
    match usize::try_from(timestep) {
        Err(_) => Ok(last),
        Ok(index) => alphas.get(index).copied().ok_or(ScheduleError::Steps { steps, least: 1, most }),
    }
}
