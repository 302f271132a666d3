//! Our side of the comparison.

use std::{fs, path::Path};

use anyhow::{Context, Result, ensure};
use plaudit::runtime::SessionSettings;
use plaudit_onnx::{
    Model, ValueInfo,
    expr::{Builder, Expr},
};
use plaudit_training::{
    init, loss,
    optim::Schedule,
    step::{Batch, LOSS, Selection, TrainGraph, Trainer, TrainerSettings},
};

use super::{Arguments, Measured};

const WARM_UP: usize = 2;
const RATE: f32 = 1e-4;
/// diffusers' training timesteps.
const TIMESTEPS: usize = 1000;
/// Latent height and width of the miniature pack.
const LATENT: usize = 16;
/// Prompt tokens of the miniature pack.
const TOKENS: usize = 24;
/// The input with the ε that the UNet is to predict.
const NOISE: &str = "noise";

pub(crate) fn measure(arguments: &Arguments, batch: usize) -> Result<Measured> {
    let before_mib = status_mib("VmRSS")?;
    let micro = arguments.micro_batches;
    ensure!(batch.is_multiple_of(micro), "a batch of {batch} does not divide into {micro} parts");
    let sizes = [("batch", batch / micro), ("height", LATENT), ("width", LATENT), ("sequence", TOKENS)];
    let dims = sizes.into_iter().map(|(name, size)| (name.to_owned(), size)).collect();
    let graph = TrainGraph::build(noise_prediction(&arguments.unet)?, &Selection::All, &dims)?;
    let settings = TrainerSettings { micro_batches: micro, ..TrainerSettings::new(Schedule::constant(RATE)) };
    let session = SessionSettings {
        threads: arguments.threads,
        profile: arguments.profile.clone(),
        ..SessionSettings::default()
    };
    let mut trainer = Trainer::new(graph, &session, settings)?;
    let (mut seconds, mut loss) = (Vec::new(), 0.0);
    for step in 0..WARM_UP + arguments.steps {
        let report = trainer.step(fill)?;
        loss = report.loss;
        if step >= WARM_UP {
            seconds.push(report.seconds);
        }
    }
    Ok(Measured { seconds, peak_mib: status_mib("VmHWM")?, before_mib, loss })
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
