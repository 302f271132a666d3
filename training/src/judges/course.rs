//! How a judge learns: the same loop for both, over a network and drawings of its own.

use std::{fs, path::Path, thread::available_parallelism, time::Instant};

use plaudit::runtime::SessionSettings;
use plaudit_onnx::{
    DType::F32,
    Dim, MODEL_FILE, Model, Tensor, WEIGHTS_FILE,
    expr::{BuildError, Builder},
};

use super::{
    JudgeError, Training, Which,
    shown::{HEADS, Sample, Shown},
};
use crate::{
    optim::{AdamWSettings, Schedule},
    pretrain::feed::Feed,
    progress::{Run, RunSettings},
    step::{Batch, Selection, TrainGraph, Trainer, TrainerSettings, Which as Weights},
};

/// Pictures of a step, all micro-batches together.
const BATCH: usize = 64;
/// Highest and last learning rate.
const RATE: (f32, f32) = (2e-3, 1e-5);
/// Highest rate where a finished judge goes on.
const FURTHER_RATE: f32 = 6e-4;
/// Its drawings come after all that it has seen.
const FURTHER: u64 = 1 << 32;
const WARMUP: u64 = 100;
const WEIGHT_DECAY: f32 = 0.01;
/// Weights are averaged over about so many of the last steps.
const AVERAGED_STEPS: f32 = 200.0;
const CHECKPOINT_EVERY: u64 = 200;

/// Extents of a network's input: channels and side.
pub(super) type Extents = (usize, usize);

/// Trains `network`, whose input is `pixels` and whose outputs are [`HEADS`], and writes it into `training.out`.
///
/// `sample` draws a picture from a seed; `planes` writes it as the network's input.
pub(super) fn run(
    which: Which,
    training: &Training,
    mut network: Model,
    (channels, side): Extents,
    sample: impl Fn(u64) -> Sample + Send + 'static,
    planes: impl Fn(&Sample, &mut [f32]) + Send + 'static,
) -> Result<(), JudgeError> {
    if let Some(from) = &training.from {
        take_over(&mut network, from)?;
    }
    let threads = if training.threads == 0 { available_parallelism().map_or(1, usize::from) } else { training.threads };
    let rows = BATCH / threads;
    let graph = TrainGraph::build(objective(&network, rows, (channels, side))?, &Selection::All, &Default::default())?;
    let mut trainer = Trainer::new(graph, &session(), settings(training, threads))?;
    let directory = training.data.join(which.name());
    let name = format!("{} judge", which.name());
    let run = RunSettings { checkpoint_every: CHECKPOINT_EVERY, ..RunSettings::new(directory, &name, training.steps) };
    let (mut run, began) = (Run::open(run, &mut trainer)?, Instant::now());
    let length = channels * side * side;
    let seen = if training.from.is_some() { FURTHER } else { 0 };
    let micro_batches = seen + trainer.steps() * threads as u64;
    let feed = Feed::start(micro_batches, move |number| batch(rows, length, number, &sample, &planes));
    while !run.is_done(&trainer) && training.leg.is_none_or(|leg| began.elapsed() < leg) {
        let report = trainer.step(|batch| fill(batch, feed.next()))?;
        run.record(&trainer, &report)?;
    }
    run.finish(&trainer)?;
    trainer.apply(&mut network, "", Weights::Average);
    write(training, &network)
}

fn settings(training: &Training, threads: usize) -> TrainerSettings {
    let optimiser = AdamWSettings {
        weight_decay: WEIGHT_DECAY,
        average: Some(1.0 - 1.0 / AVERAGED_STEPS),
        ..AdamWSettings::default()
    };
    let peak = if training.from.is_some() { FURTHER_RATE } else { RATE.0 };
    let schedule = Schedule { peak, floor: RATE.1, warmup: WARMUP, total: training.steps };
    let new = TrainerSettings::new(schedule);
    TrainerSettings { optimiser, micro_batches: threads, lanes: threads, seed: training.seed, ..new }
}

/// Gives the network a finished judge's weights.
fn take_over(network: &mut Model, from: &Path) -> Result<(), JudgeError> {
    let mut known = Model::read(&from.join(MODEL_FILE))?;
    for (name, tensor) in &mut network.graph.initializers {
        let fits = |other: &Tensor| other.shape == tensor.shape && other.dtype == tensor.dtype;
        match known.graph.initializers.shift_remove(name).filter(fits) {
            Some(other) => *tensor = other,
            None => return Err(JudgeError::OtherNetwork { from: from.to_owned(), weight: name.clone() }),
        }
    }
    Ok(())
}

/// Small operators: a session of one thread for each lane. Threads that wait must not burn the cores.
fn session() -> SessionSettings {
    SessionSettings { threads: 1, spinning: false, ..SessionSettings::default() }
}

/// `L = Σ over heads of −mean_i Σ_k t_ik · log softmax(logits)_ik`; a row of zeros in t says nothing.
fn objective(network: &Model, rows: usize, (channels, side): Extents) -> Result<Model, BuildError> {
    let b = Builder::new("judge", network.opsets.get("").copied().unwrap_or_default());
    let pixels = b.input("pixels", F32, &[rows, channels, side, side].map(Dim::Fixed));
    let logits = b.call(network, "", &[("pixels", pixels)]);
    let mut total = b.constant(0.0);
    for ((name, classes), logits) in HEADS.iter().zip(logits) {
        let target = b.input(&target(name), F32, &[rows, *classes].map(Dim::Fixed));
        let loss = -(logits.log_softmax(-1) * target).sum_all() / rows as f32;
        b.output(&format!("{name}_loss"), &(&loss * 1.0));
        total = total + loss;
    }
    b.output("loss", &total);
    b.finish()
}

fn target(head: &str) -> String {
    format!("{head}_target")
}

/// One micro-batch: input planes and what each picture shows.
type Drawn = (Vec<f32>, Vec<Shown>);

fn batch(
    rows: usize,
    length: usize,
    number: u64,
    sample: &impl Fn(u64) -> Sample,
    planes: &impl Fn(&Sample, &mut [f32]),
) -> Drawn {
    let mut pixels = vec![0.0; rows * length];
    let mut shown = Vec::with_capacity(rows);
    for (row, pixels) in pixels.chunks_mut(length).enumerate() {
        let drawn = sample(number * rows as u64 + row as u64);
        planes(&drawn, pixels);
        shown.push(drawn.shown);
    }
    (pixels, shown)
}

fn fill(batch: &mut Batch<'_>, (pixels, shown): Drawn) {
    batch.f32("pixels").copy_from_slice(&pixels);
    for (head, (name, classes)) in HEADS.iter().enumerate() {
        let target = batch.f32(&target(name));
        target.fill(0.0);
        for (row, shown) in target.chunks_mut(*classes).zip(&shown) {
            if let Some(class) = shown.classes()[head] {
                row[usize::from(class)] = 1.0;
            }
        }
    }
}

/// Replaces the judge in `training.out`.
fn write(training: &Training, network: &Model) -> Result<(), JudgeError> {
    let out = &training.out;
    let aside = training.data.join("written");
    if aside.exists() {
        fs::remove_dir_all(&aside).map_err(JudgeError::io(&aside))?;
    }
    network.write(&aside)?;
    fs::create_dir_all(out).map_err(JudgeError::io(out))?;
    for file in [WEIGHTS_FILE, MODEL_FILE] {
        fs::copy(aside.join(file), out.join(file)).map_err(JudgeError::io(out.join(file)))?;
    }
    Ok(())
}
