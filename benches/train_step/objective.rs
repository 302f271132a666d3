//! Fine-tuning's objectives: one batch for both sides, and our step on it with the predictions that it needs beforehand.

use std::{collections::BTreeMap, fmt, path::Path, time::Instant};

use anyhow::{Context, Result, ensure};
use clap::ValueEnum;
use plaudit::runtime::{BoundSession, Session, SessionSettings};
use plaudit_onnx::{Model, Tensor};
use plaudit_training::{
    finetune::{
        ANCHOR, BASELINE, KTO_SLOPE, KTO_WEIGHT, Kto, MIX, NOISE, PREDICTION, REFERENCE, Shape, WEIGHT, current_graph,
        forward_graph, objective_graph,
    },
    init::write_weights,
    random::Random,
    step::{Selection, StepReport, TrainGraph, Trainer},
};

use super::{
    Arguments,
    ours::{LATENT, TIMESTEPS, TOKENS, settings},
};

/// Channels of a latent, and width of the prompts' features, of the miniature pack.
const CHANNELS: usize = 4;
const WIDTH: usize = 128;
/// γ, as `plaudit-train finetune` has it without a pre-training set.
const GAMMA: f32 = 1.0;
/// Share of latents in their noised sum: √ᾱ and √(1 − ᾱ) of a middle timestep.
const SIGNAL: f32 = 0.6;
const SPREAD: f32 = 0.8;

/// What is minimised.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Objective {
    Denoising,
    RewardWeighted,
    SignedTarget,
    Kto,
}

impl fmt::Display for Objective {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Denoising => "denoising",
            Self::RewardWeighted => "reward-weighted",
            Self::SignedTarget => "signed-target",
            Self::Kto => "kto",
        })
    }
}

/// The batch of every step, the same numbers on both sides.
pub(crate) struct Inputs {
    sample: Vec<f32>,
    timestep: Vec<f32>,
    text: Vec<f32>,
    noise: Vec<f32>,
    /// r of each row; for KTO a thumb, up from ½ on.
    reward: Vec<f32>,
}

impl Inputs {
    pub(crate) fn draw(rows: usize) -> Self {
        let mut random = Random::stream(0, "the bench's batch");
        let mut drawn = |count: usize| (0..count).map(|_| random.normal()).collect::<Vec<f32>>();
        let cells = CHANNELS * LATENT * LATENT;
        let (start, noise, text) = (drawn(rows * cells), drawn(rows * cells), drawn(rows * TOKENS * WIDTH));
        let sample = start.iter().zip(&noise).map(|(start, noise)| SIGNAL * start + SPREAD * noise).collect();
        let timestep = (0..rows).map(|_| random.below(TIMESTEPS) as f32).collect();
        let reward = (0..rows).map(|row| (row as f32 + 0.5) / rows as f32).collect();
        Self { sample, timestep, text, noise, reward }
    }

    /// For the other side.
    pub(crate) fn write(&self, path: &Path) -> Result<()> {
        let rows = self.reward.len();
        let latents = [rows, CHANNELS, LATENT, LATENT];
        let tensors = [
            ("sample", Tensor::f32(&latents, &self.sample)),
            ("noise", Tensor::f32(&latents, &self.noise)),
            ("timestep", Tensor::f32(&[rows], &self.timestep)),
            ("text", Tensor::f32(&[rows, TOKENS, WIDTH], &self.text)),
            ("reward", Tensor::f32(&[rows], &self.reward)),
        ];
        let tensors: BTreeMap<_, _> = tensors.into_iter().map(|(name, tensor)| (name.to_owned(), tensor)).collect();
        Ok(write_weights(path, &tensors)?)
    }
}

/// A trainer, and the sessions that complete a batch before its step, as `finetune/train.rs` has them.
pub(crate) struct Tuning {
    objective: Objective,
    inputs: Inputs,
    rows: usize,
    trainer: Trainer,
    reference: BoundSession,
    /// Of the weights of the moment; KTO's.
    current: Option<BoundSession>,
    gains: Vec<f32>,
}

impl Tuning {
    pub(crate) fn open(arguments: &Arguments, objective: Objective, batch: usize) -> Result<Self> {
        let rows = arguments.rows;
        ensure!(batch.is_multiple_of(rows), "a batch of {batch} does not divide into graphs of {rows} rows");
        let unet = Model::read(&arguments.unet.join("model.onnx"))?;
        let shape = Shape { rows, latent: [CHANNELS, LATENT, LATENT], features: [TOKENS, WIDTH], guided: false };
        let graph = TrainGraph::build(objective_graph(&unet, &shape)?, &Selection::All, &BTreeMap::new())?;
        let sessions = |threads| SessionSettings {
            threads,
            spinning: false,
            memory_pattern: false,
            flush_denormals: true,
            profile: arguments.profile.clone(),
            ..SessionSettings::default()
        };
        let trainer = Trainer::new(graph, &sessions(arguments.threads / arguments.lanes), settings(arguments, batch))?;
        let forward = |model: &Model| -> Result<BoundSession> {
            Ok(BoundSession::new(Session::from_model(model, &sessions(arguments.threads))?)?)
        };
        let reference = forward(&forward_graph(&unet, &shape)?)?;
        let current = match objective {
            Objective::Kto => Some(forward(&current_graph(&unet, &shape, None, trainer.parameters())?)?),
            _ => None,
        };
        Ok(Self { objective, inputs: Inputs::draw(batch), rows, trainer, reference, current, gains: Vec::new() })
    }

    /// A step, in the time of all that it needs.
    pub(crate) fn step(&mut self) -> Result<StepReport> {
        let Self { objective, inputs, rows, trainer, reference, current, gains } = self;
        let began = Instant::now();
        let frozen = predict(reference, inputs, *rows)?;
        let baseline = match current {
            None => 0.0,
            Some(current) => {
                for parameter in trainer.parameters() {
                    current.buffer_mut::<f32>(&parameter.name).copy_from_slice(trainer.output(&parameter.name));
                }
                let predicted = predict(current, inputs, *rows)?;
                gains.push((mean_square(&frozen, &inputs.noise) - mean_square(&predicted, &inputs.noise)) as f32);
                baseline(gains)
            }
        };
        let (cells, size) = (CHANNELS * LATENT * LATENT, *rows);
        let report = trainer.step(|batch| {
            let from = batch.micro * size;
            let latents = from * cells..(from + size) * cells;
            batch.f32("sample").copy_from_slice(&inputs.sample[latents.clone()]);
            batch.f32("timestep").copy_from_slice(&inputs.timestep[from..from + size]);
            let words = TOKENS * WIDTH;
            batch.f32("encoder_hidden_states").copy_from_slice(&inputs.text[from * words..(from + size) * words]);
            batch.f32(NOISE).copy_from_slice(&inputs.noise[latents.clone()]);
            batch.f32(REFERENCE).copy_from_slice(&frozen[latents]);
            batch.f32(ANCHOR).fill(GAMMA);
            batch.f32(BASELINE)[0] = baseline;
            for (row, &reward) in inputs.reward[from..from + size].iter().enumerate() {
                let sharpness = Kto::default().sharpness;
                let (mix, weight, kto, slope) = match objective {
                    Objective::SignedTarget => (2.0 * reward - 1.0, 1.0, 0.0, 0.0),
                    Objective::Kto => (1.0, 0.0, 1.0, if reward >= 0.5 { sharpness } else { -sharpness }),
                    Objective::Denoising | Objective::RewardWeighted => (1.0, reward, 0.0, 0.0),
                };
                for (name, value) in [(MIX, mix), (WEIGHT, weight), (KTO_WEIGHT, kto), (KTO_SLOPE, slope)] {
                    batch.f32(name)[row] = value;
                }
            }
        })?;
        Ok(StepReport { seconds: began.elapsed().as_secs_f64(), ..report })
    }
}

/// All rows' predictions, some rows a call.
fn predict(session: &mut BoundSession, inputs: &Inputs, rows: usize) -> Result<Vec<f32>> {
    let mut predicted = Vec::with_capacity(inputs.sample.len());
    let (cells, words) = (CHANNELS * LATENT * LATENT, TOKENS * WIDTH);
    for from in (0..inputs.timestep.len()).step_by(rows) {
        let part = from..from + rows;
        session.buffer_mut::<f32>("sample").copy_from_slice(&inputs.sample[from * cells..(from + rows) * cells]);
        session.buffer_mut::<f32>("timestep").copy_from_slice(&inputs.timestep[part]);
        let text = &inputs.text[from * words..(from + rows) * words];
        session.buffer_mut::<f32>("encoder_hidden_states").copy_from_slice(text);
        session.run().context("a prediction")?;
        predicted.extend_from_slice(session.buffer(PREDICTION));
    }
    Ok(predicted)
}

fn mean_square(one: &[f32], other: &[f32]) -> f64 {
    let sum: f64 = one.iter().zip(other).map(|(a, b)| f64::from(a - b).powi(2)).sum();
    sum / one.len() as f64
}

/// z₀: the mean gain of the last batches, never negative.
fn baseline(gains: &[f32]) -> f32 {
    let last = &gains[gains.len().saturating_sub(Kto::default().window)..];
    (last.iter().sum::<f32>() / last.len() as f32).max(0.0)
}
