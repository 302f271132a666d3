//! Builds the miniature pack from nothing: tokenizer, CLIP pair, autoencoder, latents, UNet.
//!
//! Stages run in this order, in legs that end on time and go on where they stopped (`leg`). Scenes are drawn while the
//! trainer runs, by a thread of their own (`feed`). Each stage ends by writing averaged weights into the pack and by
//! measuring what it reached against its pass mark, into the pack's `state.json` (`journal`). Once every part is there,
//! each stage that changed one also renews the manifest (`sealing`).

mod clip;
mod component;
mod error;
mod evaluate;
pub(crate) mod feed;
mod files;
mod fresh;
mod journal;
mod latents;
mod leg;
mod noise;
mod pixels;
mod reconstruct;
mod sealing;
pub mod tokenizer;
mod unet;
mod vae;

use std::{path::PathBuf, time::Duration};

pub use error::PretrainError;

/// What to build from, where, and for how long.
#[derive(Debug, Clone)]
pub struct Workshop {
    /// The pack: graphs are read from it, weights written into it.
    pub pack: PathBuf,
    /// Checkpoints, metrics, curves, cached latents, sheets.
    pub data: PathBuf,
    /// Threads of the runtime; 0 means one for each core.
    pub threads: usize,
    /// Seed of weights, scenes and noise.
    pub seed: u64,
    /// How long a training stage may take before its leg ends; `None` trains to the recipe's last step.
    pub leg: Option<Duration>,
    /// Pictures that the evaluation draws.
    pub pictures: usize,
    /// Their guidance scale, instead of the pack's own.
    pub guidance: Option<f32>,
    /// Steps in all, instead of the recipe's.
    pub steps: Option<u64>,
    /// Whether to set the pack's weights of the stages ahead aside, with what `state.json` says of them, and begin from nothing.
    pub fresh: bool,
    /// How much is drawn beside training.
    pub scale: Scale,
}

/// How much is drawn beside training; the recipe's unless it is a test.
#[derive(Debug, Clone, Copy)]
pub struct Scale {
    /// Scenes of a shard of cached latents; a multiple of 16.
    pub shard: usize,
    /// Shards in all.
    pub shards: u64,
    /// Scenes that a stage is measured on; a multiple of 16.
    pub measured: usize,
}

impl Default for Scale {
    /// 61k cached scenes, 512 to measure on: shares are then known to two in a hundred.
    fn default() -> Self {
        Self { shard: 2048, shards: 30, measured: 512 }
    }
}

/// A part of the work.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, clap::ValueEnum)]
pub enum Stage {
    /// Vocabulary and merges.
    Tokenizer,
    /// Text and vision towers.
    Clip,
    /// Encoder and decoder, whitened latents.
    Vae,
    /// Latents and prompts of drawn scenes.
    Latents,
    /// The denoiser.
    Unet,
    /// Pictures of seen-object prompts, rated.
    Evaluate,
    /// All of them, in order.
    All,
}

/// Runs one stage, or all; each says what it reached.
///
/// # Errors
/// If the pack lacks what the stage needs, training diverges, or the disk refuses.
pub fn pretrain(stage: Stage, workshop: &Workshop) -> Result<(), PretrainError> {
    let does = |wanted| stage == wanted || stage == Stage::All;
    if workshop.fresh {
        fresh::begin(stage, workshop)?;
    }
    if does(Stage::Tokenizer) {
        tokenizer::write(&tokenizer::train(), &workshop.pack.join("tokenizer"))?;
        sealing::reseal(workshop)?;
    }
    if does(Stage::Clip) {
        clip::run(workshop)?;
    }
    if does(Stage::Vae) {
        vae::run(workshop)?;
    }
    if does(Stage::Latents) {
        latents::run(workshop)?;
    }
    if does(Stage::Unet) {
        unet::run(workshop)?;
    }
    if does(Stage::Evaluate) {
        evaluate::run(workshop)?;
    }
    Ok(())
}
