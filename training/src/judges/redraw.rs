//! Drawings as the pack would have made them: through its autoencoder, or noised a little and denoised again.
//!
//! Generated pictures come out of the decoder, wobble where the denoiser was unsure, and look different from drawings. Pictures are
//! made once and kept on disk, in shards: a leg that was cut off goes on at the next one.

use std::{fs, path::Path, sync::Arc};

use image::{RgbImage, imageops};
use plaudit::{
    pack::Pack,
    pipeline::{Pipeline, PipelineSettings, Request, Start},
};

use super::{JudgeError, Sample, Shown, Training};
use crate::{
    miniature::{SIDE, grammar::Scene},
    random::Random,
};

/// Pictures of a shard.
const SHARD: usize = 100;
/// Steps of the schedule of which a redrawing takes the last few.
const STEPS: usize = 20;

/// A drawing to be redrawn.
pub(super) struct Original {
    /// The drawing and what it shows.
    pub(super) sample: Sample,
    /// What the denoiser is told.
    pub(super) prompt: Scene,
    /// Share of the steps that are done: 0.05 is the autoencoder and a touch of noise, 0.3 changes outlines but not the scene.
    pub(super) strength: f32,
}

/// `training.redrawn` redrawn pictures of `make`, from disk where they are there already.
pub(super) fn redrawn(
    name: &str,
    training: &Training,
    make: impl Fn(&mut Random) -> Original,
) -> Result<Vec<Sample>, JudgeError> {
    let folder = training.data.join(format!("{name}-redrawn"));
    fs::create_dir_all(&folder).map_err(JudgeError::io(&folder))?;
    let mut pipeline = None;
    let mut all = Vec::with_capacity(training.redrawn);
    for shard in 0..training.redrawn.div_ceil(SHARD) {
        let path = folder.join(format!("{shard:03}.png"));
        if !path.exists() {
            let pipeline = match &mut pipeline {
                Some(pipeline) => pipeline,
                none => none.insert(open(training)?),
            };
            let mut random = Random::stream(training.seed.wrapping_add(shard as u64), name);
            write(&path, &draw(pipeline, &make, &mut random)?)?;
            tracing::info!("{name}: {} of {} pictures redrawn", (shard + 1) * SHARD, training.redrawn);
        }
        all.extend(read(&path)?);
    }
    Ok(all)
}

fn open(training: &Training) -> Result<Pipeline, JudgeError> {
    let settings = PipelineSettings { threads: training.threads, ..PipelineSettings::default() };
    Ok(Pipeline::load(&Pack::open(&training.pack)?, &settings)?)
}

fn draw(
    pipeline: &mut Pipeline,
    make: &impl Fn(&mut Random) -> Original,
    random: &mut Random,
) -> Result<Vec<Sample>, JudgeError> {
    let mut shard = Vec::with_capacity(SHARD);
    while shard.len() < SHARD {
        let Original { sample, prompt, strength } = make(random);
        let request = Request {
            prompt: prompt.paraphrase(random),
            seed: random.bits() as u32,
            steps: STEPS,
            guidance: pipeline.default_guidance(),
            start: Some(Start { image: Arc::new(sample.picture), strength: f64::from(strength) }),
            ..Request::default()
        };
        let made = pipeline.run(&request, &mut |_| {})?.pictures;
        shard.extend(made.into_iter().map(|made| Sample { picture: made.pixels, shown: sample.shown }));
    }
    Ok(shard)
}

/// One strip of pictures, and what they show beside it; the strip last, so that a shard with one is whole.
fn write(path: &Path, shard: &[Sample]) -> Result<(), JudgeError> {
    let shown: Vec<Shown> = shard.iter().map(|sample| sample.shown).collect();
    let beside = path.with_extension("json");
    let text = serde_json::to_vec(&shown).unwrap_or_default();
    fs::write(&beside, text).map_err(JudgeError::io(&beside))?;
    let mut strip = RgbImage::new(SIDE * shard.len() as u32, SIDE);
    for (at, sample) in shard.iter().enumerate() {
        imageops::replace(&mut strip, &sample.picture, at as i64 * i64::from(SIDE), 0);
    }
    let aside = path.with_extension("new.png");
    strip.save(&aside).map_err(JudgeError::picture(&aside))?;
    fs::rename(&aside, path).map_err(JudgeError::io(path))
}

fn read(path: &Path) -> Result<Vec<Sample>, JudgeError> {
    let beside = path.with_extension("json");
    let text = fs::read(&beside).map_err(JudgeError::io(&beside))?;
    let shown: Vec<Shown> =
        serde_json::from_slice(&text).map_err(|source| JudgeError::Content { path: beside, source })?;
    let strip = image::open(path).map_err(JudgeError::picture(path))?.to_rgb8();
    let cut = |at: usize| imageops::crop_imm(&strip, at as u32 * SIDE, 0, SIDE, SIDE).to_image();
    Ok(shown.into_iter().enumerate().map(|(at, shown)| Sample { picture: cut(at), shown: shown.redrawn() }).collect())
}
