//! The denoising loop, with classifier-free guidance (Ho and Salimans 2022).

use super::{PipelineError, Plan, noise::NoiseGenerator, schedule::ScheduleState, text_encoder::Features};
use crate::{
    pack::Component,
    runtime::{Session, View},
};

/// The denoiser of a pack.
#[derive(Debug)]
pub(super) struct Denoiser {
    session: Session,
    batch_cells: usize,
}

/// One picture on its way: its latent, what its scheduler remembers, and its own generator.
#[derive(Debug)]
pub(super) struct Row {
    /// f32 `[channels, height, width]`.
    pub(super) latent: Vec<f32>,
    state: ScheduleState,
    generator: NoiseGenerator,
}

impl Row {
    /// Pure noise of the plan's first σ, drawn from the seed.
    pub(super) fn new(plan: &Plan, seed: u32) -> Self {
        let mut generator = NoiseGenerator::new(seed);
        let mut latent = generator.normals(plan.latent.iter().product());
        for x in &mut latent {
            *x *= plan.schedule.init_noise_sigma();
        }
        Self { latent, state: plan.schedule.state(), generator }
    }
}

/// How far a generation is, in pictures times calls of the denoiser.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Progress {
    /// Done so far.
    pub done: usize,
    /// All there is to do.
    pub total: usize,
}

/// Who is told of progress.
pub type Watch<'a> = dyn FnMut(Progress) + 'a;

impl Denoiser {
    pub(super) fn new(session: Session, batch_cells: usize) -> Self {
        Self { session, batch_cells }
    }

    /// Denoises all rows, as many pictures in one call as the budget of latent cells allows.
    pub(super) fn denoise(
        &mut self,
        plan: &Plan,
        text: &Features,
        rows: &mut [Row],
        watch: &mut Watch<'_>,
    ) -> Result<(), PipelineError> {
        let [_, height, width] = plan.latent;
        let pictures = (self.batch_cells / (height * width * plan.halves())).max(1);
        let calls = plan.schedule.timesteps().len();
        let mut progress = Progress { done: 0, total: calls * rows.len() };
        // Even batches: nine pictures as 5 + 4, not 8 + 1.
        let batches = rows.len().div_ceil(pictures).max(1);
        for rows in rows.chunks_mut(rows.len().div_ceil(batches).max(1)) {
            let mut batch = Batch::new(plan, text, rows.len());
            for call in 0..calls {
                batch.step(&mut self.session, plan, call, rows)?;
                progress.done += rows.len();
                watch(progress);
            }
        }
        Ok(())
    }
}

/// The buffers of one batch, reused from call to call.
struct Batch {
    /// f32 `[halves · pictures, channels, height, width]`, the prompt's half before the negative prompt's, as in `Features`.
    sample: Vec<f32>,
    /// f32 `[halves · pictures]`.
    timestep: Vec<f32>,
    /// f32 `[halves · pictures, tokens, width]`.
    text: Vec<f32>,
    sample_shape: [usize; 4],
    text_shape: [usize; 3],
    guided: Vec<f32>,
}

impl Batch {
    fn new(plan: &Plan, text: &Features, pictures: usize) -> Self {
        let rows = plan.halves() * pictures;
        let [channels, height, width] = plan.latent;
        let size = channels * height * width;
        let halves = (0..plan.halves()).flat_map(|half| std::iter::repeat_n(text.row(half), pictures));
        Self {
            sample: vec![0.0; rows * size],
            timestep: vec![0.0; rows],
            text: halves.flatten().copied().collect(),
            sample_shape: [rows, channels, height, width],
            text_shape: [rows, text.shape[0], text.shape[1]],
            guided: vec![0.0; size],
        }
    }

    /// One call of the denoiser, then one step of every row.
    fn step(&mut self, session: &mut Session, plan: &Plan, call: usize, rows: &mut [Row]) -> Result<(), PipelineError> {
        let size = self.guided.len();
        let half = rows.len() * size;
        self.timestep.fill(plan.schedule.timesteps()[call]);
        for (row, seen) in rows.iter().zip(self.sample.chunks_exact_mut(size)) {
            seen.copy_from_slice(&plan.schedule.scale_input(call, &row.latent));
        }
        if plan.guidance.is_some() {
            self.sample.copy_within(..half, half);
        }
        let inputs = [
            ("sample", View::new(&self.sample_shape, &self.sample)),
            ("timestep", View::new(&self.sample_shape[..1], &self.timestep)),
            ("encoder_hidden_states", View::new(&self.text_shape, &self.text)),
        ];
        let outputs = session.run_views(&inputs).map_err(PipelineError::component(Component::Unet))?;
        let outputs = super::answer(&outputs, Component::Unet, "out_sample", self.sample.len())?;
        let (conditional, unconditional) = outputs.split_at(half);
        for (i, row) in rows.iter_mut().enumerate() {
            let range = i * size..(i + 1) * size;
            let output = match plan.guidance {
                None => &conditional[range],
                Some(scale) => {
                    guide(scale, &conditional[range.clone()], &unconditional[range], &mut self.guided);
                    &self.guided
                }
            };
            let Row { latent, state, generator } = row;
            plan.schedule.step(state, call, output, latent, |noise| generator.fill(noise));
        }
        Ok(())
    }
}

/// ε ← ε_unconditional + s (ε_conditional − ε_unconditional).
fn guide(scale: f32, conditional: &[f32], unconditional: &[f32], out: &mut [f32]) {
    for ((guided, with), without) in out.iter_mut().zip(conditional).zip(unconditional) {
        *guided = without + scale * (with - without);
    }
}
