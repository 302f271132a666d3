//! The denoiser: predicts the noise in a latent, given a prompt (Ho et al. 2020; Rombach et al. 2022).

use std::collections::HashMap;

use plaudit::{
    pipeline::tokenize::Tokenizer,
    runtime::{BoundSession, Session, SessionSettings},
};
use plaudit_onnx::{
    DType::F32,
    Dim, Model,
    expr::{BuildError, Builder},
};

use super::{
    PretrainError, Workshop,
    clip::open_tokenizer,
    component::{TEXT_ENCODER, UNET},
    feed::Feed,
    journal::{self, Mark},
    latents::{self, Cache, MOMENTS},
    leg::{self, Plan},
    noise::Process,
    reconstruct::LATENT_SIDE,
    sealing::reseal,
    tokenizer::LENGTH,
    vae::LATENT_CHANNELS,
};
use crate::{
    loss,
    random::Random,
    step::{Batch, Selection, Which},
};

/// Steps of the recipe.
const STEPS: u64 = 23_400;
/// Rows of one run of the graph, and runs for one update: side by side on two cores.
const ROWS: usize = 8;
const MICRO_BATCHES: usize = 2;
/// How often the prompt is left out, so that the model also learns what guidance subtracts.
const DROP_RATE: f32 = 0.1;
/// Share of all steps that see few objects, and how many are few.
const EASY_SHARE: f64 = 0.2;
const FEW: u8 = 3;
/// Numbers of a latent, and of one of its channels.
const LATENT: usize = LATENT_CHANNELS * AREA;
const AREA: usize = LATENT_SIDE * LATENT_SIDE;
/// Width of a text embedding.
const WIDTH: usize = 128;
/// The objective's output without weights of timesteps.
const UNWEIGHTED: &str = "unweighted";
/// Pass mark of [`noise_error`]. The best linear filter of these latents' spectrum leaves .24; a UNet that left .067 drew places but
/// only blobs for objects (1 % good). A quarter below that is needed, and not enough: the evaluation's marks decide.
const LARGEST_ERROR: f64 = 0.05;

/// Inputs of one run of the graph.
struct Rows {
    sample: Vec<f32>,
    timestep: Vec<f32>,
    embeddings: Vec<f32>,
    noise: Vec<f32>,
    weight: Vec<f32>,
}

impl Rows {
    fn inputs(&self) -> [(&'static str, &[f32]); 5] {
        [
            ("sample", &self.sample),
            ("timestep", &self.timestep),
            ("encoder_hidden_states", &self.embeddings),
            ("noise", &self.noise),
            ("weight", &self.weight),
        ]
    }
}

/// Trains a leg and writes the averaged weights.
pub(super) fn run(workshop: &Workshop) -> Result<(), PretrainError> {
    let steps = workshop.steps.unwrap_or(STEPS);
    let mut model = UNET.start(workshop)?;
    let plan = Plan {
        name: "unet",
        steps,
        until: steps,
        rate: (1e-3, 2e-5),
        warmup: 100,
        weight_decay: 0.01,
        micro_batches: MICRO_BATCHES,
        selection: Selection::All,
    };
    let mut trainer = leg::trainer(workshop, &plan, objective(&model)?)?;
    let mut source = Source::open(workshop, (EASY_SHARE * steps as f64) as u64)?;
    let measured = source.measured(workshop.scale.measured);
    leg::run(workshop, &plan, &mut trainer, |trainer| {
        let feed = Feed::start(trainer.steps() * MICRO_BATCHES as u64, move |number| source.rows(number));
        Ok(move |batch: &mut Batch<'_>| {
            let rows = feed.next();
            rows.inputs().into_iter().for_each(|(name, values)| batch.f32(name).copy_from_slice(values));
        })
    })?;
    trainer.apply(&mut model, "", Which::Average);
    UNET.export(workshop, &model)?;
    reseal(workshop)?;
    let reached = noise_error(workshop, &model, &measured)?;
    let mark = Mark { what: "noise_error", reached, pass: 0.0..=LARGEST_ERROR };
    journal::record(workshop, "unet", Some(&trainer), &[mark])
}

/// Mean of `(ε_θ(x_t, t, z) − ε)²` over rows, with no weights of timesteps.
fn noise_error(workshop: &Workshop, unet: &Model, measured: &[Rows]) -> Result<f64, PretrainError> {
    let settings = SessionSettings { threads: workshop.threads, spinning: false, ..SessionSettings::default() };
    let mut session = BoundSession::new(Session::from_model(&objective(unet)?, &settings)?)?;
    let mut sum = 0.0;
    for rows in measured {
        rows.inputs().into_iter().for_each(|(name, values)| session.buffer_mut(name).copy_from_slice(values));
        session.run()?;
        sum += f64::from(session.buffer::<f32>(UNWEIGHTED)[0]);
    }
    Ok(sum / measured.len() as f64)
}

/// `L = mean(w_t (ε_θ(x_t, t, z) − ε)²)`.
fn objective(unet: &Model) -> Result<Model, BuildError> {
    let b = Builder::new("unet", unet.opsets.get("").copied().unwrap_or_default());
    let latent = [ROWS, LATENT_CHANNELS, LATENT_SIDE, LATENT_SIDE].map(Dim::Fixed);
    let sample = b.input("sample", F32, &latent);
    let timestep = b.input("timestep", F32, &[Dim::Fixed(ROWS)]);
    let embeddings = b.input("encoder_hidden_states", F32, &[ROWS, LENGTH, WIDTH].map(Dim::Fixed));
    let noise = b.input("noise", F32, &latent);
    let weight = b.input("weight", F32, &[Dim::Fixed(ROWS)]);
    let fed = [("sample", sample), ("timestep", timestep), ("encoder_hidden_states", embeddings)];
    let predicted = b.call(unet, "", &fed).remove(0);
    b.output("loss", &loss::weighted_mse(&predicted, &noise, &weight));
    b.output(UNWEIGHTED, &loss::mse(&predicted, &noise));
    b.finish()
}

/// Rows of the cache, corrupted; a function of their number.
struct Source {
    cache: Cache,
    few: Vec<usize>,
    easy_until: u64,
    process: Process,
    prompts: Prompts,
    seed: u64,
}

impl Source {
    fn open(workshop: &Workshop, easy_steps: u64) -> Result<Self, PretrainError> {
        let cache = latents::read(workshop)?;
        let few = (0..cache.captions.len()).filter(|&at| cache.captions[at].number <= FEW).collect();
        tracing::info!("unet: {} cached scenes", cache.captions.len());
        Ok(Self {
            cache,
            few,
            easy_until: easy_steps * MICRO_BATCHES as u64,
            process: Process::new(),
            prompts: Prompts::open(workshop)?,
            seed: Random::stream(workshop.seed, "unet").bits(),
        })
    }

    /// Rows of no training step, of all scenes.
    fn measured(&mut self, amount: usize) -> Vec<Rows> {
        (0..amount as u64).step_by(ROWS).map(|number| self.rows(u64::MAX - number)).collect()
    }

    fn rows(&mut self, number: u64) -> Rows {
        let mut random = Random::new(self.seed ^ number);
        let mut rows = Rows {
            sample: vec![0.0; ROWS * LATENT],
            noise: vec![0.0; ROWS * LATENT],
            timestep: Vec::with_capacity(ROWS),
            weight: Vec::with_capacity(ROWS),
            embeddings: Vec::with_capacity(ROWS * LENGTH * WIDTH),
        };
        for (sample, noise) in rows.sample.chunks_mut(LATENT).zip(rows.noise.chunks_mut(LATENT)) {
            let easy = number < self.easy_until && !self.few.is_empty();
            let scene = if easy { *random.pick(&self.few) } else { random.below(self.cache.captions.len()) };
            draw_posterior(&self.cache.moments[scene * MOMENTS..(scene + 1) * MOMENTS], sample, &mut random);
            let (timestep, weight) = self.process.corrupt(sample, noise, AREA, &mut random);
            rows.timestep.push(timestep);
            rows.weight.push(weight);
            let dropped = random.chance(DROP_RATE);
            let prompt = if dropped { "" } else { &self.cache.captions[scene].prompt };
            rows.embeddings.extend_from_slice(self.prompts.embed(prompt));
        }
        rows
    }
}

fn draw_posterior(moments: &[f32], sample: &mut [f32], random: &mut Random) {
    let (mean, log_variance) = moments.split_at(LATENT);
    for ((value, mean), log_variance) in sample.iter_mut().zip(mean).zip(log_variance) {
        *value = mean + (0.5 * log_variance).exp() * random.normal();
    }
}

/// The frozen text encoder, each prompt encoded once.
struct Prompts {
    tokenizer: Tokenizer,
    encoder: BoundSession,
    known: HashMap<String, Vec<f32>>,
}

impl Prompts {
    fn open(workshop: &Workshop) -> Result<Self, PretrainError> {
        // One thread: the trainer has the others.
        let encoder = TEXT_ENCODER.bound(workshop, 1, &[("batch", 1)])?;
        Ok(Self { tokenizer: open_tokenizer(workshop)?, encoder, known: HashMap::new() })
    }

    /// `[24, 128]`, row by row.
    fn embed(&mut self, prompt: &str) -> &[f32] {
        if !self.known.contains_key(prompt) {
            let tokens = self.tokenizer.encode(prompt).expect("a byte-level vocabulary refuses no text");
            self.encoder.buffer_mut::<i64>("input_ids").copy_from_slice(&tokens.ids);
            self.encoder.run().expect("the text encoder ran at its measurement and runs here");
            self.known.insert(prompt.to_owned(), self.encoder.buffer::<f32>("last_hidden_state").to_vec());
        }
        &self.known[prompt]
    }
}
