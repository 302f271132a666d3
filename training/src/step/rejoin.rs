//! Going on without a checkpoint: weights are there, the optimiser's moments are not.

use super::{Batch, StepError, Trainer};
use crate::optim::Schedule;

impl Trainer {
    /// Takes the weights it came with for those of a run that has done `steps` steps in `seconds`.
    ///
    /// Moments are zero, which [`Trainer::warm_moments`] mends.
    pub fn stand_at(&mut self, steps: u64, seconds: f64) {
        (self.step, self.seconds) = (steps, seconds);
    }

    /// Does `steps` steps at rate zero: no weight moves, and moments that were zero become what they would be so late in the run.
    ///
    /// `m` of n steps from zero is `1 − βⁿ` of its size; at step t the optimiser takes it for `1 − βᵗ` of it.
    /// Without this the first steps would be up to `(1 − β₁) / √(1 − β₂)` ≈ 3 rates long.
    ///
    /// # Errors
    /// As [`Trainer::step`].
    pub fn warm_moments(&mut self, steps: u64, mut fill: impl FnMut(&mut Batch<'_>)) -> Result<(), StepError> {
        let schedule = std::mem::replace(&mut self.settings.schedule, Schedule::constant(0.0));
        let done = (0..steps).try_for_each(|_| self.step(&mut fill).map(drop));
        self.settings.schedule = schedule;
        done?;
        if steps == 0 {
            return Ok(());
        }
        let share = |beta: f32, steps: u64| 1.0 - f64::from(beta).powf(steps as f64);
        let grown = |beta: f32| (share(beta, self.step) / share(beta, steps)) as f32;
        let (first, second) = (grown(self.settings.optimiser.beta1), grown(self.settings.optimiser.beta2));
        for moments in &mut self.moments {
            moments.first.iter_mut().for_each(|value| *value *= first);
            moments.second.iter_mut().for_each(|value| *value *= second);
        }
        Ok(())
    }
}
