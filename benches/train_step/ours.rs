//! Our side of the comparison.

use std::{
    fs,
    io::{Write, stdin, stdout},
    path::Path,
};

use anyhow::{Context, Result, ensure};
use plaudit::runtime::SessionSettings;
use plaudit_onnx::{
    Model, ValueInfo,
    expr::{Builder, Expr},
};
use plaudit_training::{
    init, loss,
    optim::Schedule,
    step::{Batch, LOSS, Selection, StepReport, TrainGraph, Trainer, TrainerSettings},
};
use serde::Serialize;

use super::{
    Arguments,
    objective::{Objective, Tuning},
    worker::{Ended, Stepped},
};

const WARM_UP: usize = 2;
const RATE: f32 = 1e-4;
/// diffusers' training timesteps.
pub(crate) const TIMESTEPS: usize = 1000;
/// Latent height and width of the miniature pack.
pub(crate) const LATENT: usize = 16;
/// Prompt tokens of the miniature pack.
pub(crate) const TOKENS: usize = 24;
/// The input with the ε that the UNet is to predict.
const NOISE: &str = "noise";

/// Takes a step for each line of standard input.
pub(crate) fn serve(arguments: &Arguments, objective: Objective, batch: usize) -> Result<()> {
    let before_mib = status_mib("VmRSS")?;
    let mut step = stepper(arguments, objective, batch)?;
    let first = step()?;
    for _ in 1..WARM_UP {
        step()?;
    }
    print(&Stepped { seconds: 0.0, loss: first.loss })?;
    let began = cpu_seconds()?;
    for line in stdin().lines() {
        line?;
        let report = step()?;
        print(&Stepped { seconds: report.seconds, loss: report.loss })?;
    }
    print(&Ended { peak_mib: status_mib("VmHWM")?, before_mib, cpu_seconds: cpu_seconds()? - began })
}

/// Takes a step whenever it is called.
fn stepper(
    arguments: &Arguments,
    objective: Objective,
    batch: usize,
) -> Result<Box<dyn FnMut() -> Result<StepReport>>> {
    if objective == Objective::Denoising {
        let mut trainer = trainer(arguments, batch)?;
        return Ok(Box::new(move || Ok(trainer.step(fill)?)));
    }
    let mut tuning = Tuning::open(arguments, objective, batch)?;
    Ok(Box::new(move || tuning.step()))
}

/// What both kinds of trainers are opened with.
pub(crate) fn settings(arguments: &Arguments, batch: usize) -> TrainerSettings {
    TrainerSettings {
        micro_batches: batch / arguments.rows,
        lanes: arguments.lanes,
        ..TrainerSettings::new(Schedule::constant(RATE))
    }
}

fn print(answer: &impl Serialize) -> Result<()> {
    println!("{}", serde_json::to_string(answer)?);
    Ok(stdout().flush()?)
}

fn trainer(arguments: &Arguments, batch: usize) -> Result<Trainer> {
    let rows = arguments.rows;
    ensure!(batch.is_multiple_of(rows), "a batch of {batch} does not divide into graphs of {rows} rows");
    let sizes = [("batch", rows), ("height", LATENT), ("width", LATENT), ("sequence", TOKENS)];
    let dims = sizes.into_iter().map(|(name, size)| (name.to_owned(), size)).collect();
    let graph = TrainGraph::build(noise_prediction(&arguments.unet)?, &Selection::All, &dims)?;
    let session = SessionSettings {
        threads: arguments.threads / arguments.lanes,
        profile: arguments.profile.clone(),
        ..SessionSettings::default()
    };
    Ok(Trainer::new(graph, &session, settings(arguments, batch))?)
}

/// The UNet at its PyTorch initialisation, and the mean squared error of ε.
fn noise_prediction(directory: &Path) -> Result<Model> {
    let folder = tempfile::tempdir()?;
    let path = init::materialise(&directory.join("model.onnx"), &directory.join("init.json"), 0, folder.path())?;
    let unet = Model::read(&path)?;
    let builder = Builder::new("noise prediction", unet.opsets[""]);
    let shaped =
        |input: &ValueInfo| builder.input(&input.name, input.dtype, input.shape.as_deref().unwrap_or_default());
    let inputs: Vec<(&str, Expr)> =
        unet.graph.inputs.iter().map(|input| (input.name.as_str(), shaped(input))).collect();
    let sample = unet.graph.inputs.iter().find(|input| input.name == "sample").context("the UNet has no `sample`")?;
    let noise = shaped(&ValueInfo { name: NOISE.to_owned(), ..sample.clone() });
    let prediction = builder.call(&unet, "", &inputs);
    builder.output(LOSS, &loss::mse(&prediction[0], &noise));
    Ok(builder.finish()?)
}

fn fill(batch: &mut Batch<'_>) {
    for name in ["sample", "encoder_hidden_states", NOISE] {
        batch.fill_normal(name);
    }
    for row in 0..batch.f32("timestep").len() {
        batch.f32("timestep")[row] = batch.random.below(TIMESTEPS) as f32;
    }
}

/// A line of /proc/self/status, in MiB.
fn status_mib(key: &str) -> Result<f64> {
    let text = fs::read_to_string("/proc/self/status")?;
    let line = text.lines().find(|line| line.starts_with(key)).with_context(|| format!("no {key}"))?;
    let kib: f64 = line.split_whitespace().nth(1).context("no number")?.parse()?;
    Ok(kib / 1024.0)
}

/// Processor time of all threads: fields 14 and 15 of /proc/self/stat, in hundredths of a second on every Linux.
fn cpu_seconds() -> Result<f64> {
    const TICKS_A_SECOND: f64 = 100.0;
    let text = fs::read_to_string("/proc/self/stat")?;
    let (_, fields) = text.rsplit_once(')').context("no command in /proc/self/stat")?;
    let ticks = fields.split_whitespace().skip(11).take(2).map(str::parse::<f64>).sum::<Result<f64, _>>()?;
    Ok(ticks / TICKS_A_SECOND)
}
