//! Sessions of the denoiser that share the rows of a call.
//!
//! Operators of a small model are too short to be divided among threads: two sessions of one thread, each with half the
//! rows, are faster than one session of two (`benches/engine` compares them). A large model is better off with one session of all
//! threads, and has no memory for copies of its re-laid weights. Rows do not depend on each other, so both give the same bits.

use std::{ops::Range, panic::resume_unwind, thread::available_parallelism};

use plaudit_onnx::Model;

use super::PipelineError;
use crate::{
    pack::Component,
    runtime::{Device, Session, SessionSettings, View},
};

/// Weights in bytes up to which a model counts as small.
const SMALL_WEIGHTS: usize = 64 << 20;
/// Lanes at most where their number is not set: each takes memory of its own, and needs rows.
const MOST_LANES: usize = 8;

/// One session of all threads, and beside it, for a small model, sessions of one thread.
#[derive(Debug)]
pub(crate) struct Lanes {
    wide: Session,
    narrow: Vec<Session>,
}

/// What the denoiser reads, row after row.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Inputs<'a> {
    /// f32 `[rows, channels, height, width]`.
    pub(crate) sample: &'a [f32],
    /// f32 `[rows]`.
    pub(crate) timestep: &'a [f32],
    /// f32 `[rows, tokens, width]`.
    pub(crate) text: &'a [f32],
    /// Channels, height and width.
    pub(crate) latent: [usize; 3],
    /// Tokens and width of a text's features.
    pub(crate) features: [usize; 2],
}

impl Lanes {
    /// Sessions for the UNet. `lanes` is how many share a call; 0 lets its size decide.
    pub(crate) fn open(unet: &Model, settings: &SessionSettings, lanes: usize) -> Result<Self, PipelineError> {
        let open = |settings: &SessionSettings| {
            Session::from_model(unet, settings).map_err(PipelineError::component(Component::Unet))
        };
        let lanes = if lanes == 0 { default_lanes(unet, settings) } else { lanes };
        let narrow = SessionSettings { threads: 1, shared_threads: false, ..settings.clone() };
        let narrow = if lanes > 1 { (0..lanes).map(|_| open(&narrow)).collect::<Result<_, _>>()? } else { Vec::new() };
        Ok(Self { wide: open(settings)?, narrow })
    }

    /// Predictions, f32 `[rows, channels, height, width]`, appended to `output`.
    pub(crate) fn run(&mut self, inputs: Inputs<'_>, output: &mut Vec<f32>) -> Result<(), PipelineError> {
        let rows = inputs.timestep.len();
        if rows < self.narrow.len() || self.narrow.is_empty() {
            return inputs.run(0..rows, &mut self.wide, output);
        }
        let lanes = self.narrow.len();
        let share = |lane: usize| rows * lane / lanes..rows * (lane + 1) / lanes;
        let results: Vec<Result<Vec<f32>, PipelineError>> = std::thread::scope(|scope| {
            let start = |(lane, session)| {
                scope.spawn(move || {
                    let mut part = Vec::new();
                    inputs.run(share(lane), session, &mut part).map(|()| part)
                })
            };
            let running: Vec<_> = self.narrow.iter_mut().enumerate().map(start).collect();
            running.into_iter().map(|lane| lane.join().unwrap_or_else(|panic| resume_unwind(panic))).collect()
        });
        results.into_iter().try_for_each(|part| part.map(|part| output.extend(part)))
    }
}

impl Inputs<'_> {
    fn run(self, rows: Range<usize>, session: &mut Session, output: &mut Vec<f32>) -> Result<(), PipelineError> {
        let ([channels, height, width], [tokens, features]) = (self.latent, self.features);
        let (size, words) = (channels * height * width, tokens * features);
        let (sample, text) = ([rows.len(), channels, height, width], [rows.len(), tokens, features]);
        let inputs = [
            ("sample", View::new(&sample, &self.sample[rows.start * size..rows.end * size])),
            ("timestep", View::new(&sample[..1], &self.timestep[rows.clone()])),
            ("encoder_hidden_states", View::new(&text, &self.text[rows.start * words..rows.end * words])),
        ];
        let outputs = session.run_views(&inputs).map_err(PipelineError::component(Component::Unet))?;
        let length = rows.len() * size;
        output.extend_from_slice(&super::answer(&outputs, Component::Unet, "out_sample", length)?[..length]);
        Ok(())
    }
}

/// Whether its operators are too short to be divided among threads.
pub(crate) fn is_small(unet: &Model) -> bool {
    unet.graph.initializers.values().map(|tensor| tensor.data.len()).sum::<usize>() <= SMALL_WEIGHTS
}

fn default_lanes(unet: &Model, settings: &SessionSettings) -> usize {
    if settings.device != Device::Cpu || !is_small(unet) {
        return 1;
    }
    let cores = available_parallelism().map_or(1, usize::from);
    let threads = if settings.threads == 0 { cores } else { settings.threads };
    threads.min(MOST_LANES)
}
