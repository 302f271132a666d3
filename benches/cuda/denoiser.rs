//! A pack's UNet with inputs of the real size.

use anyhow::{Context, Result};
use plaudit::{
    pack::{Component, Pack},
    runtime::{Session, SessionSettings, Stop},
};
use plaudit_onnx::{Dim, Model, Tensor};
use plaudit_training::random::Random;

/// diffusers' training timesteps.
const TIMESTEPS: usize = 1000;

/// What one call is fed.
#[derive(Debug)]
pub(crate) struct Batch(Vec<(String, Tensor)>);

impl Batch {
    fn fed(&self) -> Vec<(&str, &Tensor)> {
        self.0.iter().map(|(name, tensor)| (name.as_str(), tensor)).collect()
    }
}

/// A session over the UNet.
#[derive(Debug)]
pub(crate) struct Denoiser(Session);

impl Denoiser {
    pub(crate) fn new(model: &Model, settings: &SessionSettings) -> Result<Self> {
        Ok(Self(Session::from_model(model, settings)?))
    }

    /// ε for each row.
    pub(crate) fn call(&mut self, batch: &Batch) -> Result<Tensor> {
        let outputs = self.0.run(&batch.fed())?;
        outputs.into_iter().next().context("the UNet answered nothing")
    }

    /// As [`Self::call`], until `stop` is told; whether it ended by itself.
    pub(crate) fn call_until(&mut self, batch: &Batch, stop: &Stop) -> bool {
        let views: Vec<_> = batch.0.iter().map(|(name, tensor)| (name.as_str(), tensor.into())).collect();
        self.0.run_until(&views, stop).is_ok()
    }
}

/// The pack's UNet as it stands.
pub(crate) fn model(pack: &Pack) -> Result<&Model> {
    pack.model(Component::Unet).context("the pack has no UNet")
}

/// Inputs for `rows` rows at the pack's own size: unit normals, timesteps all over. The same for the same number of rows.
pub(crate) fn batch(pack: &Pack, rows: usize) -> Result<Batch> {
    let (cells, tokens) = (pack.size() / pack.pixels_per_cell(), tokens(pack)?);
    let mut random = Random::new(rows as u64);
    let inputs = &model(pack)?.graph.inputs;
    let tensor = |name: &str, dims: &[Dim]| match name {
        "timestep" => {
            let values: Vec<f32> = (0..rows).map(|row| ((row * TIMESTEPS) / rows + 1) as f32).collect();
            Tensor::f32(&[rows], &values)
        }
        _ => {
            let shape = shape(dims, rows, cells, tokens);
            let mut values = vec![0.0; shape.iter().product()];
            random.fill_normal(&mut values);
            Tensor::f32(&shape, &values)
        }
    };
    let mut tensor = tensor;
    Ok(Batch(
        inputs
            .iter()
            .map(|input| (input.name.clone(), tensor(&input.name, input.shape.as_deref().unwrap_or_default())))
            .collect(),
    ))
}

/// Four axes are rows, channels, height, width; three are rows, tokens, features.
fn shape(dims: &[Dim], rows: usize, cells: usize, tokens: usize) -> Vec<usize> {
    let free = if dims.len() == 4 { [rows, cells, cells, cells] } else { [rows, tokens, tokens, tokens] };
    dims.iter().zip(free).map(|(dim, free)| if let Dim::Fixed(size) = dim { *size } else { free }).collect()
}

/// Positions that the text encoder reads.
fn tokens(pack: &Pack) -> Result<usize> {
    let path = pack.folder().join("text_encoder/config.json");
    let config: serde_json::Value = serde_json::from_slice(&std::fs::read(&path)?)?;
    let tokens = config["max_position_embeddings"].as_u64();
    tokens.map(|tokens| tokens as usize).with_context(|| format!("{} names no max_position_embeddings", path.display()))
}
