//! From a prompt to pictures: tokenize, encode the text, denoise, decode.
//!
//! The same code runs any pack in Stable Diffusion v1.5's layout; sizes, lengths and factors come from the pack. Results are
//! those of diffusers for the same seed, scheduler and steps (`tests/runs.rs`).

mod decode;
mod denoise;
pub mod encode;
mod error;
pub mod noise;
mod request;
pub mod schedule;
mod text_encoder;
pub mod tokenize;

use std::collections::BTreeMap;

use image::RgbImage;

use decode::Decoder;
use denoise::{Denoiser, Row};
pub use denoise::{Progress, Watch};
pub use error::PipelineError;
use request::Plan;
pub use request::{Request, Start, Warning};
use schedule::{SchedulerConfig, SchedulerKind};
use text_encoder::TextEncoder;
use tokenize::{Tokenizer, Tokens};

use crate::{
    pack::{Component, Pack},
    runtime::{Device, Outputs, Session, SessionSettings},
};

/// How a pipeline is set up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PipelineSettings {
    /// Where it computes. Default: the processor.
    pub device: Device,
    /// Threads inside one operator; 0 means one for each core. Default: 0.
    pub threads: usize,
    /// Latent cells (height times width) in one call of the denoiser, both halves of guidance counted; a picture is never
    /// split. More is faster on a GPU until it is full; on a processor it only costs memory. Default: [`BATCH_CELLS`].
    pub batch_cells: usize,
}

/// Sixteen rows of 16×16 latents; one guided picture of 64×64.
pub const BATCH_CELLS: usize = 4096;

impl Default for PipelineSettings {
    fn default() -> Self {
        Self { device: Device::default(), threads: 0, batch_cells: BATCH_CELLS }
    }
}

/// A pack made ready to draw.
#[derive(Debug)]
pub struct Pipeline {
    tokenizer: Tokenizer,
    text_encoder: TextEncoder,
    denoiser: Denoiser,
    decoder: Decoder,
    scheduler: SchedulerConfig,
    limits: request::Limits,
    version: String,
}

/// What a request made.
#[derive(Debug)]
pub struct Generation {
    /// As many as were asked for, in the order of their seeds.
    pub pictures: Vec<Picture>,
    /// What the caller should know though it is no error.
    pub warnings: Vec<Warning>,
}

/// One picture.
#[derive(Debug)]
pub struct Picture {
    /// The seed of its own generator.
    pub seed: u32,
    /// What was decoded, before the division by the VAE's scaling factor: f32 `[channels, height, width]` of the latent.
    pub latent: Vec<f32>,
    /// What it shows.
    pub pixels: RgbImage,
}

impl Pipeline {
    /// Opens the tokenizer and a session for each component.
    ///
    /// # Errors
    /// A tokenizer or scheduler that cannot be used, a graph that the runtime refuses, a missing library or device.
    pub fn load(pack: &Pack, settings: &PipelineSettings) -> Result<Self, PipelineError> {
        let session = |component| session(pack, component, settings);
        Ok(Self {
            tokenizer: Tokenizer::open(&pack.tokenizer())?,
            text_encoder: TextEncoder::new(session(Component::TextEncoder)?),
            denoiser: Denoiser::new(session(Component::Unet)?, settings.batch_cells),
            decoder: Decoder::new(
                session(Component::VaeDecoder)?,
                pack.scaling_factor(),
                request::shift_factor(pack.vae_config()),
                settings.batch_cells,
            ),
            scheduler: SchedulerConfig::from_json(pack.scheduler())?,
            limits: request::Limits::of(pack),
            version: pack.version(),
        })
    }

    /// Draws what the request asks for; `watch` is told after every call of the denoiser.
    ///
    /// # Errors
    /// A request that this pack cannot do, or a failure of the runtime.
    pub fn run(&mut self, request: &Request, watch: &mut Watch<'_>) -> Result<Generation, PipelineError> {
        let plan = self.plan(request)?;
        let prompts = self.tokenize(request, &plan)?;
        let text = self.text_encoder.encode(&prompts.iter().collect::<Vec<_>>())?;
        let mut rows: Vec<Row> = request.seeds().map(|seed| Row::new(&plan, seed)).collect();
        self.denoiser.denoise(&plan, &text, &mut rows, watch)?;
        let latents: Vec<&[f32]> = rows.iter().map(|row| row.latent.as_slice()).collect();
        let pixels = self.decoder.decode(plan.latent, &latents)?;
        Ok(Generation { pictures: pictures(request, rows, pixels), warnings: request::warnings(&prompts) })
    }

    /// The calls of the denoiser that a request makes for each picture.
    ///
    /// # Errors
    /// A request that this pack cannot do.
    pub fn calls(&self, request: &Request) -> Result<usize, PipelineError> {
        Ok(self.plan(request)?.schedule.timesteps().len())
    }

    /// The scheduler that is used where a request names none.
    ///
    /// # Errors
    /// When the pack's own scheduler is not offered here.
    pub fn default_scheduler(&self) -> Result<SchedulerKind, PipelineError> {
        Ok(self.scheduler.kind()?)
    }

    /// Width and height, in pixels, where a request names none.
    pub fn default_size(&self) -> (usize, usize) {
        self.limits.size
    }

    /// The pack's name and content.
    pub fn version(&self) -> &str {
        &self.version
    }

    /// The same pipeline with another scheduler configuration than the pack's.
    #[must_use]
    pub fn with_scheduler(mut self, config: SchedulerConfig) -> Self {
        self.scheduler = config;
        self
    }

    fn plan(&self, request: &Request) -> Result<Plan, PipelineError> {
        Plan::new(request, &self.scheduler, &self.limits)
    }

    /// The prompt, and with guidance the negative prompt after it.
    fn tokenize(&self, request: &Request, plan: &Plan) -> Result<Vec<Tokens>, PipelineError> {
        let negative = plan.guidance.map(|_| request.negative_prompt.as_str());
        let encode = |text| Ok(self.tokenizer.encode(text)?);
        std::iter::once(request.prompt.as_str()).chain(negative).map(encode).collect()
    }
}

fn pictures(request: &Request, rows: Vec<Row>, pixels: Vec<RgbImage>) -> Vec<Picture> {
    let picture = |((seed, row), pixels): ((u32, Row), RgbImage)| Picture { seed, latent: row.latent, pixels };
    request.seeds().zip(rows).zip(pixels).map(picture).collect()
}

fn session(pack: &Pack, component: Component, settings: &PipelineSettings) -> Result<Session, PipelineError> {
    let model = pack.model(component).ok_or(PipelineError::Missing(component))?;
    let PipelineSettings { device, threads, .. } = *settings;
    let settings = SessionSettings { device, threads, dims: BTreeMap::new(), ..SessionSettings::default() };
    Session::from_model(model, &settings).map_err(PipelineError::component(component))
}

/// An output's elements; at least `least` of them.
fn answer<'a>(
    outputs: &'a Outputs,
    component: Component,
    output: &'static str,
    least: usize,
) -> Result<&'a [f32], PipelineError> {
    let values = outputs.get(output).and_then(|view| view.values::<f32>());
    values.filter(|values| values.len() >= least).ok_or(PipelineError::Answer { component, output })
}
