//! What is asked for, and whether a pack can do it.

use serde_json::Value;

use super::{
    PipelineError,
    schedule::{Schedule, SchedulerConfig, SchedulerKind},
    tokenize::Tokens,
};
use crate::pack::Pack;

/// A request for pictures of one prompt.
#[derive(Debug, Clone, PartialEq)]
pub struct Request {
    /// What to draw.
    pub prompt: String,
    /// What to steer away from; used with guidance only.
    pub negative_prompt: String,
    /// Number of pictures. Candidate i uses seed (seed + i) mod 2³² with a generator of its own.
    pub count: usize,
    /// The first picture's seed.
    pub seed: u32,
    /// Steps of the scheduler.
    pub steps: usize,
    /// Classifier-free guidance scale; at 1 and below it is off and a picture costs one row instead of two.
    pub guidance: f32,
    /// `None`: the pack's own.
    pub scheduler: Option<SchedulerKind>,
    /// Width and height in pixels; `None`: the pack's own.
    pub size: Option<(usize, usize)>,
    /// From which to which fraction of the steps guidance is on; outside a picture costs one row instead of two.
    pub guidance_interval: Option<(f32, f32)>,
    /// A picture to start from instead of pure noise.
    pub start: Option<Start>,
}

/// A picture to start from (image to image).
#[derive(Debug, Clone, PartialEq)]
pub struct Start {
    /// Resized to the request's size where it has another.
    pub image: std::sync::Arc<image::RgbImage>,
    /// Share of the steps that are done, in (0, 1]: how far the result may leave the picture.
    pub strength: f32,
}

impl Default for Request {
    fn default() -> Self {
        /// Enough for every scheduler offered to settle.
        const STEPS: usize = 20;
        /// Follows the prompt without burning colours.
        const GUIDANCE: f32 = 5.0;
        Self {
            prompt: String::new(),
            negative_prompt: String::new(),
            count: 1,
            seed: 0,
            steps: STEPS,
            guidance: GUIDANCE,
            scheduler: None,
            size: None,
            guidance_interval: None,
            start: None,
        }
    }
}

impl Request {
    /// The seed of each picture.
    pub fn seeds(&self) -> impl Iterator<Item = u32> + use<> {
        let seed = self.seed;
        (0..self.count).map(move |i| seed.wrapping_add(i as u32))
    }
}

/// What the caller should know though it is no error.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Warning {
    /// A prompt is longer than the text encoder reads.
    Cut {
        /// The negative prompt instead of the prompt.
        negative: bool,
        /// What was not read.
        text: String,
        /// What the text encoder reads, in tokens.
        length: usize,
    },
}

impl std::fmt::Display for Warning {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self::Cut { negative, text, length } = self;
        let which = if *negative { "negative prompt" } else { "prompt" };
        write!(f, "the {which} is longer than {length} tokens; this part of it was not read: {text:?}")
    }
}

/// The cuts of a prompt and, with guidance, of the negative prompt after it.
pub(super) fn warnings(prompts: &[Tokens]) -> Vec<Warning> {
    let warning = |(i, tokens): (usize, &Tokens)| {
        let text = tokens.cut.clone()?;
        Some(Warning::Cut { negative: i > 0, text, length: tokens.ids.len() })
    };
    prompts.iter().enumerate().filter_map(warning).collect()
}

/// What a pack can draw.
#[derive(Debug, Clone)]
pub(super) struct Limits {
    /// Its own width and height in pixels.
    pub(super) size: (usize, usize),
    pixels_per_cell: usize,
    /// Width and height in cells must be multiples of it: the denoiser halves them at each level but the last.
    cell_multiple: usize,
    channels: usize,
}

impl Limits {
    pub(super) fn of(pack: &Pack) -> Self {
        let config = pack.unet_config();
        let levels = config.get("block_out_channels").and_then(Value::as_array).map_or(4, Vec::len);
        let channels = config.get("in_channels").and_then(Value::as_u64).unwrap_or(4) as usize;
        let size = pack.size();
        Self {
            size: (size, size),
            pixels_per_cell: pack.pixels_per_cell(),
            cell_multiple: 1 << levels.saturating_sub(1),
            channels,
        }
    }

    /// The latent's shape for a picture of this size.
    fn latent(&self, (width, height): (usize, usize)) -> Result<[usize; 3], PipelineError> {
        let multiple = self.pixels_per_cell * self.cell_multiple;
        let fits = |pixels: usize| pixels > 0 && pixels.is_multiple_of(multiple);
        if !fits(width) || !fits(height) {
            let (own_width, own_height) = self.size;
            return Err(PipelineError::Size { width, height, multiple, own_width, own_height });
        }
        Ok([self.channels, height / self.pixels_per_cell, width / self.pixels_per_cell])
    }
}

/// What is subtracted from latents after encoding; most VAEs have none.
pub(super) fn shift_factor(config: &Value) -> f64 {
    config.get("shift_factor").and_then(Value::as_f64).unwrap_or(0.0)
}

/// A request that a pack can do.
#[derive(Debug)]
pub(super) struct Plan {
    pub(super) schedule: Schedule,
    /// `None` where guidance is off.
    pub(super) guidance: Option<f32>,
    /// Channels, height and width in cells.
    pub(super) latent: [usize; 3],
}

impl Plan {
    pub(super) fn new(request: &Request, config: &SchedulerConfig, limits: &Limits) -> Result<Self, PipelineError> {
        /// At this scale the guided output is the conditional one.
        const OFF: f32 = 1.0;
        let kind = request.scheduler.map_or_else(|| config.kind(), Ok)?;
        if !request.guidance.is_finite() {
            return Err(PipelineError::Guidance(request.guidance));
        }
        Ok(Self {
            schedule: Schedule::new(kind, config, request.steps)?,
            guidance: (request.guidance > OFF).then_some(request.guidance),
            latent: limits.latent(request.size.unwrap_or(limits.size))?,
        })
    }

    /// Rows of the denoiser for each picture.
    pub(super) fn halves(&self) -> usize {
        if self.guidance.is_some() { 2 } else { 1 }
    }
}
