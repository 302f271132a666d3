//! From a prompt to pictures: tokenize, encode the text, denoise, decode.
//!
//! The same code runs any pack in Stable Diffusion v1.5's layout; sizes, lengths and factors come from the pack. Results are
//! those of diffusers for the same seed, scheduler and steps (`tests/runs.rs`).

pub(crate) mod decode;
pub(crate) mod denoise;
pub mod encode;
mod error;
pub(crate) mod image_encoder;
pub(crate) mod lanes;
pub mod noise;
pub(crate) mod parts;
pub(crate) mod request;
pub(crate) mod safety;
pub mod schedule;
mod serving;
pub(crate) mod text_encoder;
pub mod tokenize;

use std::sync::Arc;

use image::RgbImage;

use denoise::Row;
pub use denoise::{Progress, Watch};
pub use error::PipelineError;
use parts::Parts;
use request::Plan;
pub use request::{MOST_PIXELS, MOST_SIDE, Request, Start, Warning};
use schedule::{SchedulerConfig, SchedulerKind};
use text_encoder::Prompted;

use crate::{
    pack::{Component, Pack},
    runtime::{Device, Outputs, SessionSettings},
};

/// How a pipeline is set up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PipelineSettings {
    /// Where it computes. Default: the processor.
    pub device: Device,
    /// Threads inside one operator; 0 means one for each core. Default: 0.
    pub threads: usize,
    /// Sessions of the denoiser that share the rows of a call, each of one thread; 0 lets the UNet's size decide. Default: 0.
    pub lanes: usize,
    /// Latent cells (height times width) in one call of the denoiser, both halves of guidance counted; a picture is never
    /// split. More is faster on a GPU until it is full; on a processor it only costs memory. Default: [`BATCH_CELLS`].
    pub batch_cells: usize,
}

/// Sixteen rows of 16×16 latents; one guided picture of 64×64.
pub const BATCH_CELLS: usize = 4096;

impl Default for PipelineSettings {
    fn default() -> Self {
        Self { device: Device::default(), threads: 0, lanes: 0, batch_cells: BATCH_CELLS }
    }
}

/// A pack made ready to draw.
#[derive(Debug)]
pub struct Pipeline {
    parts: Parts,
    batch_cells: usize,
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

/// Who is told of estimates: after which call of the denoiser, and what pictures look like there.
pub type Estimated<'a> = dyn FnMut(usize, Vec<RgbImage>) + 'a;

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
        let PipelineSettings { device, threads, lanes, batch_cells } = *settings;
        let sessions = SessionSettings { device, threads, ..SessionSettings::default() };
        Ok(Self { parts: Parts::open(pack, &sessions, lanes, batch_cells)?, batch_cells, version: pack.version() })
    }

    /// Draws what the request asks for; `watch` is told after every call of the denoiser.
    ///
    /// # Errors
    /// A request that this pack cannot do, or a failure of the runtime.
    pub fn run(&mut self, request: &Request, watch: &mut Watch<'_>) -> Result<Generation, PipelineError> {
        self.run_with_estimates(request, &[], &mut |_, _| {}, watch)
    }

    /// [`Pipeline::run`], and after each of `calls` (from 1) what the pictures would be if they ended there: the decoded
    /// estimate of the clean latent, x̂₀ = (x_t − σ_t ε) / α_t (Song et al. 2021, eq. 9). `estimated` is told the call and the
    /// estimates of some of the pictures, in their order, until all had theirs.
    ///
    /// # Errors
    /// As [`Pipeline::run`].
    pub fn run_with_estimates(
        &mut self,
        request: &Request,
        calls: &[usize],
        estimated: &mut Estimated<'_>,
        watch: &mut Watch<'_>,
    ) -> Result<Generation, PipelineError> {
        let plan = Arc::new(self.parts.planner.plan(request)?);
        let tokens = parts::tokenize(&self.parts.tokenizer, request, &plan)?;
        let mut features = Vec::with_capacity(tokens.len());
        for tokens in &tokens {
            features.push(Arc::new(self.parts.text_encoder.encode(tokens)?));
        }
        let text = Arc::new(Prompted { prompt: features[0].clone(), negative: features.get(1).cloned() });
        let start = self.start(request, &plan)?;
        let mut rows: Vec<Row> = request.seeds().map(|seed| Row::new(&plan, &text, seed, start.as_ref())).collect();
        self.denoise(&plan, &mut rows, calls, estimated, watch)?;
        let latents: Vec<&[f32]> = rows.iter().map(Row::latent).collect();
        let pixels = self.parts.decoder.decode(plan.latent, &latents)?;
        Ok(Generation { pictures: pictures(request, rows, pixels), warnings: request::warnings(&tokens) })
    }

    /// The latent of the picture that a request starts from, if it does.
    fn start(&mut self, request: &Request, plan: &Plan) -> Result<Option<image_encoder::Posterior>, PipelineError> {
        let (Some(start), Some(encoder)) = (&request.start, &mut self.parts.image_encoder) else { return Ok(None) };
        let (width, height) = self.parts.planner.limits.pixels(plan.latent);
        encoder.encode(&start.image, width, height).map(Some)
    }

    /// Denoises all rows, as many pictures in one call as the budget of latent cells allows.
    fn denoise(
        &mut self,
        plan: &Plan,
        rows: &mut [Row],
        calls: &[usize],
        estimated: &mut Estimated<'_>,
        watch: &mut Watch<'_>,
    ) -> Result<(), PipelineError> {
        let [_, height, width] = plan.latent;
        let most = (self.batch_cells / (height * width * plan.most_rows())).max(1);
        let mut progress = Progress { done: 0, total: plan.calls() * rows.len() };
        // Even batches: nine pictures as 5 + 4, not 8 + 1.
        let batches = rows.len().div_ceil(most).max(1);
        for rows in rows.chunks_mut(rows.len().div_ceil(batches).max(1)) {
            let mut rows: Vec<&mut Row> = rows.iter_mut().collect();
            let all: Vec<usize> = (0..rows.len()).collect();
            for call in 1..=plan.calls() {
                let looks: &[usize] = if calls.contains(&call) { &all } else { &[] };
                let latents = self.parts.denoiser.step(&mut rows, 0, looks)?;
                if !latents.is_empty() {
                    let latents: Vec<&[f32]> = latents.iter().map(Vec::as_slice).collect();
                    estimated(call, self.parts.decoder.decode(plan.latent, &latents)?);
                }
                progress.done += rows.len();
                watch(progress);
            }
        }
        Ok(())
    }

    /// The calls of the denoiser that a request makes for each picture.
    ///
    /// # Errors
    /// A request that this pack cannot do.
    pub fn calls(&self, request: &Request) -> Result<usize, PipelineError> {
        Ok(self.parts.planner.plan(request)?.calls())
    }

    /// Whether the pack's safety checker would withhold a picture; `None` where the pack has none.
    ///
    /// # Errors
    /// A failure of the runtime.
    pub fn flags(&mut self, image: &RgbImage) -> Result<Option<bool>, PipelineError> {
        self.parts.safety.as_mut().map(|checker| checker.flags(image)).transpose()
    }

    /// The scheduler that is used where a request names none.
    ///
    /// # Errors
    /// When the pack's own scheduler is not offered here.
    pub fn default_scheduler(&self) -> Result<SchedulerKind, PipelineError> {
        self.parts.planner.default_scheduler()
    }

    /// The guidance scale that suits the pack, for requests that name none.
    pub fn default_guidance(&self) -> f32 {
        self.parts.planner.guidance
    }

    /// Width and height, in pixels, where a request names none.
    pub fn default_size(&self) -> (usize, usize) {
        self.parts.planner.limits.size
    }

    /// The pack's name and content.
    pub fn version(&self) -> &str {
        &self.version
    }

    /// The same pipeline with another scheduler configuration than the pack's.
    #[must_use]
    pub fn with_scheduler(mut self, config: SchedulerConfig) -> Self {
        self.parts.planner.scheduler = config;
        self
    }
}

fn pictures(request: &Request, rows: Vec<Row>, pixels: Vec<RgbImage>) -> Vec<Picture> {
    let picture = |((seed, row), pixels): ((u32, Row), RgbImage)| Picture { seed, latent: row.into_latent(), pixels };
    request.seeds().zip(rows).zip(pixels).map(picture).collect()
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
