//! The autoencoder: 64×64 pictures to 16×16×4 latents and back (Rombach et al. 2022, without its discriminator).

use plaudit_onnx::{
    DType::F32,
    Dim, Model,
    expr::{BuildError, Builder},
};

use super::{
    PretrainError, Workshop,
    component::{VAE_DECODER, VAE_ENCODER},
    feed::Feed,
    journal,
    leg::{self, Plan},
    pixels::{CHANNELS, planes},
    reconstruct,
    sealing::reseal,
};
use crate::{
    loss,
    miniature::{
        SIDE,
        draw::draw,
        grammar::{Category, Object, Scene},
    },
    random::Random,
    step::{Batch, Selection, Trainer, Which},
};

/// Weight of the L1 distance between the pictures' gradients: edges.
const EDGES: f32 = 0.5;
/// Weight of the summed Kullback–Leibler divergence. Stable Diffusion's ratio is as small; 1e-5 collapses the latents.
const DIVERGENCE: f32 = 1e-8;
/// Latent channels.
pub(super) const LATENT_CHANNELS: usize = 4;
/// Pixels to a latent, along each side.
pub(super) const FACTOR: usize = 4;
/// Steps of the recipe: 166k crops.
const STEPS: u64 = 5_200;
/// Crops train at a quarter of the cost; whole pictures come last.
const CROPS: Size = Size { side: 32, batch: 32 };
const WHOLE: Size = Size { side: SIDE, batch: 8 };
const WHOLE_SHARE: f64 = 0.1;

/// What names of either half get in front: both have constants of the same names.
const ENCODER: &str = "encoder/";
const DECODER: &str = "decoder/";
/// As a module's name, the decoder begins so.
const DECODER_MODULE: &str = "decoder.";

/// Extent of what is fed.
#[derive(Debug, Clone, Copy)]
struct Size {
    side: u32,
    batch: usize,
}

/// Trains a leg, whitens the latents, writes both halves, and measures reconstructions.
///
/// Once the UNet has begun to learn these latents, only the decoder goes on learning, in a run of its own.
pub(super) fn run(workshop: &Workshop) -> Result<(), PretrainError> {
    let frozen = journal::has(workshop, "unet")?;
    let steps = workshop.steps.unwrap_or(STEPS);
    let whole_from = (steps as f64 * (1.0 - WHOLE_SHARE)) as u64;
    let encoder = VAE_ENCODER.start(workshop)?;
    let decoder = VAE_DECODER.start(workshop)?;
    // A run that has come to whole pictures must not be taken up by the crops' graph.
    let crops_done = leg::steps_done(workshop, plan(frozen, steps, steps).name)? >= whole_from;
    let phases = [(CROPS, whole_from), (WHOLE, steps)];
    let mut last = None;
    for &(size, until) in &phases[usize::from(crops_done)..] {
        let plan = plan(frozen, steps, until);
        let mut trainer = leg::trainer(workshop, &plan, objective(&encoder, &decoder, size)?)?;
        let seed = Random::stream(workshop.seed, plan.name).bits();
        let done = leg::run(workshop, &plan, &mut trainer, |trainer| {
            let feed = Feed::start(trainer.steps(), move |number| crops(size, seed ^ number));
            Ok(move |batch: &mut Batch<'_>| {
                batch.f32("picture").copy_from_slice(&feed.next());
                batch.fill_normal("noise");
            })
        })?;
        last = Some(trainer);
        if !done {
            break;
        }
    }
    match last {
        Some(trainer) => finish(workshop, &trainer, frozen, encoder, decoder),
        None => Ok(()),
    }
}

fn plan(frozen: bool, steps: u64, until: u64) -> Plan<'static> {
    let (name, selection) = if frozen {
        ("vae-decoder", Selection::Starting(vec![DECODER_MODULE.to_owned()]))
    } else {
        ("vae", Selection::All)
    };
    Plan { name, steps, until, rate: (1e-3, 2e-5), warmup: 50, weight_decay: 0.0, micro_batches: 1, selection }
}

fn finish(
    workshop: &Workshop,
    trainer: &Trainer,
    frozen: bool,
    mut encoder: Model,
    mut decoder: Model,
) -> Result<(), PretrainError> {
    trainer.apply(&mut decoder, DECODER, Which::Average);
    VAE_DECODER.export(workshop, &decoder)?;
    if !frozen {
        trainer.apply(&mut encoder, ENCODER, Which::Average);
        VAE_ENCODER.export(workshop, &encoder)?;
        reconstruct::whiten(workshop)?;
    }
    reseal(workshop)?;
    let stage = if frozen { "vae-decoder" } else { "vae" };
    reconstruct::measure(workshop, stage, trainer)
}

/// `L = |x̂ − x| + ½ |∇x̂ − ∇x| + 1e-8 Σ KL(q(z|x) ‖ N(0, 1))`, z drawn from q with the fed noise.
fn objective(encoder: &Model, decoder: &Model, size: Size) -> Result<Model, BuildError> {
    let b = Builder::new("vae", encoder.opsets.get("").copied().unwrap_or_default());
    let dims = |channels: usize, side: usize| [size.batch, channels, side, side].map(Dim::Fixed);
    let side = size.side as usize;
    let x = b.input("picture", F32, &dims(CHANNELS, side));
    let noise = b.input("noise", F32, &dims(LATENT_CHANNELS, side / FACTOR));
    let moments = b.call(encoder, ENCODER, &[("sample", x.clone())]).remove(0);
    let (mean, log_variance) = loss::posterior(&moments, LATENT_CHANNELS);
    let z = loss::reparameterised(&mean, &log_variance, &noise);
    let made = b.call(decoder, DECODER, &[("latent_sample", z)]).remove(0);
    let (l1, edges) = (loss::l1(&made, &x), loss::gradient_l1(&made, &x));
    let divergence = loss::gaussian_kl(&mean, &log_variance);
    b.output("loss", &(l1.clone() + edges * EDGES + divergence.clone() * DIVERGENCE));
    b.output("l1", &l1);
    b.output("divergence", &divergence);
    b.finish()
}

fn crops(size: Size, seed: u64) -> Vec<f32> {
    let mut random = Random::new(seed);
    let length = CHANNELS * (size.side * size.side) as usize;
    let mut batch = vec![0.0; size.batch * length];
    for crop in batch.chunks_mut(length) {
        let scene = Scene::sample(*random.pick(&Category::ALL), &Object::ALL, &mut random);
        let picture = draw(&scene, random.bits()).picture;
        let mut corner = || random.below((SIDE - size.side) as usize + 1) as u32;
        planes(&picture, (corner(), corner()), size.side, crop);
    }
    batch
}
