//! Run, gather gradients, update.

use std::{collections::HashMap, panic::resume_unwind, time::Instant};

use indexmap::IndexMap;
use plaudit::runtime::{BoundSession, Buffers, Session, SessionSettings};
use plaudit_onnx::DType;
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use super::{Adapter, LOSS, Parameter, StepError, TrainGraph};
use crate::{
    optim::{AdamW, AdamWSettings, DecayRule, Moments, Schedule, Slot, gradient_norm},
    random::Random,
};

/// How weights are trained.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TrainerSettings {
    /// The optimiser's constants.
    pub optimiser: AdamWSettings,
    /// The learning rate.
    pub schedule: Schedule,
    /// Which weights decay.
    pub decay: DecayRule,
    /// Runs of the graph for each update; gradients are averaged. Their batch is the graph's own. More take less memory than a larger graph.
    pub micro_batches: usize,
    /// Sessions that run micro-batches side by side, each with the session's own number of threads and its own copy of the weights.
    /// Two of one thread are faster than one of two where operators are small; the numbers are the same. At most `micro_batches`. Default: 1.
    #[serde(skip, default = "one")]
    pub lanes: usize,
    /// Seed of the generator that [`Batch::random`] offers.
    pub seed: u64,
}

fn one() -> usize {
    1
}

impl TrainerSettings {
    /// AdamW's defaults with a schedule, one micro-batch, one lane, seed 0.
    pub fn new(schedule: Schedule) -> Self {
        Self {
            optimiser: AdamWSettings::default(),
            schedule,
            decay: DecayRule::default(),
            micro_batches: 1,
            lanes: one(),
            seed: 0,
        }
    }
}

/// What a step did.
#[derive(Debug, Clone, PartialEq)]
pub struct StepReport {
    /// The step, counted from 1.
    pub step: u64,
    /// Mean loss over micro-batches, before the update.
    pub loss: f32,
    /// L2 norm of the mean gradient, before clipping.
    pub grad_norm: f32,
    /// Learning rate.
    pub learning_rate: f32,
    /// Wall-clock seconds, filling the batch included.
    pub seconds: f64,
    /// The graph's other scalar outputs, means over micro-batches.
    pub extra: IndexMap<String, f32>,
}

/// The input buffers of one micro-batch, to be filled.
#[derive(Debug)]
pub struct Batch<'a> {
    /// Which of the step's micro-batches, from 0.
    pub micro: usize,
    /// The step's number, from 0.
    pub step: u64,
    /// The run's generator; its state is part of a checkpoint.
    pub random: &'a mut Random,
    /// Position in the data, in any unit; part of a checkpoint.
    pub position: &'a mut u64,
    inputs: &'a mut Buffers,
}

impl Batch<'_> {
    /// An f32 input's elements, row-major; they hold what the last run was fed.
    ///
    /// # Panics
    /// If the graph has no such f32 input.
    pub fn f32(&mut self, name: &str) -> &mut [f32] {
        self.inputs.get_mut(name)
    }

    /// An i64 input's elements, row-major.
    ///
    /// # Panics
    /// If the graph has no such i64 input.
    pub fn i64(&mut self, name: &str) -> &mut [i64] {
        self.inputs.get_mut(name)
    }

    /// Fills an f32 input with standard normals.
    ///
    /// # Panics
    /// If the graph has no such f32 input.
    pub fn fill_normal(&mut self, name: &str) {
        self.random.fill_normal(self.inputs.get_mut(name));
    }
}

/// A session whose input buffers are the weights, and the state of its optimiser.
#[derive(Debug)]
pub struct Trainer {
    pub(super) session: BoundSession,
    /// Sessions beside it, whose weights follow its own after each update.
    others: Vec<BoundSession>,
    pub(super) parameters: Vec<Parameter>,
    pub(super) adapters: Vec<Adapter>,
    pub(super) moments: Vec<Moments>,
    pub(super) settings: TrainerSettings,
    pub(super) fingerprint: String,
    pub(super) step: u64,
    pub(super) position: u64,
    pub(super) random: Random,
    pub(super) seconds: f64,
    /// Gradients summed over micro-batches; empty when there is one.
    sums: Vec<Vec<f32>>,
    /// Scalar outputs that are logged.
    logged: Vec<String>,
}

impl Trainer {
    /// A trainer at step 0, with the weights the graph came with.
    ///
    /// Of `session`, the memory pattern is turned off, which takes 0.6 of the memory at the same speed, and denormals are flushed.
    ///
    /// # Errors
    /// If the runtime refuses the graph.
    pub fn new(graph: TrainGraph, session: &SessionSettings, settings: TrainerSettings) -> Result<Self, StepError> {
        let TrainGraph { model, parameters, start, adapters, fingerprint } = graph;
        let session_settings = SessionSettings { memory_pattern: false, flush_denormals: true, ..session.clone() };
        let lane = || BoundSession::new(Session::from_model(&model, &session_settings)?);
        let mut session = lane()?;
        let lanes = settings.lanes.min(settings.micro_batches);
        let others = (1..lanes).map(|_| lane()).collect::<Result<_, _>>()?;
        let mut moments = Vec::with_capacity(parameters.len());
        for parameter in &parameters {
            let buffer: &mut [f32] = session.buffer_mut(&parameter.name);
            bytemuck::cast_slice_mut(buffer).copy_from_slice(&start[&parameter.name].data);
            moments.push(Moments::new(buffer, &settings.optimiser));
        }
        let summed = if settings.micro_batches > 1 { parameters.as_slice() } else { &[] };
        let sums = summed.iter().map(|parameter| vec![0.0; parameter.shape.iter().product()]).collect();
        let mut trainer = Self {
            logged: scalars(&session),
            random: Random::new(settings.seed),
            session,
            others,
            parameters,
            adapters,
            moments,
            settings,
            fingerprint,
            step: 0,
            position: 0,
            seconds: 0.0,
            sums,
        };
        trainer.spread();
        Ok(trainer)
    }

    /// Copies the weights to the other lanes.
    pub(super) fn spread(&mut self) {
        let Self { session, others, parameters, .. } = self;
        for lane in others {
            for Parameter { name, .. } in parameters.iter() {
                lane.buffer_mut::<f32>(name).copy_from_slice(session.buffer(name));
            }
        }
    }

    /// Steps done.
    pub fn steps(&self) -> u64 {
        self.step
    }

    /// Seconds of training so far, over all legs.
    pub fn seconds(&self) -> f64 {
        self.seconds
    }

    /// The trained weights, in the order of the graph's inputs.
    pub fn parameters(&self) -> &[Parameter] {
        &self.parameters
    }

    /// The low-rank corrections of a LoRA run, whose factors are the trained weights.
    pub fn adapters(&self) -> &[Adapter] {
        &self.adapters
    }

    /// An output of the last run, or a trained weight as it is now.
    ///
    /// # Panics
    /// If the graph has no such f32 value.
    pub fn output(&self, name: &str) -> &[f32] {
        self.session.buffer(name)
    }

    /// One update: `fill` writes each micro-batch's inputs, the graph runs, and the weights move.
    ///
    /// # Errors
    /// If the runtime fails, or the loss or gradient is not finite; the weights are then as before the step.
    pub fn step(&mut self, fill: impl FnMut(&mut Batch<'_>)) -> Result<StepReport, StepError> {
        let began = Instant::now();
        let mut means = self.run_micro_batches(fill)?;
        let loss = means.shift_remove(LOSS).unwrap_or(f32::NAN);
        let grad_norm = self.grad_norm();
        let learning_rate = self.settings.schedule.rate(self.step);
        if !(loss.is_finite() && grad_norm.is_finite()) {
            return Err(StepError::Diverged { step: self.step + 1, loss, grad_norm });
        }
        self.update(learning_rate, grad_norm);
        self.step += 1;
        let seconds = began.elapsed().as_secs_f64();
        self.seconds += seconds;
        Ok(StepReport { step: self.step, loss, grad_norm, learning_rate, seconds, extra: means })
    }

    /// Runs forward and backward without an update and returns the means of all scalar outputs, `loss` among them.
    ///
    /// # Errors
    /// If the runtime fails.
    pub fn evaluate(&mut self, fill: impl FnMut(&mut Batch<'_>)) -> Result<IndexMap<String, f32>, StepError> {
        self.run_micro_batches(fill)
    }

    fn run_micro_batches(&mut self, mut fill: impl FnMut(&mut Batch<'_>)) -> Result<IndexMap<String, f32>, StepError> {
        let mut sums = vec![0.0_f64; self.logged.len()];
        for first in (0..self.settings.micro_batches).step_by(1 + self.others.len()) {
            let last = (first + 1 + self.others.len()).min(self.settings.micro_batches);
            for micro in first..last {
                let (inputs, _) = lane(&mut self.session, &mut self.others, micro - first).split();
                let (random, position) = (&mut self.random, &mut self.position);
                fill(&mut Batch { micro, step: self.step, random, position, inputs });
            }
            run_beside(&mut self.session, &mut self.others[..last - first - 1])?;
            // In the order of micro-batches, so that sums do not depend on the number of lanes.
            for micro in first..last {
                let session = lane(&mut self.session, &mut self.others, micro - first);
                for (sum, name) in sums.iter_mut().zip(&self.logged) {
                    *sum += f64::from(session.buffer::<f32>(name)[0]);
                }
                sum_gradients(&mut self.sums, &self.parameters, session, micro == 0);
            }
        }
        let mean = |(name, sum): (&String, f64)| (name.clone(), (sum / self.settings.micro_batches as f64) as f32);
        Ok(self.logged.iter().zip(sums).map(mean).collect())
    }

    /// Norm of the mean gradient.
    fn grad_norm(&self) -> f32 {
        let summed = !self.sums.is_empty();
        let gradient = |(index, parameter): (usize, &Parameter)| -> &[f32] {
            if summed { &self.sums[index] } else { self.session.buffer(&parameter.gradient) }
        };
        let gradients: Vec<&[f32]> = self.parameters.iter().enumerate().map(gradient).collect();
        gradient_norm(&gradients) / self.settings.micro_batches as f32
    }

    fn update(&mut self, rate: f32, norm: f32) {
        let settings = &self.settings;
        let update = AdamW::at(&settings.optimiser, self.step, rate, settings.micro_batches, norm);
        let (inputs, outputs) = self.session.split();
        let mut buffers: HashMap<&str, &mut [f32]> = inputs.iter_mut::<f32>().collect();
        let states = self.moments.iter_mut().zip(&self.parameters).enumerate();
        let slots = states.filter_map(|(index, (moments, parameter))| {
            Some(Slot {
                parameter: buffers.remove(parameter.name.as_str())?,
                gradient: self.sums.get(index).map_or_else(|| outputs.get(&parameter.gradient), Vec::as_slice),
                moments,
                decays: settings.decay.applies(&parameter.shape),
            })
        });
        update.update(slots.collect());
        self.spread();
    }
}

fn lane<'a>(session: &'a mut BoundSession, others: &'a mut [BoundSession], number: usize) -> &'a mut BoundSession {
    if number == 0 { session } else { &mut others[number - 1] }
}

/// Runs all lanes at once and waits for the last.
fn run_beside(session: &mut BoundSession, others: &mut [BoundSession]) -> Result<(), StepError> {
    let results: Vec<_> = std::thread::scope(|scope| {
        let running: Vec<_> = others.iter_mut().map(|lane| scope.spawn(|| lane.run())).collect();
        let own = session.run();
        let joined = running.into_iter().map(|lane| lane.join().unwrap_or_else(|panic| resume_unwind(panic)));
        std::iter::once(own).chain(joined).collect()
    });
    Ok(results.into_iter().collect::<Result<(), _>>()?)
}

fn sum_gradients(sums: &mut [Vec<f32>], parameters: &[Parameter], session: &mut BoundSession, first: bool) {
    let (_, outputs) = session.split();
    sums.par_iter_mut().zip(parameters).for_each(|(sum, parameter)| {
        let gradient: &[f32] = outputs.get(&parameter.gradient);
        if first {
            sum.copy_from_slice(gradient);
        } else {
            sum.iter_mut().zip(gradient).for_each(|(sum, gradient)| *sum += gradient);
        }
    });
}

/// Outputs of one f32 element that are not gradients.
fn scalars(session: &BoundSession) -> Vec<String> {
    let outputs = session.session().outputs().iter();
    let scalar = outputs.filter(|output| output.dtype == DType::F32 && output.static_shape() == Some(Vec::new()));
    scalar.map(|output| output.name.clone()).filter(|name| !name.starts_with("grad/")).collect()
}
