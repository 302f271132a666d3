//! The loss on prompts that are not learned from, with the weights that would leave the run.
//!
//! ```text
//! validation.jsonl    a line each time: step, loss, and both errors
//! validation.svg      the loss less the parent's: what lies below 0 is learned, and holds for other prompts
//! ```
//!
//! Rows, timesteps and noise are the same each time and the parent's predictions are in the loss, so that differences of a few percent show, which sample
//! sheets of a few pictures cannot show. KTO's z₀ is 0. The reward gradient has no loss to look at: −ln r of pictures drawn with fixed seeds stands for it.

use std::{
    fs,
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize};

use super::{
    Finetune, FinetuneError,
    batch::{GlobalBatch, MicroBatch, apart},
    forward::Forward,
    pull::{LEAST, Pull},
    rollout::Rollout,
    train::which,
};
use crate::{
    report::Curve,
    step::{Trainer, Which},
};

const SEEN: &str = "validation.jsonl";

/// What one validation said. All are means over rows.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
struct Seen {
    step: u64,
    loss: f64,
    /// ‖ε_θ − ε‖².
    noise_error: f64,
    /// ‖ε_θ − ε_ref‖²; of the latent reward's target, where that has taken the place of ε_ref.
    anchor_error: f64,
}

/// What answers the loss.
pub(super) enum Judge {
    /// The objective's own formula.
    Loss(Box<Forward>),
    /// Pictures, and their reward.
    Reward(Box<(Forward, Rollout, Pull)>),
}

impl Judge {
    fn follow(&mut self, trainer: &Trainer, which: Which) {
        match self {
            Self::Loss(session) => session.follow(trainer, which),
            Self::Reward(parts) => parts.0.follow(trainer, which),
        }
    }

    /// Mean loss, ‖ε_θ − ε‖² and ‖ε_θ − ε_ref‖² of rows.
    fn of(&mut self, number: usize, micro: &MicroBatch) -> Result<[f32; 3], FinetuneError> {
        match self {
            Self::Loss(session) => session.judge(micro),
            Self::Reward(parts) => {
                let (session, rollout, pull) = &mut **parts;
                let drawn = rollout.draw(micro, session, pull, &format!("validation {number}"))?;
                let loss = -drawn.iter().map(|reward| reward.max(LEAST).ln()).sum::<f32>();
                let predicted = session.predict(micro)?;
                let errors = [&micro.noise, &micro.reference].map(|other| apart(predicted, other));
                Ok([loss / drawn.len().max(1) as f32, errors[0], errors[1]])
            }
        }
    }
}

/// Judges a run by prompts that it does not learn from.
pub(super) struct Validation {
    judge: Judge,
    rows: Vec<MicroBatch>,
    directory: PathBuf,
    every: u64,
    steps: u64,
    settings: Finetune,
    seen: Vec<Seen>,
}

impl Validation {
    /// Takes up what was seen up to `step`. `batches` have the parent's predictions.
    pub(super) fn open(
        settings: &Finetune,
        judge: Judge,
        batches: Vec<GlobalBatch>,
        directory: &Path,
        step: u64,
    ) -> Result<Self, FinetuneError> {
        let path = directory.join(SEEN);
        let text = if path.exists() {
            fs::read_to_string(&path).map_err(FinetuneError::io("read", &path))?
        } else {
            String::new()
        };
        let seen =
            text.lines().map_while(|line| serde_json::from_str(line).ok()).filter(|seen: &Seen| seen.step <= step);
        Ok(Self {
            seen: seen.collect(),
            judge,
            rows: batches.into_iter().flat_map(|batch| batch.micros).collect(),
            directory: directory.to_owned(),
            every: settings.validate_every,
            steps: settings.steps,
            settings: settings.clone(),
        })
    }

    /// Validates if it is time and was not done yet.
    pub(super) fn see(&mut self, trainer: &Trainer) -> Result<(), FinetuneError> {
        let step = trainer.steps();
        let due = step.is_multiple_of(self.every) || step == self.steps;
        if !due || self.seen.iter().any(|seen| seen.step == step) {
            return Ok(());
        }
        self.judge.follow(trainer, which(&self.settings));
        let mut sums = [0.0_f64; 3];
        for (number, micro) in self.rows.iter().enumerate() {
            let found = self.judge.of(number, micro)?;
            sums.iter_mut().zip(found).for_each(|(sum, value)| *sum += f64::from(value));
        }
        let [loss, noise_error, anchor_error] = sums.map(|sum| sum / self.rows.len().max(1) as f64);
        self.seen.push(Seen { step, loss, noise_error, anchor_error });
        self.write()?;
        if step > 0 {
            tracing::info!(
                "step {step}: loss on other prompts {:+.6} of the parent's {:.6}",
                self.gain(),
                self.parent()
            );
        }
        Ok(())
    }

    /// Loss of the last look less the parent's, and the parent's.
    pub(super) fn found(&self) -> Option<(f64, f64)> {
        (self.seen.len() > 1).then(|| (self.gain(), self.parent()))
    }

    fn parent(&self) -> f64 {
        self.seen.first().map_or(f64::NAN, |seen| seen.loss)
    }

    fn gain(&self) -> f64 {
        self.seen.last().map_or(f64::NAN, |seen| seen.loss - self.parent())
    }

    fn write(&self) -> Result<(), FinetuneError> {
        let path = self.directory.join(SEEN);
        let lines = self.seen.iter().map(|seen| serde_json::to_string(seen).unwrap_or_default() + "\n");
        let aside = path.with_extension("new");
        fs::write(&aside, lines.collect::<String>()).map_err(FinetuneError::io("write", &aside))?;
        fs::rename(&aside, &path).map_err(FinetuneError::io("rename to", &path))?;
        let mut curve = Curve::new("loss on other prompts, less the parent's");
        self.seen.iter().for_each(|seen| curve.push(seen.step, (seen.loss - self.parent()) as f32));
        Ok(curve.write(&self.directory.join("validation.svg"))?)
    }
}
