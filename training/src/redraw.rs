//! Drawings as a pack would have made them: through its autoencoder, or noised a little and denoised again.
//!
//! Generated pictures come out of the decoder, wobble where the denoiser was unsure, and look different from drawings. Pictures are
//! made once and kept on disk, in shards: a leg that was cut off goes on at the next one.

use std::{
    fs, io,
    path::{Path, PathBuf},
    sync::Arc,
};

use image::{RgbImage, imageops};
use plaudit::{
    pack::{Pack, PackError},
    pipeline::{Pipeline, PipelineError, PipelineSettings, Request, Start},
};
use serde::{Serialize, de::DeserializeOwned};

use crate::{
    miniature::{SIDE, grammar::Scene},
    random::Random,
};

/// Pictures of a shard.
const SHARD: usize = 100;
/// Steps of the schedule of which a redrawing takes the last few.
const STEPS: usize = 20;

/// Why drawings cannot be redrawn.
#[derive(Debug, thiserror::Error)]
#[allow(missing_docs)]
pub enum RedrawError {
    #[error(transparent)]
    Pack(#[from] PackError),
    #[error(transparent)]
    Pipeline(#[from] PipelineError),
    #[error("cannot use {path}: {source}")]
    Io { path: PathBuf, source: io::Error },
    #[error("cannot use the picture {path}: {source}")]
    Picture { path: PathBuf, source: image::ImageError },
    #[error("{path} holds something else than redrawn pictures: {source}; remove it, and it is made again")]
    Content { path: PathBuf, source: serde_json::Error },
}

/// What is redrawn by what, and where it is kept.
#[derive(Debug)]
pub(crate) struct Redrawing<'a> {
    /// Whose drawings these are: names the folder, and the stream of seeds.
    pub(crate) name: &'a str,
    /// The pack that redraws them.
    pub(crate) pack: &'a Path,
    /// The folder beside which `NAME-redrawn` is.
    pub(crate) data: &'a Path,
    /// Pictures in all.
    pub(crate) amount: usize,
    pub(crate) threads: usize,
    pub(crate) seed: u64,
}

/// A drawing to be redrawn.
pub(crate) struct Original<T> {
    pub(crate) picture: RgbImage,
    /// What is known of it, and kept beside the redrawn picture.
    pub(crate) known: T,
    /// What the denoiser is told.
    pub(crate) prompt: Scene,
    /// Share of the steps that are done: 0.05 is the autoencoder and a touch of noise, 0.3 changes outlines but not the scene.
    pub(crate) strength: f32,
}

impl Redrawing<'_> {
    /// Redrawn pictures of what `make` makes, from disk where they are there already.
    pub(crate) fn pictures<T: Serialize + DeserializeOwned>(
        &self,
        make: impl Fn(&mut Random) -> Original<T>,
    ) -> Result<Vec<(RgbImage, T)>, RedrawError> {
        let folder = self.data.join(format!("{}-redrawn", self.name));
        fs::create_dir_all(&folder).map_err(in_io(&folder))?;
        let mut pipeline = None;
        let mut all = Vec::with_capacity(self.amount);
        while all.len() < self.amount {
            let shard = all.len() / SHARD;
            let path = folder.join(format!("{shard:03}.png"));
            if !path.exists() {
                let pipeline = match &mut pipeline {
                    Some(pipeline) => pipeline,
                    none => none.insert(self.open()?),
                };
                let mut random = Random::stream(self.seed.wrapping_add(shard as u64), self.name);
                let wanted = SHARD.min(self.amount - all.len());
                write(&path, &draw(pipeline, &make, wanted, &mut random)?)?;
                tracing::info!("{}: {} of {} pictures redrawn", self.name, all.len() + wanted, self.amount);
            }
            let kept = read(&path)?;
            if kept.is_empty() {
                break;
            }
            all.extend(kept);
        }
        Ok(all)
    }

    fn open(&self) -> Result<Pipeline, RedrawError> {
        let settings = PipelineSettings { threads: self.threads, ..PipelineSettings::default() };
        Ok(Pipeline::load(&Pack::open(self.pack)?, &settings)?)
    }
}

fn draw<T>(
    pipeline: &mut Pipeline,
    make: &impl Fn(&mut Random) -> Original<T>,
    wanted: usize,
    random: &mut Random,
) -> Result<Vec<(RgbImage, T)>, RedrawError> {
    let mut shard = Vec::with_capacity(wanted);
    while shard.len() < wanted {
        let Original { picture, known, prompt, strength } = make(random);
        let request = Request {
            prompt: prompt.paraphrase(random),
            seed: random.bits() as u32,
            steps: STEPS,
            guidance: pipeline.default_guidance(),
            start: Some(Start { image: Arc::new(picture), strength: f64::from(strength) }),
            ..Request::default()
        };
        let made = pipeline.run(&request, &mut |_| {})?.pictures.pop();
        shard.extend(made.map(|made| (made.pixels, known)));
    }
    Ok(shard)
}

/// One strip of pictures, and what is known of them beside it; the strip last, so that a shard with one is whole.
fn write<T: Serialize>(path: &Path, shard: &[(RgbImage, T)]) -> Result<(), RedrawError> {
    let known: Vec<&T> = shard.iter().map(|(_, known)| known).collect();
    let beside = path.with_extension("json");
    let text = serde_json::to_vec(&known).unwrap_or_default();
    fs::write(&beside, text).map_err(in_io(&beside))?;
    let mut strip = RgbImage::new(SIDE * shard.len() as u32, SIDE);
    for (at, (picture, _)) in shard.iter().enumerate() {
        imageops::replace(&mut strip, picture, at as i64 * i64::from(SIDE), 0);
    }
    let aside = path.with_extension("new.png");
    strip.save(&aside).map_err(in_picture(&aside))?;
    fs::rename(&aside, path).map_err(in_io(path))
}

fn read<T: DeserializeOwned>(path: &Path) -> Result<Vec<(RgbImage, T)>, RedrawError> {
    let beside = path.with_extension("json");
    let text = fs::read(&beside).map_err(in_io(&beside))?;
    let known: Vec<T> =
        serde_json::from_slice(&text).map_err(|source| RedrawError::Content { path: beside, source })?;
    let strip = image::open(path).map_err(in_picture(path))?.to_rgb8();
    let cut = |at: usize| imageops::crop_imm(&strip, at as u32 * SIDE, 0, SIDE, SIDE).to_image();
    Ok(known.into_iter().enumerate().map(|(at, known)| (cut(at), known)).collect())
}

fn in_io(path: impl Into<PathBuf>) -> impl FnOnce(io::Error) -> RedrawError {
    let path = path.into();
    move |source| RedrawError::Io { path, source }
}

fn in_picture(path: impl Into<PathBuf>) -> impl FnOnce(image::ImageError) -> RedrawError {
    let path = path.into();
    move |source| RedrawError::Picture { path, source }
}
