//! A training step over device tensors: forward, backward and AdamW in two graphs. With `--tune` it is fine-tuning's: the frozen reference's prediction
//! first, then a step of `plaudit_training::finetune`'s loss with its defaults, all weights.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    time::Instant,
};

use anyhow::{Context, Result};
use clap::Args;
use plaudit::runtime::{Device, Session, SessionSettings, View};
use plaudit_onnx::{
    Dim, Model, ValueInfo,
    expr::{Builder, Expr},
};
use plaudit_training::{
    finetune::{
        ANCHOR, BASELINE, KTO_SLOPE, KTO_WEIGHT, MIX, NOISE, PREDICTION, REFERENCE, Shape, WEIGHT, forward_graph,
        objective_graph,
    },
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
/// γ, as `plaudit-train finetune` has it without a pre-training set, and a reward in the middle.
const GAMMA: f32 = 1.0;
const REWARD: f32 = 0.5;
/// What the reference is asked with.
const ASKED: [&str; 3] = ["sample", "timestep", "encoder_hidden_states"];

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
    /// Fine-tune: the reference's prediction, and the objective's loss.
    #[arg(long)]
    tune: bool,
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
    let [cells, channels, width] = config(directory)?;
    let dims = [("batch", rows), ("height", cells), ("width", cells), ("sequence", arguments.tokens)];
    let dims: BTreeMap<String, usize> = dims.into_iter().map(|(name, size)| (name.to_owned(), size)).collect();
    let shape = Shape { rows, latent: [channels, cells, cells], features: [arguments.tokens, width], guided: false };
    let session = SessionSettings { device: arguments.device, tf32: arguments.tf32, ..SessionSettings::default() };
    let model = if arguments.tune { objective_graph(&unet, &shape)? } else { noise_prediction(&unet)? };
    let mut reference = match arguments.tune {
        true => Some(Session::from_model(&forward_graph(&unet, &shape)?, &session)?),
        false => None,
    };
    let mut batch = batch(&model, &dims)?;
    let graph = TrainGraph::build(model, &Selection::All, &dims)?;
    let mut trainer = ResidentTrainer::new(graph, &session, TrainerSettings::new(Schedule::constant(RATE)))?;
    let mut seconds = Vec::new();
    let mut last = f32::NAN;
    for step in 0..WARM_UP + arguments.steps.max(1) {
        let began = Instant::now();
        if let Some(reference) = &mut reference {
            refer(reference, &mut batch)?;
        }
        last = trainer.step(&views(&batch, |_| true))?.loss;
        seconds.extend((step >= WARM_UP).then(|| began.elapsed().as_secs_f64()));
    }
    seconds.sort_by(f64::total_cmp);
    Ok((seconds[seconds.len() / 2], last))
}

/// The reference's prediction becomes an input of the step.
fn refer(reference: &mut Session, batch: &mut [Filled]) -> Result<()> {
    let answer = reference.run_views(&views(batch, |name| ASKED.contains(&name)))?;
    let view = answer.get(PREDICTION).context("the reference predicts nothing")?;
    let predicted = view.values::<f32>().context("the reference answers no f32")?.to_vec();
    drop(answer);
    let input = batch.iter_mut().find(|(name, ..)| name == REFERENCE).context("the step takes no reference")?;
    input.2 = predicted;
    Ok(())
}

fn views(batch: &[Filled], wanted: impl Fn(&str) -> bool) -> Vec<(&str, View<'_>)> {
    let some = batch.iter().filter(|(name, ..)| wanted(name));
    some.map(|(name, shape, values)| (name.as_str(), View::new(shape, values))).collect()
}

/// Height of the latent, its channels, and the width of the prompts' features.
fn config(directory: &Path) -> Result<[usize; 3]> {
    let path = directory.join("config.json");
    let config: serde_json::Value = serde_json::from_slice(&std::fs::read(&path)?)?;
    let number = |name: &str| {
        let found = config[name].as_u64().map(|number| number as usize);
        found.with_context(|| format!("{} names no {name}", path.display()))
    };
    Ok([number("sample_size")?, number("in_channels")?, number("cross_attention_dim")?])
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

/// Every input: unit normals, timesteps all over, and the terms of a reward-weighted row.
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
            MIX => values.fill(1.0),
            WEIGHT => values.fill(REWARD),
            ANCHOR => values.fill(GAMMA),
            // Without KTO.
            KTO_WEIGHT | KTO_SLOPE | BASELINE => {}
            _ => random.fill_normal(&mut values),
        }
        filled.push((input.name.clone(), shape, values));
    }
    Ok(filled)
}
