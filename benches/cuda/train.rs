//! A training step over device tensors: forward, backward and AdamW in two graphs.

use std::{collections::BTreeMap, path::PathBuf};

use anyhow::{Context, Result};
use clap::Args;
use plaudit::runtime::{Device, SessionSettings, View};
use plaudit_onnx::{
    Dim, Model, ValueInfo,
    expr::{Builder, Expr},
};
use plaudit_training::{
    init, loss,
    optim::Schedule,
    random::Random,
    step::{LOSS, ResidentTrainer, Selection, TrainGraph, TrainerSettings},
};

use super::memory;

const WARM_UP: usize = 2;
const RATE: f32 = 1e-5;
/// diffusers' training timesteps.
const TIMESTEPS: usize = 1000;
/// The input with the ε that the UNet is to predict.
const NOISE: &str = "noise";

#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// Directory of the UNet: model.onnx, init.json, config.json.
    #[arg(long, default_value = "onnx/packs/miniature/unet")]
    unet: PathBuf,
    /// cpu, cuda or cuda:N.
    #[arg(long, default_value_t = Device::Cuda(0))]
    device: Device,
    /// Rows of a batch, one or more.
    #[arg(long, value_delimiter = ',', default_values_t = [1, 4])]
    rows: Vec<usize>,
    /// Prompt tokens: 77 for SD v1.5, 24 for miniature.
    #[arg(long, default_value_t = 24)]
    tokens: usize,
    /// Steps that are timed.
    #[arg(long, default_value_t = 10)]
    steps: usize,
    /// Use tensor cores' 10-bit products.
    #[arg(long)]
    tf32: bool,
}

pub(crate) fn run(arguments: &Arguments) -> Result<()> {
    println!("| rows | s a step, median | rows/s | loss | memory MiB |\n|---:|---:|---:|---:|---:|");
    for &rows in &arguments.rows {
        let (seconds, loss) = time(arguments, rows)?;
        let used = memory::used(arguments.device);
        println!("| {rows} | {seconds:.3} | {:.2} | {loss:.4} | {used:.0} |", rows as f64 / seconds);
    }
    Ok(())
}

fn time(arguments: &Arguments, rows: usize) -> Result<(f64, f32)> {
    let folder = tempfile::tempdir()?;
    let directory = &arguments.unet;
    let path = init::materialise(&directory.join("model.onnx"), &directory.join("init.json"), 0, folder.path())?;
    let unet = Model::read(&path)?;
    let dims =
        [("batch", rows), ("height", cells(directory)?), ("width", cells(directory)?), ("sequence", arguments.tokens)];
    let dims: BTreeMap<String, usize> = dims.into_iter().map(|(name, size)| (name.to_owned(), size)).collect();
    let model = noise_prediction(&unet)?;
    let batch = batch(&model, &dims)?;
    let graph = TrainGraph::build(model, &Selection::All, &dims)?;
    let session = SessionSettings { device: arguments.device, tf32: arguments.tf32, ..SessionSettings::default() };
    let mut trainer = ResidentTrainer::new(graph, &session, TrainerSettings::new(Schedule::constant(RATE)))?;
    let mut seconds = Vec::new();
    let mut last = f32::NAN;
    for step in 0..WARM_UP + arguments.steps.max(1) {
        let views: Vec<_> =
            batch.iter().map(|(name, shape, values)| (name.as_str(), View::new(shape, values))).collect();
        let report = trainer.step(&views)?;
        last = report.loss;
        seconds.extend((step >= WARM_UP).then_some(report.seconds));
    }
    seconds.sort_by(f64::total_cmp);
    Ok((seconds[seconds.len() / 2], last))
}

/// Height and width of the latent, by the UNet's configuration.
fn cells(directory: &std::path::Path) -> Result<usize> {
    let path = directory.join("config.json");
    let config: serde_json::Value = serde_json::from_slice(&std::fs::read(&path)?)?;
    let size = config["sample_size"].as_u64().with_context(|| format!("{} names no sample_size", path.display()))?;
    Ok(size as usize)
}

/// The UNet and the mean squared error of ε.
fn noise_prediction(unet: &Model) -> Result<Model> {
    let builder = Builder::new("noise prediction", unet.opsets[""]);
    let shaped =
        |input: &ValueInfo| builder.input(&input.name, input.dtype, input.shape.as_deref().unwrap_or_default());
    let inputs: Vec<(&str, Expr)> =
        unet.graph.inputs.iter().map(|input| (input.name.as_str(), shaped(input))).collect();
    let sample = unet.graph.inputs.iter().find(|input| input.name == "sample").context("the UNet has no `sample`")?;
    let noise = shaped(&ValueInfo { name: NOISE.to_owned(), ..sample.clone() });
    let prediction = builder.call(unet, "", &inputs);
    builder.output(LOSS, &loss::mse(&prediction[0], &noise));
    Ok(builder.finish()?)
}

/// Name, shape and values of an input.
type Filled = (String, Vec<usize>, Vec<f32>);

/// Every input: unit normals, timesteps all over.
fn batch(model: &Model, dims: &BTreeMap<String, usize>) -> Result<Vec<Filled>> {
    let mut random = Random::new(0);
    let mut filled = Vec::new();
    for input in &model.graph.inputs {
        let extent = |dim: &Dim| match dim {
            Dim::Fixed(size) => Ok(*size),
            Dim::Named(name) => dims.get(name).copied().with_context(|| format!("the size `{name}` is not known")),
            Dim::Unknown => anyhow::bail!("`{}` has a nameless size", input.name),
        };
        let shape: Vec<usize> = input.shape.iter().flatten().map(extent).collect::<Result<_>>()?;
        let mut values = vec![0.0; shape.iter().product()];
        match input.name.as_str() {
            "timestep" => values.iter_mut().for_each(|value| *value = random.below(TIMESTEPS) as f32),
            _ => random.fill_normal(&mut values),
        }
        filled.push((input.name.clone(), shape, values));
    }
    Ok(filled)
}
