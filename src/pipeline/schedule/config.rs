//! `scheduler_config.json`: kept as diffusers wrote it, resolved against the class that will run.
//!
//! diffusers builds any compatible scheduler from any other's file: a key the file omits takes the default of the *target*
//! class, a key the target does not know is passed over. So the file is held as read, and [`Options::resolve`] applies one
//! class's defaults, refusing by name every value that the class here cannot do.

use std::path::Path;

use serde_json::{Map, Value};

use super::{ScheduleError, SchedulerKind, reader::Reader, table::alphas_cumprod};
use crate::python_json;

/// Trained timesteps at least and at most: σ is looked up between two of them, and tables have one entry for each.
const TRAINED_TIMESTEPS: std::ops::RangeInclusive<i64> = 2..=100_000;

/// A scheduler's file: its class and its options, not yet resolved.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct SchedulerConfig {
    options: Map<String, Value>,
}

/// How β goes from `beta_start` to `beta_end`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BetaSchedule {
    /// Linear in β.
    Linear,
    /// Linear in √β, as latent diffusion does.
    ScaledLinear,
    /// Cosine in ᾱ (Nichol and Dhariwal 2021, eq. 17), β ≤ 0.999.
    SquaredCosine,
}

/// Which of the trained timesteps are visited (Lin et al. 2023, table 2).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Spacing {
    /// Multiples of `T / steps`, plus `steps_offset`.
    Leading,
    /// Even from 0 to T − 1, both ends included.
    Linspace,
    /// Even, counted down from T.
    Trailing,
}

/// What the denoiser predicts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Prediction {
    /// The noise ε.
    Epsilon,
    /// v = α ε − σ x₀ (Salimans and Ho 2022).
    Velocity,
    /// The clean latent x₀.
    Sample,
}

/// The σ after the last step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FinalSigma {
    /// 0: the result is the last prediction of x₀.
    Zero,
    /// The smallest trained σ.
    Minimum,
}

/// The second-order rule of DPM-Solver++ (Lu et al. 2022, algorithm 2 and its Heun variant).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SolverType {
    /// Midpoint.
    Midpoint,
    /// Heun.
    Heun,
}

/// How training pictures are noised: x_t = √ᾱ_t x₀ + √(1 − ᾱ_t) ε (Ho et al. 2020, eq. 4).
#[derive(Debug, Clone, PartialEq)]
pub struct ForwardProcess {
    /// ᾱ at each trained timestep, from 0; falling.
    pub alphas: Vec<f32>,
    /// What the denoiser predicts.
    pub prediction: Prediction,
}

/// Every option that a scheduler here reads, with its class's defaults applied.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Options {
    pub(super) train_timesteps: usize,
    pub(super) beta_start: f64,
    pub(super) beta_end: f64,
    pub(super) beta_schedule: BetaSchedule,
    pub(super) trained_betas: Option<Vec<f32>>,
    pub(super) rescale_zero_snr: bool,
    pub(super) prediction: Prediction,
    pub(super) spacing: Spacing,
    pub(super) steps_offset: i64,
    pub(super) set_alpha_to_one: bool,
    /// Bound on |x₀| (DDIM's `clip_sample_range`), when clipping is on.
    pub(super) clip: Option<f32>,
    pub(super) skip_prk_steps: bool,
    pub(super) karras: bool,
    /// Euler: σ even in ln σ over the trained range (`interpolation_type` `log_linear`) instead of those of the timesteps.
    pub(super) log_linear: bool,
    pub(super) sigma_min: Option<f64>,
    pub(super) sigma_max: Option<f64>,
    pub(super) final_sigma: FinalSigma,
    pub(super) solver_type: SolverType,
    /// 1 or 2.
    pub(super) solver_order: usize,
    pub(super) lower_order_final: bool,
    pub(super) euler_at_final: bool,
    pub(super) lambda_min_clipped: f64,
}

impl SchedulerConfig {
    /// Parses a `scheduler_config.json`.
    ///
    /// # Errors
    /// When the text is not a JSON object (Python's bare `Infinity` and `NaN`, which diffusers writes, are understood).
    pub fn parse(text: &str) -> Result<Self, ScheduleError> {
        let options = python_json::parse(text).map_err(ScheduleError::Json)?;
        Ok(Self { options })
    }

    /// From JSON that is parsed already.
    ///
    /// # Errors
    /// When it is not an object.
    pub fn from_json(value: &Value) -> Result<Self, ScheduleError> {
        Self::parse(&value.to_string())
    }

    /// Reads `scheduler_config.json`.
    ///
    /// # Errors
    /// When the file cannot be read or is not a JSON object.
    pub fn read(path: &Path) -> Result<Self, ScheduleError> {
        let text =
            std::fs::read_to_string(path).map_err(|source| ScheduleError::File { path: path.to_owned(), source })?;
        Self::parse(&text)
    }

    /// The scheduler that the file itself names.
    ///
    /// # Errors
    /// When `_class_name` is absent or names a class that is not offered here.
    pub fn kind(&self) -> Result<SchedulerKind, ScheduleError> {
        let class = self.options.get("_class_name").and_then(Value::as_str).unwrap_or_default();
        let kind = class.parse()?;
        let karras = self.options.get("use_karras_sigmas") == Some(&Value::Bool(true));
        Ok(if kind == SchedulerKind::DpmPp2m && karras { SchedulerKind::DpmPp2mKarras } else { kind })
    }

    /// Whether the scheduler that the file names is offered here and can run with it.
    ///
    /// # Errors
    /// As [`SchedulerConfig::kind`], and with every option whose value the class here cannot do.
    pub fn check(&self) -> Result<(), ScheduleError> {
        Options::resolve(self.kind()?, self).map(drop)
    }

    /// The forward process that the denoiser was trained on.
    ///
    /// # Errors
    /// As [`SchedulerConfig::check`].
    pub fn forward_process(&self) -> Result<ForwardProcess, ScheduleError> {
        let options = Options::resolve(self.kind()?, self)?;
        Ok(ForwardProcess { alphas: alphas_cumprod(&options), prediction: options.prediction })
    }

    /// The same file naming another scheduler, as [`SchedulerConfig::kind`] reads it.
    #[must_use]
    pub fn named(self, kind: SchedulerKind) -> Self {
        let karras = kind == SchedulerKind::DpmPp2mKarras;
        let named = self.with("_class_name", kind.class().into());
        // The other classes have the option too, and another meaning for it.
        if kind.class() == SchedulerKind::DpmPp2m.class() {
            named.with("use_karras_sigmas", karras.into())
        } else {
            named
        }
    }

    /// As JSON; what stood bare in diffusers' file (`-Infinity`) is a string, which is read alike.
    pub fn to_json(&self) -> Value {
        Value::Object(self.options.clone())
    }

    /// The same file with one option set to another value.
    #[must_use]
    pub fn with(mut self, key: &str, value: Value) -> Self {
        self.options.insert(key.to_owned(), value);
        self
    }
}

impl Options {
    /// Applies `kind`'s defaults to `config`.
    ///
    /// # Errors
    /// [`ScheduleError::Unsupported`] with every option whose value the class here cannot do.
    pub(super) fn resolve(kind: SchedulerKind, config: &SchedulerConfig) -> Result<Self, ScheduleError> {
        let mut read = Reader::new(&config.options);
        let options = Self::read(kind, &mut read);
        Self::refuse(kind, &mut read);
        if kind == SchedulerKind::Pndm && options.prediction == Prediction::Sample {
            read.fault("prediction_type", "epsilon, v_prediction");
        }
        match read.faults.is_empty() {
            true => Ok(options),
            false => Err(ScheduleError::Unsupported { kind, faults: read.faults }),
        }
    }

    fn read(kind: SchedulerKind, read: &mut Reader<'_>) -> Self {
        let ddim = kind == SchedulerKind::Ddim;
        let multiples = ddim || kind == SchedulerKind::Pndm;
        let clips = read.flag("clip_sample", true) && ddim;
        let range = read.number("clip_sample_range", 1.0) as f32;
        let dpm = matches!(kind, SchedulerKind::DpmPp2m | SchedulerKind::DpmPp2mKarras);
        let train_timesteps = read.whole("num_train_timesteps", 1000, TRAINED_TIMESTEPS) as usize;
        Self {
            train_timesteps,
            beta_start: read.share("beta_start", 1e-4),
            beta_end: read.share("beta_end", 2e-2),
            beta_schedule: read.choice("beta_schedule", BetaSchedule::Linear, &BETA_SCHEDULES),
            trained_betas: read.shares("trained_betas", train_timesteps),
            rescale_zero_snr: read.flag("rescale_betas_zero_snr", false) && kind != SchedulerKind::Pndm,
            prediction: read.choice("prediction_type", Prediction::Epsilon, &PREDICTIONS),
            spacing: read.choice(
                "timestep_spacing",
                if multiples { Spacing::Leading } else { Spacing::Linspace },
                &SPACINGS,
            ),
            steps_offset: read.whole("steps_offset", 0, 0..=*TRAINED_TIMESTEPS.end()),
            set_alpha_to_one: read.flag("set_alpha_to_one", ddim),
            clip: clips.then_some(range),
            skip_prk_steps: read.flag("skip_prk_steps", false),
            karras: match kind {
                SchedulerKind::DpmPp2m => false,
                SchedulerKind::DpmPp2mKarras => true,
                _ => read.flag("use_karras_sigmas", false),
            },
            log_linear: kind == SchedulerKind::Euler && read.choice("interpolation_type", false, &INTERPOLATIONS),
            sigma_min: read.optional_number("sigma_min"),
            sigma_max: read.optional_number("sigma_max"),
            final_sigma: read.choice("final_sigmas_type", FinalSigma::Zero, &FINAL_SIGMAS),
            solver_type: read.choice("solver_type", SolverType::Midpoint, &SOLVER_TYPES),
            solver_order: if dpm { read.whole("solver_order", 2, 1..=2) as usize } else { 1 },
            lower_order_final: read.flag("lower_order_final", true),
            euler_at_final: read.flag("euler_at_final", false),
            lambda_min_clipped: read.optional_number("lambda_min_clipped").unwrap_or(f64::NEG_INFINITY),
        }
    }

    /// Options of the class that have one value here.
    fn refuse(kind: SchedulerKind, read: &mut Reader<'_>) {
        let off = Value::Bool(false);
        let dpm = matches!(kind, SchedulerKind::DpmPp2m | SchedulerKind::DpmPp2mKarras);
        if dpm || kind == SchedulerKind::Ddim {
            read.only("thresholding", &off);
        }
        if dpm || kind == SchedulerKind::Euler {
            read.only("use_exponential_sigmas", &off);
            read.only("use_beta_sigmas", &off);
        }
        if kind == SchedulerKind::Euler {
            read.only("timestep_type", &"discrete".into());
        }
        if dpm {
            read.only("use_lu_lambdas", &off);
            read.only("use_flow_sigmas", &off);
            read.only("use_dynamic_shifting", &off);
            read.only("algorithm_type", &"dpmsolver++".into());
            read.only("variance_type", &Value::Null);
        }
    }
}

const BETA_SCHEDULES: [(&str, BetaSchedule); 3] = [
    ("linear", BetaSchedule::Linear),
    ("scaled_linear", BetaSchedule::ScaledLinear),
    ("squaredcos_cap_v2", BetaSchedule::SquaredCosine),
];
const PREDICTIONS: [(&str, Prediction); 3] =
    [("epsilon", Prediction::Epsilon), ("v_prediction", Prediction::Velocity), ("sample", Prediction::Sample)];
const SPACINGS: [(&str, Spacing); 3] =
    [("leading", Spacing::Leading), ("linspace", Spacing::Linspace), ("trailing", Spacing::Trailing)];
const INTERPOLATIONS: [(&str, bool); 2] = [("linear", false), ("log_linear", true)];
const FINAL_SIGMAS: [(&str, FinalSigma); 2] = [("zero", FinalSigma::Zero), ("sigma_min", FinalSigma::Minimum)];
/// The last three are other solvers' names for which diffusers takes the midpoint rule.
const SOLVER_TYPES: [(&str, SolverType); 5] = [
    ("midpoint", SolverType::Midpoint),
    ("heun", SolverType::Heun),
    ("logrho", SolverType::Midpoint),
    ("bh1", SolverType::Midpoint),
    ("bh2", SolverType::Midpoint),
];
