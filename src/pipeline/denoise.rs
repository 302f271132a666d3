//! The denoising loop, with classifier-free guidance (Ho and Salimans 2022).

use std::sync::Arc;

use super::{
    PipelineError, Plan,
    image_encoder::Posterior,
    lanes::{Inputs, Lanes},
    noise::NoiseGenerator,
    schedule::ScheduleState,
    text_encoder::Prompted,
};

/// The denoiser of a pack.
#[derive(Debug)]
pub(crate) struct Denoiser {
    lanes: Lanes,
    buffers: Buffers,
}

/// One picture on its way: its plan and prompt, its latent, what its scheduler remembers, and its own generator.
#[derive(Debug)]
pub(crate) struct Row {
    plan: Arc<Plan>,
    text: Arc<Prompted>,
    latent: Vec<f32>,
    state: ScheduleState,
    generator: NoiseGenerator,
    seed: u32,
    call: usize,
}

impl Row {
    /// Pure noise of the plan's first σ, drawn from the seed; or a picture's latent, drawn and noised, in diffusers' order:
    /// first the posterior's noise, then the schedule's.
    pub(crate) fn new(plan: &Arc<Plan>, text: &Arc<Prompted>, seed: u32, start: Option<&Posterior>) -> Self {
        let mut generator = NoiseGenerator::new(seed);
        let size = plan.latent.iter().product();
        let latent = match start {
            None => {
                let mut noise = generator.normals(size);
                noise.iter_mut().for_each(|x| *x *= plan.schedule.init_noise_sigma());
                noise
            }
            Some(posterior) => {
                let clean = posterior.sample(&generator.normals(size));
                plan.schedule.noised(0, &clean, &generator.normals(size))
            }
        };
        let state = plan.schedule.state();
        Self { plan: plan.clone(), text: text.clone(), latent, state, generator, seed, call: 0 }
    }

    /// f32 `[channels, height, width]`.
    pub(crate) fn latent(&self) -> &[f32] {
        &self.latent
    }

    /// Of its own generator.
    pub(crate) fn seed(&self) -> u32 {
        self.seed
    }

    /// The latent, given up.
    pub(crate) fn into_latent(self) -> Vec<f32> {
        self.latent
    }

    /// Channels, height and width in cells.
    pub(crate) fn shape(&self) -> [usize; 3] {
        self.plan.latent
    }

    /// Calls of the denoiser done.
    pub(crate) fn done(&self) -> usize {
        self.call
    }

    /// Whether it has had all its calls.
    pub(crate) fn is_done(&self) -> bool {
        self.call == self.plan.calls()
    }

    /// Rows of the denoiser that its next call takes.
    pub(crate) fn width(&self) -> usize {
        self.plan.rows_at(self.call)
    }

    /// x̂₀ by the last call's output, given with the latent that the denoiser saw.
    fn estimate(&self, output: &[f32], seen: &[f32]) -> Vec<f32> {
        self.plan.schedule.estimate(self.call, output, seen)
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

/// What the denoiser reads and answers, reused from call to call: first every row with its prompt, then the guided ones again with
/// their negative prompts, then padding.
#[derive(Debug, Default)]
struct Buffers {
    /// f32 `[batch, channels, height, width]`.
    sample: Vec<f32>,
    /// f32 `[batch]`.
    timestep: Vec<f32>,
    /// f32 `[batch, tokens, width]`.
    text: Vec<f32>,
    /// f32 `[batch, channels, height, width]`.
    output: Vec<f32>,
    guided: Vec<f32>,
}

impl Denoiser {
    pub(crate) fn new(lanes: Lanes) -> Self {
        Self { lanes, buffers: Buffers::default() }
    }

    /// One call of the denoiser and one step of every row. The rows have latents of one shape and calls to come; each is at
    /// a call of its own. `batch` is how many rows the denoiser is given, at least the rows' widths together; what is
    /// above repeats the first row.
    ///
    /// For the rows whose numbers are in `looks`, the answer has x̂₀, in order.
    pub(crate) fn step(
        &mut self,
        rows: &mut [&mut Row],
        batch: usize,
        looks: &[usize],
    ) -> Result<Vec<Vec<f32>>, PipelineError> {
        let Some(first) = rows.first() else { return Ok(Vec::new()) };
        let size: usize = first.shape().iter().product();
        let buffers = &mut self.buffers;
        buffers.fill(rows, batch);
        let inputs = Inputs {
            sample: &buffers.sample,
            timestep: &buffers.timestep,
            text: &buffers.text,
            latent: first.shape(),
            features: first.text.shape(),
        };
        buffers.output.clear();
        self.lanes.run(inputs, &mut buffers.output)?;
        let outputs = &buffers.output;
        let (with, mut without) = (outputs.chunks_exact(size), outputs.chunks_exact(size).skip(rows.len()));
        let mut estimates = Vec::with_capacity(looks.len());
        buffers.guided.resize(size, 0.0);
        for (at, (row, with)) in rows.iter_mut().zip(with).enumerate() {
            let output = match (row.plan.guidance_at(row.call), row.width() > 1) {
                (Some(scale), true) => {
                    let without = without.next().unwrap_or(with);
                    guide(scale, with, without, &mut buffers.guided);
                    &buffers.guided
                }
                _ => with,
            };
            if looks.contains(&at) {
                estimates.push(row.estimate(output, &buffers.sample[at * size..(at + 1) * size]));
            }
            let Row { plan, latent, state, generator, call, .. } = &mut **row;
            plan.schedule.step(state, *call, output, latent, |noise| generator.fill(noise));
            *call += 1;
        }
        Ok(estimates)
    }
}

impl Buffers {
    fn fill(&mut self, rows: &[&mut Row], batch: usize) {
        self.sample.clear();
        self.timestep.clear();
        self.text.clear();
        for row in rows {
            self.sample.extend_from_slice(&row.plan.schedule.scale_input(row.call, &row.latent));
            self.timestep.push(row.plan.schedule.timesteps()[row.call]);
            self.text.extend_from_slice(row.text.prompt.values());
        }
        let size = self.sample.len() / rows.len();
        for (at, row) in rows.iter().enumerate().filter(|(_, row)| row.width() > 1) {
            self.sample.extend_from_within(at * size..(at + 1) * size);
            self.timestep.push(self.timestep[at]);
            self.text.extend_from_slice(row.text.negative_values());
        }
        let features = self.text.len() / self.timestep.len();
        while self.timestep.len() < batch {
            self.sample.extend_from_within(..size);
            self.timestep.push(self.timestep[0]);
            self.text.extend_from_within(..features);
        }
    }
}

/// ε ← ε_unconditional + s (ε_conditional − ε_unconditional).
fn guide(scale: f32, conditional: &[f32], unconditional: &[f32], out: &mut [f32]) {
    for ((guided, with), without) in out.iter_mut().zip(conditional).zip(unconditional) {
        *guided = without + scale * (with - without);
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::{
        pack::Pack,
        pipeline::{Request, parts::Parts},
        runtime::SessionSettings,
    };

    /// A row after three calls in the company of `others`, in batches of at least `batch` rows.
    fn latent(parts: &mut Parts, guidance: f32, others: usize, batch: usize) -> Vec<f32> {
        let plan = |guidance| {
            let request = Request { guidance, steps: 5, ..Request::default() };
            Arc::new(parts.planner.plan(&request).expect("a plan"))
        };
        let (own, other) = (plan(guidance), plan(7.5));
        let mut features = |text| {
            let tokens = parts.tokenizer.encode(text).expect("tokens");
            Arc::new(parts.text_encoder.encode(&tokens).expect("features"))
        };
        let text = Arc::new(Prompted { prompt: features("a red fish"), negative: Some(features("")) });
        let mut rows = vec![Row::new(&own, &text, 7, None)];
        rows.extend((0..others).map(|seed| Row::new(&other, &text, seed as u32, None)));
        let mut rows: Vec<&mut Row> = rows.iter_mut().collect();
        for _ in 0..3 {
            parts.denoiser.step(&mut rows, batch, &[]).expect("a step");
        }
        rows[0].latent.clone()
    }

    #[test]
    fn a_rows_latent_is_bit_for_bit_the_same_in_any_company() {
        let pack = Pack::open(&Path::new(env!("CARGO_MANIFEST_DIR")).join("onnx/packs/miniature")).expect("the pack");
        let parts = |lanes| Parts::open(&pack, &SessionSettings::default(), lanes, 1).expect("sessions");
        let mut failures = Vec::new();
        for (guidance, least) in [(1.0, 1), (1.0, 2), (5.0, 2)] {
            let alone = latent(&mut parts(1), guidance, 0, least);
            for (lanes, others, batch) in
                [(1, 1, least), (1, 7, 16), (2, 1, 16), (2, 2, least), (2, 7, least), (3, 7, 16)]
            {
                let beside = latent(&mut parts(lanes), guidance, others, batch);
                let differ = alone.iter().zip(&beside).filter(|(a, b)| a.to_bits() != b.to_bits()).count();
                if differ > 0 {
                    failures.push(format!("guidance {guidance}, least {least}, {lanes} lanes, {others} others, batch {batch}: {differ} numbers differ"));
                }
            }
        }
        assert!(failures.is_empty(), "{}", failures.join("\n"));
    }
}
