//! Pictures drawn with the weights of the moment, to see what their reward is.

use plaudit::pipeline::schedule::{Schedule, SchedulerConfig};

use super::{FinetuneError, batch::MicroBatch, forward::Forward, pull::Pull};
use crate::random::Random;

/// Steps of a picture.
const STEPS: usize = 20;

/// How pictures are drawn.
#[derive(Debug)]
pub(super) struct Rollout {
    schedule: Schedule,
    seed: u64,
}

impl Rollout {
    pub(super) fn new(config: &SchedulerConfig, seed: u64) -> Result<Self, FinetuneError> {
        Ok(Self { schedule: Schedule::new(config.kind()?, config, STEPS)?, seed })
    }

    /// Draws a picture of each of a micro-batch's prompts and answers their rewards; equal names have equal noise.
    pub(super) fn draw(
        &self,
        micro: &MicroBatch,
        session: &mut Forward,
        pull: &mut Pull,
        name: &str,
    ) -> Result<Vec<f32>, FinetuneError> {
        let rows = micro.timestep.len();
        let cells = micro.noise.len() / rows;
        let mut random = Random::stream(self.seed, name);
        let mut asked =
            MicroBatch { text: micro.text.clone(), guidance: micro.guidance.clone(), ..MicroBatch::default() };
        let mut latents = vec![0.0; rows * cells];
        random.fill_normal(&mut latents);
        latents.iter_mut().for_each(|value| *value *= self.schedule.init_noise_sigma());
        let mut states = vec![self.schedule.state(); rows];
        for (call, &timestep) in self.schedule.timesteps().iter().enumerate() {
            asked.sample = self.schedule.scale_input(call, &latents).into_owned();
            asked.timestep = vec![timestep; rows];
            let predicted = session.predict(&asked)?;
            for ((latent, output), state) in latents.chunks_mut(cells).zip(predicted.chunks(cells)).zip(&mut states) {
                self.schedule.step(state, call, output, latent, |noise| random.fill_normal(noise));
            }
        }
        Ok(pull.at_end(&latents, micro)?.to_vec())
    }
}
