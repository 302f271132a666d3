//! What surrounds a training loop: a progress bar, metrics, the curve, checkpoints, and going on after a stop.
//!
//! ```no_run
//! # use plaudit_training::{progress::{Run, RunSettings}, step::Trainer};
//! # fn example(mut trainer: Trainer) -> Result<(), Box<dyn std::error::Error>> {
//! let mut run = Run::open(RunSettings::new("runs/unet", "UNet", 1000), &mut trainer)?;
//! while !run.is_done(&trainer) {
//!     let report = trainer.step(|batch| batch.fill_normal("noise"))?;
//!     run.record(&trainer, &report)?;
//! }
//! run.finish(&trainer)?;
//! # Ok(()) }
//! ```

use std::{
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use indicatif::{ProgressBar, ProgressStyle};

use crate::{
    checkpoint::{self, CheckpointError},
    report::{Curve, CurveError, Line, Metrics, MetricsError},
    step::{Checkpointed, StepError, StepReport},
};

/// How often the curve is drawn anew.
const CURVE_EVERY: Duration = Duration::from_secs(20);
/// How often a line is logged where there is no terminal for a bar.
const LINE_EVERY: Duration = Duration::from_secs(30);
/// Weight of the newest loss and step time in what the bar shows.
const SMOOTHING: f64 = 0.05;
/// Steps between checkpoints unless said otherwise.
const CHECKPOINT_EVERY: u64 = 500;

/// A run's directory and rhythm.
#[derive(Debug, Clone)]
pub struct RunSettings {
    /// Where `metrics.jsonl`, `curve.svg` and `checkpoints/` go.
    pub directory: PathBuf,
    /// Title of bar and curve.
    pub title: String,
    /// Steps in all, earlier legs included.
    pub steps: u64,
    /// Steps between checkpoints: what a kill can cost. One takes about as long as writing three to four times the weights.
    pub checkpoint_every: u64,
    /// Whether to show a bar, or log a line now and then where there is no terminal.
    pub show: bool,
}

impl RunSettings {
    /// A run with a bar and a checkpoint every 500 steps.
    pub fn new(directory: impl Into<PathBuf>, title: &str, steps: u64) -> Self {
        let (directory, title) = (directory.into(), title.to_owned());
        Self { directory, title, steps, checkpoint_every: CHECKPOINT_EVERY, show: true }
    }
}

/// Why a run cannot be kept.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// The run directory cannot be made.
    #[error("cannot create the run directory {path}: {source}")]
    Directory {
        /// The directory.
        path: PathBuf,
        /// The system's answer.
        source: std::io::Error,
    },
    /// A checkpoint cannot be found or read.
    #[error(transparent)]
    Checkpoint(#[from] CheckpointError),
    /// Metrics cannot be written.
    #[error(transparent)]
    Metrics(#[from] MetricsError),
    /// The curve cannot be drawn.
    #[error(transparent)]
    Curve(#[from] CurveError),
    /// A step or a checkpoint failed.
    #[error(transparent)]
    Step(#[from] StepError),
}

/// An open run.
#[derive(Debug)]
pub struct Run {
    settings: RunSettings,
    metrics: Metrics,
    curve: Curve,
    bar: ProgressBar,
    loss: Smooth,
    seconds: Smooth,
    saved: u64,
    drawn: Instant,
    logged: Instant,
}

impl Run {
    /// Opens a run, and goes on at its newest checkpoint if it has one; without one it starts anew.
    ///
    /// # Errors
    /// If the directory cannot be used, or its checkpoints are damaged or of other parameters.
    pub fn open(settings: RunSettings, trainer: &mut impl Checkpointed) -> Result<Self, RunError> {
        let directory = &settings.directory;
        let created = std::fs::create_dir_all(directory);
        created.map_err(|source| RunError::Directory { path: directory.clone(), source })?;
        let mut kept = 0;
        if let Some(loaded) = checkpoint::latest(&checkpoints(directory))? {
            kept = loaded.state.metrics_bytes;
            for difference in trainer.restore(loaded)? {
                tracing::warn!("{}: {difference}", directory.display());
            }
            tracing::info!("{}: going on after step {}", directory.display(), trainer.steps());
        }
        let (metrics, lines) = Metrics::open(&directory.join("metrics.jsonl"), kept)?;
        let mut curve = Curve::new(&settings.title);
        lines.iter().for_each(|line| curve.push(line.step, line.loss));
        let bar = bar(&settings, trainer.steps());
        let (loss, seconds, now, saved) = (Smooth::default(), Smooth::default(), Instant::now(), trainer.steps());
        Ok(Self { settings, metrics, curve, bar, loss, seconds, saved, drawn: now, logged: now })
    }

    /// Whether all steps are done.
    pub fn is_done(&self, trainer: &impl Checkpointed) -> bool {
        trainer.steps() >= self.settings.steps
    }

    /// Records a step: metrics, bar, and now and then the curve and a checkpoint.
    ///
    /// # Errors
    /// If the disk refuses.
    pub fn record(&mut self, trainer: &impl Checkpointed, report: &StepReport) -> Result<(), RunError> {
        let StepReport { step, loss, grad_norm, learning_rate, seconds, ref extra } = *report;
        self.metrics.write(&Line { step, loss, grad_norm, learning_rate, extra: extra.clone() })?;
        self.curve.push(step, loss);
        self.loss.push(f64::from(loss));
        self.seconds.push(seconds);
        self.show(step);
        if self.drawn.elapsed() >= CURVE_EVERY {
            self.draw()?;
        }
        if step.is_multiple_of(self.settings.checkpoint_every) {
            self.checkpoint(trainer)?;
        }
        Ok(())
    }

    /// Writes a checkpoint now, for instance before a leg ends.
    ///
    /// # Errors
    /// If the disk refuses.
    pub fn checkpoint(&mut self, trainer: &impl Checkpointed) -> Result<(), RunError> {
        // Metrics first: a checkpoint must not speak of lines that a power failure can take back.
        let bytes = self.metrics.sync()?;
        trainer.save(&checkpoints(&self.settings.directory), bytes)?;
        self.saved = trainer.steps();
        Ok(())
    }

    /// Ends the run or a leg of it: a last checkpoint if steps were done since, and the curve.
    ///
    /// # Errors
    /// If the disk refuses.
    pub fn finish(mut self, trainer: &impl Checkpointed) -> Result<(), RunError> {
        if trainer.steps() > self.saved {
            self.checkpoint(trainer)?;
        }
        self.draw()?;
        self.bar.abandon();
        Ok(())
    }

    /// Ends a run that went astray after step `good`: the curve, no checkpoint, and those after `good` are removed. The step of the newest that
    /// is left, if one is.
    ///
    /// # Errors
    /// If the disk refuses.
    pub fn give_up(mut self, good: u64) -> Result<Option<u64>, RunError> {
        self.draw()?;
        self.bar.abandon();
        Ok(checkpoint::remove_after(&checkpoints(&self.settings.directory), good)?)
    }

    fn draw(&mut self) -> Result<(), RunError> {
        self.curve.write(&self.settings.directory.join("curve.svg"))?;
        self.drawn = Instant::now();
        Ok(())
    }

    fn show(&mut self, step: u64) {
        let (loss, seconds) = (self.loss.value(), self.seconds.value());
        let left = Duration::from_secs_f64(seconds * self.settings.steps.saturating_sub(step) as f64);
        let text = format!("loss {loss:.4} · {:.0} ms a step · {} left", seconds * 1e3, clock(left));
        if self.settings.show && self.bar.is_hidden() && self.logged.elapsed() >= LINE_EVERY {
            tracing::info!("{} {step}/{}: {text}", self.settings.title, self.settings.steps);
            self.logged = Instant::now();
        }
        self.bar.set_position(step);
        self.bar.set_message(text);
    }
}

/// Step of the newest whole checkpoint of the run in `directory`; `None` where there is none.
///
/// # Errors
/// As [`checkpoint::latest`].
pub fn steps_saved(directory: &Path) -> Result<Option<u64>, CheckpointError> {
    Ok(checkpoint::latest(&checkpoints(directory))?.map(|loaded| loaded.state.step))
}

fn checkpoints(directory: &Path) -> PathBuf {
    directory.join("checkpoints")
}

fn bar(settings: &RunSettings, step: u64) -> ProgressBar {
    if !settings.show {
        return ProgressBar::hidden();
    }
    let style = ProgressStyle::with_template("{prefix} {wide_bar} {pos}/{len} · {msg}");
    let bar = ProgressBar::new(settings.steps).with_prefix(settings.title.clone()).with_position(step);
    bar.with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()))
}

/// `1:02:03`, hours left away where there are none.
fn clock(time: Duration) -> String {
    let seconds = time.as_secs();
    let (hours, minutes, seconds) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    if hours > 0 { format!("{hours}:{minutes:02}:{seconds:02}") } else { format!("{minutes}:{seconds:02}") }
}

/// An exponential moving average without the start's bias.
#[derive(Debug, Default)]
struct Smooth {
    sum: f64,
    weight: f64,
}

impl Smooth {
    fn push(&mut self, value: f64) {
        self.sum += SMOOTHING * (value - self.sum);
        self.weight += SMOOTHING * (1.0 - self.weight);
    }

    fn value(&self) -> f64 {
        self.sum / self.weight.max(f64::MIN_POSITIVE)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_read_as_clocks() {
        for (seconds, text) in [(0, "0:00"), (61, "1:01"), (3723, "1:02:03")] {
            assert_eq!(clock(Duration::from_secs(seconds)), text);
        }
    }

    #[test]
    fn a_moving_average_starts_at_its_first_value() {
        let mut smooth = Smooth::default();
        smooth.push(3.0);
        assert!((smooth.value() - 3.0).abs() < 1e-12);
        (0..1000).for_each(|_| smooth.push(1.0));
        assert!((smooth.value() - 1.0).abs() < 1e-12);
    }
}
