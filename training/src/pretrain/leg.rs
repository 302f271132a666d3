//! A stretch of training that ends on time or at the last step, and goes on where the one before ended.

use std::{path::Path, thread::available_parallelism, time::Instant};

use plaudit::runtime::SessionSettings;
use plaudit_onnx::Model;

use super::{PretrainError, Workshop, journal};
use crate::{
    optim::{AdamWSettings, Schedule},
    progress::{self, Run, RunSettings},
    step::{Batch, Selection, TrainGraph, Trainer, TrainerSettings},
};

/// Steps between checkpoints.
const CHECKPOINT_EVERY: u64 = 200;
/// Share of all steps over which weights are averaged at the end, and the longest average (the recipe's).
const AVERAGED_SHARE: f32 = 0.2;
const LONGEST_AVERAGE: f32 = 0.9995;
/// Steps from which the optimiser's moments are measured where there is no checkpoint: squared gradients are then known to about a tenth.
const REMEASURED: u64 = 100;

/// A stage's own numbers.
pub(super) struct Plan<'a> {
    /// Directory under the data directory, and the curve's title.
    pub(super) name: &'a str,
    /// Steps in all, over which the rate falls.
    pub(super) steps: u64,
    /// Step after which this leg ends in any case: a stage may have several graphs.
    pub(super) until: u64,
    /// Highest and last learning rate.
    pub(super) rate: (f32, f32),
    pub(super) warmup: u64,
    pub(super) weight_decay: f32,
    pub(super) micro_batches: usize,
    pub(super) selection: Selection,
}

/// A trainer for `model`, not yet resumed.
pub(super) fn trainer(workshop: &Workshop, plan: &Plan<'_>, model: Model) -> Result<Trainer, PretrainError> {
    let graph = TrainGraph::build(model, &plan.selection, &Default::default())?;
    let threads = if workshop.threads == 0 { available_parallelism().map_or(1, usize::from) } else { workshop.threads };
    let lanes = threads.min(plan.micro_batches);
    let average = (1.0 - 1.0 / (AVERAGED_SHARE * plan.steps as f32)).clamp(0.0, LONGEST_AVERAGE);
    let settings = TrainerSettings {
        optimiser: AdamWSettings {
            weight_decay: plan.weight_decay,
            average: Some(average),
            ..AdamWSettings::default()
        },
        micro_batches: plan.micro_batches,
        lanes,
        seed: workshop.seed,
        ..TrainerSettings::new(Schedule {
            peak: plan.rate.0,
            floor: plan.rate.1,
            warmup: plan.warmup,
            total: plan.steps,
        })
    };
    // Legs run for hours beside other work: threads that wait must not burn the cores.
    let session = SessionSettings { threads: threads / lanes, spinning: false, ..SessionSettings::default() };
    Ok(Trainer::new(graph, &session, settings)?)
}

/// Trains until the leg's time is over or `plan.until` is reached; returns whether it was.
///
/// `batches` makes the function that fills inputs, once it is known where the run stands.
pub(super) fn run<F: FnMut(&mut Batch<'_>)>(
    workshop: &Workshop,
    plan: &Plan<'_>,
    trainer: &mut Trainer,
    batches: impl FnOnce(&Trainer) -> Result<F, PretrainError>,
) -> Result<bool, PretrainError> {
    let directory = directory(workshop, plan.name);
    let settings =
        RunSettings { checkpoint_every: CHECKPOINT_EVERY, ..RunSettings::new(&directory, plan.name, plan.until) };
    let began = Instant::now();
    let mut run = Run::open(settings, trainer)?;
    let remeasured = rejoin(workshop, plan, trainer)?;
    let mut fill = batches(trainer)?;
    trainer.warm_moments(remeasured, &mut fill)?;
    let in_time = || workshop.leg.is_none_or(|leg| began.elapsed() < leg);
    while !run.is_done(trainer) && in_time() && !stopped(&directory) {
        let report = trainer.step(&mut fill)?;
        run.record(trainer, &report)?;
    }
    let done = run.is_done(trainer);
    run.finish(trainer)?;
    tracing::info!(
        "{}: {} of {} steps, {:.0} minutes of training so far",
        plan.name,
        trainer.steps(),
        plan.steps,
        trainer.seconds() / 60.0
    );
    Ok(done)
}

/// Where the stage stands without the run's checkpoint, the pack's weights are the run's: sets `trainer` a few steps before that,
/// so that these steps' batches give it moments, and returns how many. Batches, rates and averages then go on as in an unbroken run.
fn rejoin(workshop: &Workshop, plan: &Plan<'_>, trainer: &mut Trainer) -> Result<u64, PretrainError> {
    let standing = journal::standing(workshop, plan.name)?;
    let (name, steps) = (plan.name, trainer.steps());
    if steps > 0 {
        if steps < standing.steps {
            tracing::warn!(
                "{name}: the checkpoint stands at step {steps} and goes on from there; the pack's state.json knows {}",
                standing.steps
            );
        }
        return Ok(0);
    }
    let remeasured = REMEASURED.min(standing.steps);
    trainer.stand_at(standing.steps - remeasured, standing.seconds);
    if remeasured > 0 {
        tracing::info!("{name}: no checkpoint; going on from the pack's weights after step {}", standing.steps);
    }
    Ok(remeasured)
}

/// Steps that a stage has done: its run's checkpoint says, or without one the pack.
pub(super) fn steps_done(workshop: &Workshop, name: &str) -> Result<u64, PretrainError> {
    let saved = progress::steps_saved(&directory(workshop, name))?;
    saved.map_or_else(|| Ok(journal::standing(workshop, name)?.steps), Ok)
}

pub(super) fn directory(workshop: &Workshop, name: &str) -> std::path::PathBuf {
    workshop.data.join(name)
}

/// A file named `stop` in the stage's directory ends the leg after the running step, with all that a leg's end writes.
fn stopped(directory: &Path) -> bool {
    let stop = directory.join("stop");
    stop.exists() && std::fs::remove_file(stop).is_ok()
}
