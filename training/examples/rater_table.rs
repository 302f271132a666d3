//! Prints how often the judge is right about drawn scenes and near-misses, whole and degraded:
//! `cargo run --release -p plaudit-training --example rater_table`. One row shows pictures as a pack's autoencoder makes them again;
//! `-- --pack FOLDER` names another pack than the repository's, `-- --verbose` also prints each wrong answer.

use std::path::{Path, PathBuf};

use clap::Parser;
use image::{RgbImage, imageops};
use plaudit::{
    pack::{Component, Pack},
    runtime::{BoundSession, Session, SessionSettings},
};
use plaudit_training::{
    miniature::{
        SIDE,
        draw::draw,
        grammar::{Category, Object, Scene},
        rate::{judge, observe},
    },
    random::Random,
};

/// Scenes of each category.
const SCENES: u64 = 400;
/// Near-misses asked about each scene.
const NEAR_MISSES: usize = 3;

/// A picture and a seed to a worse picture.
type Degrade = fn(&RgbImage, u64) -> RgbImage;

#[derive(Parser)]
struct Arguments {
    /// The pack whose autoencoder is judged.
    #[arg(long, default_value = "onnx/packs/miniature")]
    pack: PathBuf,
    /// Print what was seen where the answer is wrong.
    #[arg(long)]
    verbose: bool,
}

fn main() -> anyhow::Result<()> {
    let Arguments { pack, verbose } = Arguments::parse();
    let degradations: [(&str, Degrade); 10] = [
        ("as drawn", |picture, _| picture.clone()),
        ("blur, σ 0.5 px", |picture, _| imageops::blur(picture, 0.5)),
        ("blur, σ 0.8 px", |picture, _| imageops::blur(picture, 0.8)),
        ("blur, σ 1.1 px", |picture, _| imageops::blur(picture, 1.1)),
        ("noise, σ 8 of 255", |picture, seed| noisy(picture, 8.0, seed)),
        ("noise, σ 16 of 255", |picture, seed| noisy(picture, 16.0, seed)),
        ("saturation × 0.7", |picture, _| saturated(picture, 0.7)),
        ("saturation × 1.4", |picture, _| saturated(picture, 1.4)),
        ("blur 0.6, noise 6", |picture, seed| noisy(&imageops::blur(picture, 0.6), 6.0, seed)),
        ("contrast × 0.8", |picture, _| map(picture, |_, value| 128.0 + 0.8 * (value - 128.0))),
    ];
    print!("| picture |");
    Category::ALL.iter().for_each(|category| print!(" {} |", category.word()));
    println!(" near-misses refused | all |\n|---|---|---|---|---|---|---|---|");
    for (name, degrade) in degradations {
        row(name, |picture, seed| Ok(degrade(picture, seed)), verbose)?;
    }
    let mut autoencoder = Autoencoder::open(&pack)?;
    row("VAE reconstruction", |picture, _| autoencoder.reconstruct(picture), verbose)
}

fn row(
    name: &str,
    mut degrade: impl FnMut(&RgbImage, u64) -> anyhow::Result<RgbImage>,
    verbose: bool,
) -> anyhow::Result<()> {
    let mut random = Random::new(21);
    let (mut accepted, mut refused, mut near) = (Vec::new(), 0usize, 0usize);
    for category in Category::ALL {
        let mut right = 0;
        for seed in 0..SCENES {
            let scene = Scene::sample(category, &Object::ALL, &mut random);
            let drawing = draw(&scene, 0xe0_0000 + seed + SCENES * category as u64);
            let seen = observe(&degrade(&drawing.picture, seed)?);
            let good = judge(&seen, &scene).is_good();
            right += usize::from(good);
            if verbose && !good {
                println!("{name}: {} seen as {seen:?}", drawing.truth);
            }
            for (_, wrong) in scene.some_contrasts(NEAR_MISSES, &mut random) {
                near += 1;
                refused += usize::from(!judge(&seen, &wrong).is_good());
            }
        }
        accepted.push(right);
    }
    let percent = |part: usize, whole: usize| 100.0 * part as f64 / whole as f64;
    print!("| {name} |");
    accepted.iter().for_each(|&right| print!(" {:.1} |", percent(right, SCENES as usize)));
    let scenes = SCENES as usize * Category::ALL.len();
    let all = percent(accepted.iter().sum::<usize>() + refused, scenes + near);
    println!(" {:.1} | {all:.1} |", percent(refused, near));
    Ok(())
}

/// A pack's encoder and decoder, for one whole picture; the latent is the posterior's mean.
struct Autoencoder {
    encoder: BoundSession,
    decoder: BoundSession,
}

impl Autoencoder {
    fn open(folder: &Path) -> anyhow::Result<Self> {
        let pack = Pack::open(folder)?;
        let (side, cells) = (SIDE as usize, SIDE as usize / pack.pixels_per_cell());
        let session = |component: Component, sizes: [(&str, usize); 3]| {
            let dims = sizes.map(|(name, size)| (name.to_owned(), size)).into();
            let settings = SessionSettings { dims, ..SessionSettings::default() };
            let model = pack.model(component).ok_or_else(|| anyhow::anyhow!("the pack has no {}", component.name()))?;
            Ok::<_, anyhow::Error>(BoundSession::new(Session::from_model(model, &settings)?)?)
        };
        let encoder = session(Component::VaeEncoder, [("batch", 1), ("height", side), ("width", side)])?;
        let latent = [("batch", 1), ("latent_height", cells), ("latent_width", cells)];
        Ok(Self { encoder, decoder: session(Component::VaeDecoder, latent)? })
    }

    fn reconstruct(&mut self, picture: &RgbImage) -> anyhow::Result<RgbImage> {
        let area = (SIDE * SIDE) as usize;
        let input: &mut [f32] = self.encoder.buffer_mut("sample");
        for (at, pixel) in picture.pixels().enumerate() {
            pixel.0.iter().enumerate().for_each(|(c, &byte)| input[c * area + at] = f32::from(byte) / 127.5 - 1.0);
        }
        self.encoder.run()?;
        let latent: &mut [f32] = self.decoder.buffer_mut("latent_sample");
        // Means come first, then log-variances.
        latent.copy_from_slice(&self.encoder.buffer::<f32>("latent_parameters")[..latent.len()]);
        self.decoder.run()?;
        let made: &[f32] = self.decoder.buffer("sample");
        let byte = |value: f32| ((value + 1.0) * 127.5).round().clamp(0.0, 255.0) as u8;
        Ok(RgbImage::from_fn(SIDE, SIDE, |x, y| {
            let at = (y * SIDE + x) as usize;
            image::Rgb([0, 1, 2].map(|c| byte(made[c * area + at])))
        }))
    }
}

fn map(picture: &RgbImage, change: impl Fn([f32; 3], f32) -> f32) -> RgbImage {
    let mut changed = picture.clone();
    for pixel in changed.pixels_mut() {
        let rgb = pixel.0.map(f32::from);
        pixel.0 = rgb.map(|value| change(rgb, value).round().clamp(0.0, 255.0) as u8);
    }
    changed
}

fn saturated(picture: &RgbImage, factor: f32) -> RgbImage {
    map(picture, |[r, g, b], value| {
        let grey = 0.299 * r + 0.587 * g + 0.114 * b;
        grey + factor * (value - grey)
    })
}

fn noisy(picture: &RgbImage, deviation: f32, seed: u64) -> RgbImage {
    let mut random = Random::new(seed);
    let mut changed = picture.clone();
    for value in changed.iter_mut() {
        *value = (f32::from(*value) + deviation * random.normal()).round().clamp(0.0, 255.0) as u8;
    }
    changed
}
