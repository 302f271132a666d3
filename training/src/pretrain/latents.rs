//! Posterior moments of drawn scenes, computed once: what the UNet learns from.
//!
//! They live in shards of a directory named after the encoder's weights, so another autoencoder never meets them.

use std::{fs, path::PathBuf};

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::{
    PretrainError, Workshop,
    component::VAE_ENCODER,
    feed::Feed,
    files,
    journal::{self, Mark},
    leg,
    pixels::{CHANNELS, planes},
    reconstruct::LATENT_SIDE,
    vae::LATENT_CHANNELS,
};
use crate::{
    checkpoint::hex,
    miniature::{
        SIDE,
        draw::draw,
        grammar::{Category, Object, Scene},
    },
    random::Random,
};

/// Pictures a run of the encoder.
const BATCH: usize = 16;
/// How often a scene's prompt says everything; the other categories share the rest.
const COMPLETE_RATE: f32 = 0.4;
/// Numbers of one scene's moments: mean, then log-variance, [8, 16, 16].
pub(super) const MOMENTS: usize = 2 * LATENT_CHANNELS * LATENT_SIDE * LATENT_SIDE;
/// Hexadecimal digits of the weights' hash that name the directory.
const NAME_LENGTH: usize = 12;

/// What the UNet reads of a scene beside its moments.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Caption {
    pub(super) prompt: String,
    pub(super) number: u8,
}

/// Cached scenes: moments one after another, and their captions.
#[derive(Default)]
pub(super) struct Cache {
    pub(super) moments: Vec<f32>,
    pub(super) captions: Vec<Caption>,
}

/// Encodes shards until the recipe's number is there or the leg is over (never less than one).
pub(super) fn run(workshop: &Workshop) -> Result<(), PretrainError> {
    let directory = directory(workshop)?;
    fs::create_dir_all(&directory).map_err(PretrainError::io(&directory))?;
    let began = std::time::Instant::now();
    let (shards, mut done) = (workshop.scale.shards, 0);
    for shard in 0..shards {
        if !paths(&directory, shard).1.exists() {
            if shard > 0 && workshop.leg.is_some_and(|leg| began.elapsed() >= leg) {
                break;
            }
            encode(workshop, &directory, shard)?;
            tracing::info!("latents: shard {} of {shards}, {:.0} s", shard + 1, began.elapsed().as_secs_f64());
        }
        done = shard + 1;
    }
    let scenes = |shards: u64| (shards * workshop.scale.shard as u64) as f64;
    let all = scenes(shards);
    journal::record(workshop, "latents", None, &[Mark { what: "scenes", reached: scenes(done), pass: all..=all }])
}

/// All shards that are there.
pub(super) fn read(workshop: &Workshop) -> Result<Cache, PretrainError> {
    let directory = directory(workshop)?;
    let mut cache = Cache::default();
    for shard in 0..workshop.scale.shards {
        let (moments, captions) = paths(&directory, shard);
        if !captions.exists() {
            break;
        }
        let bytes = fs::read(&moments).map_err(PretrainError::io(&moments))?;
        cache.moments.extend(bytemuck::pod_collect_to_vec::<u8, f32>(&bytes));
        let text = fs::read(&captions).map_err(PretrainError::io(&captions))?;
        let read: Vec<Caption> = serde_json::from_slice(&text)
            .map_err(|error| PretrainError::Content { path: captions.clone(), fault: error.to_string() })?;
        cache.captions.extend(read);
        if cache.moments.len() != cache.captions.len() * MOMENTS {
            let fault = format!("is not as long as {} says; remove both", captions.display());
            return Err(PretrainError::Content { path: moments, fault });
        }
    }
    if cache.captions.is_empty() {
        return Err(PretrainError::Before { path: directory, stage: "latents" });
    }
    Ok(cache)
}

fn directory(workshop: &Workshop) -> Result<PathBuf, PretrainError> {
    let path = VAE_ENCODER.weights(workshop);
    if !path.exists() {
        return Err(PretrainError::Before { path, stage: "vae" });
    }
    let weights = fs::read(&path).map_err(PretrainError::io(&path))?;
    let hash = hex(&Sha256::digest(weights));
    Ok(leg::directory(workshop, "latents").join(&hash[..NAME_LENGTH]))
}

/// A shard's moments and captions; the captions are written last, so a shard with captions is whole.
fn paths(directory: &std::path::Path, shard: u64) -> (PathBuf, PathBuf) {
    let path = |extension: &str| directory.join(format!("{shard:03}.{extension}"));
    (path("f32"), path("json"))
}

fn encode(workshop: &Workshop, directory: &std::path::Path, shard: u64) -> Result<(), PretrainError> {
    let side = SIDE as usize;
    let mut session =
        VAE_ENCODER.bound(workshop, workshop.threads, &[("batch", BATCH), ("height", side), ("width", side)])?;
    let seed = Random::stream(workshop.seed, "latents").bits() ^ shard << u32::BITS;
    let feed = Feed::start(0, move |number| drawn(seed ^ number));
    let (mut moments, mut captions) = (Vec::new(), Vec::new());
    while captions.len() < workshop.scale.shard {
        let (pixels, written) = feed.next();
        session.buffer_mut::<f32>("sample").copy_from_slice(&pixels);
        session.run()?;
        moments.extend_from_slice(session.buffer::<f32>("latent_parameters"));
        captions.extend(written);
    }
    let (moments_path, captions_path) = paths(directory, shard);
    files::replace(&moments_path, bytemuck::cast_slice(&moments))?;
    let text = serde_json::to_vec(&captions)
        .map_err(|error| PretrainError::Content { path: captions_path.clone(), fault: error.to_string() })?;
    files::replace(&captions_path, &text)
}

/// A batch of scenes for the encoder.
fn drawn(seed: u64) -> (Vec<f32>, Vec<Caption>) {
    let mut random = Random::new(seed);
    let length = CHANNELS * (SIDE * SIDE) as usize;
    let mut pixels = vec![0.0; BATCH * length];
    let caption = |picture: &mut [f32]| {
        let composed = random.chance(COMPLETE_RATE);
        let category = if composed { Category::Composition } else { *random.pick(&Category::ALL) };
        let scene = Scene::sample(category, &Object::ALL, &mut random);
        planes(&draw(&scene, random.bits()).picture, (0, 0), SIDE, picture);
        Caption { prompt: scene.paraphrase(&mut random), number: scene.number() }
    };
    let captions = pixels.chunks_mut(length).map(caption).collect();
    (pixels, captions)
}
