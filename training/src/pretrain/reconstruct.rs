//! The autoencoder after training: whitened latents, and how good its reconstructions are.

use image::RgbImage;
use plaudit_onnx::{Model, Tensor};

use super::{
    PretrainError, Workshop,
    component::{VAE_DECODER, VAE_ENCODER},
    journal::{self, Mark},
    leg,
    pixels::{CHANNELS, picture, planes},
    vae::{FACTOR, LATENT_CHANNELS},
};
use crate::{
    miniature::{
        SIDE,
        draw::{draw, sheet},
        grammar::{Category, Object, Scene},
        rate::{judge, observe},
    },
    random::Random,
    step::Trainer,
};

/// Pictures a run of the encoder or decoder.
const BATCH: usize = 16;
/// Latents along each side of a whole picture.
pub(super) const LATENT_SIDE: usize = SIDE as usize / FACTOR;
/// Numbers of one channel of one latent.
const AREA: usize = LATENT_SIDE * LATENT_SIDE;
/// Numbers of a picture.
const PICTURE: usize = CHANNELS * (SIDE * SIDE) as usize;
/// Pictures on the sheet, originals and reconstructions in turn.
const SHOWN: usize = 64;
const SHEET_COLUMNS: u32 = 16;

/// Scenes that no training batch has seen.
fn scenes(amount: usize, seed: u64) -> Vec<(Scene, RgbImage)> {
    let mut random = Random::stream(seed, "reconstructions");
    let mut scene = |index: usize| {
        let category = Category::ALL[index % Category::ALL.len()];
        let scene = Scene::sample(category, &Object::ALL, &mut random);
        (scene, draw(&scene, random.bits()).picture)
    };
    (0..amount).map(&mut scene).collect()
}

/// Posterior means, [scenes, 4, 16, 16].
fn encode(workshop: &Workshop, scenes: &[(Scene, RgbImage)]) -> Result<Vec<f32>, PretrainError> {
    let side = SIDE as usize;
    let mut session =
        VAE_ENCODER.bound(workshop, workshop.threads, &[("batch", BATCH), ("height", side), ("width", side)])?;
    let mut means = Vec::with_capacity(scenes.len() * LATENT_CHANNELS * AREA);
    for chunk in scenes.chunks(BATCH) {
        let input: &mut [f32] = session.buffer_mut("sample");
        for ((_, drawn), input) in chunk.iter().zip(input.chunks_mut(PICTURE)) {
            planes(drawn, (0, 0), SIDE, input);
        }
        session.run()?;
        let moments: &[f32] = session.buffer("latent_parameters");
        for row in moments.chunks(2 * LATENT_CHANNELS * AREA) {
            means.extend_from_slice(&row[..LATENT_CHANNELS * AREA]);
        }
    }
    Ok(means)
}

fn decode(workshop: &Workshop, latents: &[f32]) -> Result<Vec<RgbImage>, PretrainError> {
    let sizes = [("batch", BATCH), ("latent_height", LATENT_SIDE), ("latent_width", LATENT_SIDE)];
    let mut session = VAE_DECODER.bound(workshop, workshop.threads, &sizes)?;
    let mut pictures = Vec::new();
    for chunk in latents.chunks(BATCH * LATENT_CHANNELS * AREA) {
        session.buffer_mut::<f32>("latent_sample").copy_from_slice(chunk);
        session.run()?;
        pictures.extend(session.buffer::<f32>("sample").chunks(PICTURE).map(|planes| picture(planes, SIDE)));
    }
    Ok(pictures)
}

/// Mean and deviation of each latent channel.
fn statistics(latents: &[f32]) -> [(f64, f64); LATENT_CHANNELS] {
    std::array::from_fn(|channel| {
        let values = || latents.chunks(AREA).skip(channel).step_by(LATENT_CHANNELS).flatten().map(|&v| f64::from(v));
        let amount = values().count() as f64;
        let mean = values().sum::<f64>() / amount;
        let variance = values().map(|value| (value - mean).powi(2)).sum::<f64>() / amount;
        (mean, variance.sqrt())
    })
}

/// Gives every latent channel mean 0 and deviation 1, inside the 1×1 convolutions at the latents' both sides:
/// pictures stay what they were, and the scaling factor is 1.
pub(super) fn whiten(workshop: &Workshop) -> Result<(), PretrainError> {
    let statistics = statistics(&encode(workshop, &scenes(workshop.scale.measured, workshop.seed))?);
    tracing::info!("vae: latent channels' (mean, deviation) before whitening: {statistics:.3?}");
    let mut encoder = VAE_ENCODER.trained(workshop)?;
    let mut decoder = VAE_DECODER.trained(workshop)?;
    let channels = LATENT_CHANNELS;
    edit(&mut encoder, "quant_conv", |weight, bias| {
        for (channel, &(mean, deviation)) in statistics.iter().enumerate() {
            let row = &mut weight[channel * 2 * channels..(channel + 1) * 2 * channels];
            row.iter_mut().for_each(|value| *value /= deviation as f32);
            bias[channel] = ((f64::from(bias[channel]) - mean) / deviation) as f32;
            bias[channels + channel] -= 2.0 * deviation.ln() as f32;
        }
    });
    edit(&mut decoder, "post_quant_conv", |weight, bias| {
        for (output, row) in weight.chunks_mut(channels).enumerate() {
            for (value, &(mean, deviation)) in row.iter_mut().zip(&statistics) {
                bias[output] += (f64::from(*value) * mean) as f32;
                *value *= deviation as f32;
            }
        }
    });
    VAE_ENCODER.export(workshop, &encoder)?;
    VAE_DECODER.export(workshop, &decoder)
}

fn edit(model: &mut Model, module: &str, change: impl FnOnce(&mut [f32], &mut [f32])) {
    let value = |name: &str| {
        let tensor = model.graph.initializers.get(name);
        tensor.and_then(|tensor| Some((tensor.shape.clone(), tensor.to_f32()?)))
    };
    let names = [format!("{module}.weight"), format!("{module}.bias")];
    if let [Some((shape, mut weight)), Some((length, mut bias))] = [value(&names[0]), value(&names[1])] {
        change(&mut weight, &mut bias);
        let [weight_name, bias_name] = names;
        model.graph.initializers.insert(weight_name, Tensor::f32(&shape, &weight));
        model.graph.initializers.insert(bias_name, Tensor::f32(&length, &bias));
    }
}

/// Peak signal-to-noise ratio, the rater's accuracy on reconstructions, and the latents' deviations.
pub(super) fn measure(workshop: &Workshop, stage: &str, trainer: &Trainer) -> Result<(), PretrainError> {
    let scenes = scenes(workshop.scale.measured, workshop.seed.wrapping_add(1));
    let latents = encode(workshop, &scenes)?;
    let pictures = decode(workshop, &latents)?;
    let deviations = statistics(&latents).map(|(_, deviation)| deviation);
    let right = scenes.iter().zip(&pictures).filter(|((scene, _), picture)| judge(&observe(picture), scene).is_good());
    let marks = [
        Mark { what: "psnr_db", reached: psnr(&scenes, &pictures), pass: 30.0..=99.0 },
        Mark { what: "rater_right", reached: right.count() as f64 / scenes.len() as f64, pass: 0.97..=1.0 },
        Mark { what: "least_deviation", reached: deviations.into_iter().fold(f64::MAX, f64::min), pass: 0.8..=1.2 },
        Mark { what: "largest_deviation", reached: deviations.into_iter().fold(0.0, f64::max), pass: 0.8..=1.2 },
    ];
    let pairs: Vec<RgbImage> =
        scenes.iter().zip(&pictures).take(SHOWN).flat_map(|((_, drawn), made)| [drawn.clone(), made.clone()]).collect();
    let path = leg::directory(workshop, stage).join("reconstructions.png");
    let written = sheet(&pairs, SHEET_COLUMNS, 1).save(&path);
    written.map_err(|source| PretrainError::Picture { path, source })?;
    journal::record(workshop, stage, Some(trainer), &marks)
}

/// Over all pictures together, in dB.
fn psnr(scenes: &[(Scene, RgbImage)], pictures: &[RgbImage]) -> f64 {
    let squares = |(drawn, made): (&RgbImage, &RgbImage)| -> f64 {
        drawn.iter().zip(made.iter()).map(|(&a, &b)| (f64::from(a) - f64::from(b)).powi(2)).sum()
    };
    let total: f64 = scenes.iter().map(|(_, drawn)| drawn).zip(pictures).map(squares).sum();
    let mean = total / (pictures.len() * PICTURE) as f64;
    10.0 * (255.0_f64.powi(2) / mean).log10()
}

#[cfg(test)]
mod tests {
    use std::{fs, path::Path};

    use super::*;
    use crate::pretrain::Scale;

    /// The pack's graphs with freshly drawn weights, in `folder`.
    fn workshop(folder: &Path) -> Workshop {
        let pack = Path::new(env!("CARGO_MANIFEST_DIR")).join("../onnx/packs/miniature");
        for part in ["vae_encoder", "vae_decoder"] {
            fs::create_dir_all(folder.join("pack").join(part)).unwrap();
            for file in ["model.onnx", "init.json"] {
                fs::copy(pack.join(part).join(file), folder.join("pack").join(part).join(file)).unwrap();
            }
        }
        let (pack, data) = (folder.join("pack"), folder.join("data"));
        let scale = Scale { measured: 64, ..Scale::default() };
        let workshop = Workshop {
            pack,
            data,
            threads: 1,
            seed: 3,
            leg: None,
            pictures: 0,
            guidance: None,
            steps: None,
            fresh: false,
            scale,
        };
        for component in [VAE_ENCODER, VAE_DECODER] {
            component.export(&workshop, &component.start(&workshop).unwrap()).unwrap();
        }
        workshop
    }

    #[test]
    fn whitening_gives_unit_channels_and_changes_no_picture() {
        let folder = tempfile::tempdir().unwrap();
        let workshop = workshop(folder.path());
        let scenes = scenes(workshop.scale.measured, workshop.seed);
        let before = encode(&workshop, &scenes).unwrap();
        let pictures = decode(&workshop, &before[..BATCH * LATENT_CHANNELS * AREA]).unwrap();
        whiten(&workshop).unwrap();
        let after = encode(&workshop, &scenes).unwrap();
        for (mean, deviation) in statistics(&after) {
            assert!(mean.abs() < 1e-2 && (deviation - 1.0).abs() < 1e-2, "{mean} {deviation}");
        }
        let again = decode(&workshop, &after[..BATCH * LATENT_CHANNELS * AREA]).unwrap();
        let largest = pictures.iter().flat_map(|p| p.iter()).zip(again.iter().flat_map(|p| p.iter()));
        assert!(largest.map(|(a, b)| a.abs_diff(*b)).max() <= Some(1));
    }
}
