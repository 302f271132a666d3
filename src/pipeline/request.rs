//! What is asked for, and whether a pack can do it.

use std::ops::Range;

use super::{
    PipelineError,
    schedule::{Schedule, SchedulerConfig, SchedulerKind},
    tokenize::Tokens,
};
use crate::pack::{Component, Pack};

/// Width or height of a picture at most, in pixels: no pack is trained near it, and attention over its latent takes terabytes.
pub const MOST_SIDE: usize = 4096;

/// Pixels of all of a request's pictures together at most; they are held until the last is decoded. 1024 pictures of 512×512.
pub const MOST_PIXELS: usize = 1 << 28;

/// A request for pictures of one prompt.
#[derive(Debug, Clone, PartialEq)]
pub struct Request {
    /// What to draw.
    pub prompt: String,
    /// What to steer away from; used with guidance only.
    pub negative_prompt: String,
    /// Number of pictures. Candidate i uses seed (seed + i) mod 2³² with a generator of its own.
    pub count: usize,
    /// Which candidates are drawn, `count` of them; `None`: the first `count`.
    pub picked: Option<std::sync::Arc<[u32]>>,
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
    pub guidance_interval: Option<(f64, f64)>,
    /// A picture to start from instead of pure noise.
    pub start: Option<Start>,
}

/// A picture to start from (image to image).
#[derive(Debug, Clone, PartialEq)]
pub struct Start {
    /// Resized to the request's size where it has another.
    pub image: std::sync::Arc<image::RgbImage>,
    /// Share of the steps that are done, in (0, 1]: how far the result may leave the picture.
    pub strength: f64,
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
            picked: None,
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
        let (seed, picked) = (self.seed, self.picked.clone());
        let candidate = move |at: usize| match &picked {
            Some(picked) => picked.get(at).copied().unwrap_or(at as u32),
            None => at as u32,
        };
        (0..self.count).map(move |at| seed.wrapping_add(candidate(at)))
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
pub(crate) fn warnings(prompts: &[Tokens]) -> Vec<Warning> {
    let warning = |(i, tokens): (usize, &Tokens)| {
        let text = tokens.cut.clone()?;
        Some(Warning::Cut { negative: i > 0, text, length: tokens.ids.len() })
    };
    prompts.iter().enumerate().filter_map(warning).collect()
}

/// What a pack can draw.
#[derive(Debug, Clone)]
pub(crate) struct Limits {
    /// Its own width and height in pixels.
    pub(crate) size: (usize, usize),
    /// Whether it has a VAE encoder.
    pub(crate) image_to_image: bool,
    pixels_per_cell: usize,
    /// Width and height in cells must be multiples of it: the denoiser halves them at each level but the last.
    cell_multiple: usize,
    channels: usize,
}

impl Limits {
    pub(super) fn of(pack: &Pack) -> Self {
        Self {
            size: (pack.size(), pack.size()),
            image_to_image: pack.model(Component::VaeEncoder).is_some(),
            pixels_per_cell: pack.pixels_per_cell(),
            cell_multiple: pack.cell_multiple(),
            channels: pack.channels(),
        }
    }

    /// Channels of a latent.
    pub(crate) fn channels(&self) -> usize {
        self.channels
    }

    /// Width and height, in pixels, must be multiples of it.
    pub(crate) fn multiple(&self) -> usize {
        self.pixels_per_cell * self.cell_multiple
    }

    /// Width and height, in pixels, of a latent's picture.
    pub(crate) fn pixels(&self, [_, height, width]: [usize; 3]) -> (u32, u32) {
        ((width * self.pixels_per_cell) as u32, (height * self.pixels_per_cell) as u32)
    }

    /// The latent's shape for `count` pictures of this size.
    fn latent(&self, (width, height): (usize, usize), count: usize) -> Result<[usize; 3], PipelineError> {
        let multiple = self.multiple();
        let fits = |pixels: usize| (1..=MOST_SIDE).contains(&pixels) && pixels.is_multiple_of(multiple);
        if !fits(width) || !fits(height) {
            let (own_width, own_height) = self.size;
            return Err(PipelineError::Size { width, height, multiple, own_width, own_height });
        }
        let most = MOST_PIXELS / (width * height);
        if count > most {
            return Err(PipelineError::Count { count, width, height, most });
        }
        Ok([self.channels, height / self.pixels_per_cell, width / self.pixels_per_cell])
    }
}

/// A request that a pack can do.
#[derive(Debug)]
pub(crate) struct Plan {
    pub(super) schedule: Schedule,
    /// `None` where guidance is off.
    guidance: Option<f32>,
    /// The calls in which guidance is on.
    guided: Range<usize>,
    /// Channels, height and width in cells.
    pub(crate) latent: [usize; 3],
}

impl Plan {
    pub(super) fn new(request: &Request, config: &SchedulerConfig, limits: &Limits) -> Result<Self, PipelineError> {
        /// At this scale the guided output is the conditional one.
        const OFF: f32 = 1.0;
        let kind = request.scheduler.map_or_else(|| config.kind(), Ok)?;
        if !request.guidance.is_finite() {
            return Err(PipelineError::Guidance(request.guidance));
        }
        let schedule = Schedule::new(kind, config, request.steps)?;
        let schedule = match &request.start {
            None => schedule,
            Some(_) if !limits.image_to_image => return Err(PipelineError::Missing(Component::VaeEncoder)),
            Some(start) if !(start.strength > 0.0 && start.strength <= 1.0) => {
                return Err(PipelineError::Strength(start.strength));
            }
            Some(start) => schedule.ending(start.strength),
        };
        let calls = schedule.timesteps().len();
        Ok(Self {
            schedule,
            guidance: (request.guidance > OFF).then_some(request.guidance),
            guided: guided(request.guidance_interval, calls)?,
            latent: limits.latent(request.size.unwrap_or(limits.size), request.count)?,
        })
    }

    /// Calls of the denoiser for each picture.
    pub(crate) fn calls(&self) -> usize {
        self.schedule.timesteps().len()
    }

    /// The guidance scale of a call; `None` where it costs one row.
    pub(crate) fn guidance_at(&self, call: usize) -> Option<f32> {
        self.guidance.filter(|_| self.guided.contains(&call))
    }

    /// Whether any call is guided.
    pub(crate) fn is_guided(&self) -> bool {
        self.guidance.is_some() && !self.guided.is_empty()
    }

    /// Rows of the denoiser for a picture at a call.
    pub(crate) fn rows_at(&self, call: usize) -> usize {
        1 + usize::from(self.guidance_at(call).is_some())
    }

    /// Rows of the denoiser for a picture where it takes most.
    pub(crate) fn most_rows(&self) -> usize {
        1 + usize::from(self.is_guided())
    }

    /// Rows over the calls that are left after `done`, for a picture.
    pub(crate) fn row_steps_after(&self, done: usize) -> u64 {
        (done..self.calls()).map(|call| self.rows_at(call) as u64).sum()
    }
}

/// The calls `i` with start ≤ i / calls < end.
fn guided(interval: Option<(f64, f64)>, calls: usize) -> Result<Range<usize>, PipelineError> {
    let (start, end) = interval.unwrap_or((0.0, 1.0));
    if !(0.0 <= start && start <= end && end <= 1.0) {
        return Err(PipelineError::Interval(start, end));
    }
    let before = |bound: f64| (0..calls).filter(|&call| (call as f64 / calls as f64) < bound).count();
    Ok(before(start)..before(end))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn limits() -> Limits {
        Limits { size: (64, 64), image_to_image: false, pixels_per_cell: 8, cell_multiple: 2, channels: 4 }
    }

    #[test]
    fn a_size_that_cannot_be_drawn_is_refused_before_anything_is_allocated() {
        let limits = limits();
        assert_eq!(limits.latent((96, 64), 1).expect("fits"), [4, 8, 12]);
        assert!(limits.latent((MOST_SIDE, MOST_SIDE), 16).is_ok());
        for size in [(0, 64), (65, 64), (1_000_000, 1_000_000), (64, MOST_SIDE + 16), (usize::MAX - 15, 64)] {
            let refused = limits.latent(size, 1).expect_err("no size").to_string();
            assert!(refused.contains("multiples of 16 up to 4096"), "{size:?}: {refused}");
        }
    }

    #[test]
    fn more_pictures_than_can_be_held_are_refused_with_how_many_can() {
        let limits = limits();
        assert!(limits.latent((512, 512), 1024).is_ok());
        for count in [1025, u32::MAX as usize, usize::MAX] {
            let refused = limits.latent((512, 512), count).expect_err("too many").to_string();
            assert!(refused.contains("1024 are the most"), "{refused}");
        }
    }

    #[test]
    fn guidance_is_on_within_its_interval_only() {
        let cases = [
            (None, 0..10),
            (Some((0.0, 1.0)), 0..10),
            (Some((0.25, 0.5)), 3..5),
            (Some((0.2, 0.7)), 2..7),
            (Some((0.5, 0.5)), 5..5),
        ];
        for (interval, expected) in cases {
            assert_eq!(guided(interval, 10).expect("valid"), expected, "{interval:?}");
        }
        assert!(
            [(-0.1, 0.5), (0.6, 0.5), (0.0, 1.1), (f64::NAN, 1.0)].iter().all(|&bad| guided(Some(bad), 10).is_err())
        );
    }
}
