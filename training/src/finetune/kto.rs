//! KTO's reference point z₀: how much better than the reference the model is on average, over the whole batch and the ones before, without a gradient.

use std::{collections::VecDeque, fs, path::Path};

use super::{FinetuneError, Kto, batch::GlobalBatch, forward::Forward};
use crate::report::Line;

/// A batch's mean gain in `metrics.jsonl`; what the window is filled from after a stop.
const GAIN: &str = "kto_gain";
/// z₀ of the step.
const BASELINE: &str = "kto_baseline";

/// Mean gains of the last batches.
#[derive(Debug, Clone)]
pub(super) struct Window {
    gains: VecDeque<f32>,
    length: usize,
}

impl Window {
    /// The window as the last of a run's `lines` left it.
    pub(super) fn of(kto: &Kto, lines: &[Line]) -> Self {
        let gains = lines.iter().filter_map(|line| line.extra.get(GAIN)).copied();
        let mut window = Self { gains: VecDeque::new(), length: kto.window };
        gains.for_each(|gain| window.push(gain));
        window
    }

    fn push(&mut self, gain: f32) {
        self.gains.push_back(gain);
        while self.gains.len() > self.length {
            self.gains.pop_front();
        }
    }

    /// z₀ = max(0, mean of the gains), the newest included.
    pub(super) fn baseline(&mut self, gain: f32) -> f32 {
        self.push(gain);
        let sum: f64 = self.gains.iter().map(|&gain| f64::from(gain)).sum();
        (sum / self.gains.len() as f64).max(0.0) as f32
    }

    /// Computes the batch's mean gain with the weights of the moment, and writes z₀ into all its parts. The references are there already.
    /// Returns what is logged.
    pub(super) fn apply(
        &mut self,
        batch: &mut GlobalBatch,
        current: &mut Forward,
    ) -> Result<[(&'static str, f32); 2], FinetuneError> {
        let mut gains = Vec::new();
        for micro in &batch.micros {
            let predicted = current.predict(micro)?;
            gains.extend(row_gains(predicted, &micro.reference, &micro.noise, &micro.kto_weight));
        }
        let gain = mean(&gains);
        let baseline = self.baseline(gain);
        batch.micros.iter_mut().for_each(|micro| micro.baseline = baseline);
        Ok([(GAIN, gain), (BASELINE, baseline)])
    }
}

/// g_i = ‖ε_ref − ε‖² − ‖ε_θ − ε‖² of the rows that are votes, in f64: the order of micro-batches and their size do not show.
pub(super) fn row_gains(predicted: &[f32], reference: &[f32], noise: &[f32], weights: &[f32]) -> Vec<f64> {
    let cells = noise.len() / weights.len().max(1);
    let square = |one: &[f32], other: &[f32]| {
        one.iter().zip(other).map(|(a, b)| (f64::from(*a) - f64::from(*b)).powi(2)).sum::<f64>() / cells as f64
    };
    let rows = predicted.chunks(cells).zip(reference.chunks(cells)).zip(noise.chunks(cells)).zip(weights);
    rows.filter(|(_, weight)| **weight > 0.0)
        .map(|(((predicted, reference), noise), _)| square(reference, noise) - square(predicted, noise))
        .collect()
}

fn mean(gains: &[f64]) -> f32 {
    (gains.iter().sum::<f64>() / gains.len().max(1) as f64) as f32
}

/// The lines of a run's metrics that its last checkpoint knows of; call after the run was opened, which cuts the file.
pub(super) fn lines(directory: &Path) -> Result<Vec<Line>, FinetuneError> {
    let path = directory.join("metrics.jsonl");
    if !path.exists() {
        return Ok(Vec::new());
    }
    let text = fs::read_to_string(&path).map_err(FinetuneError::io("read", &path))?;
    let parse =
        |line: &str| serde_json::from_str(line).map_err(|error| FinetuneError::content(&path, error.to_string()));
    text.lines().map(parse).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_baseline_is_the_windows_mean_and_never_negative() {
        let kto = Kto { window: 2, ..Kto::default() };
        let mut window = Window::of(&kto, &[]);
        assert_eq!([3.0, 1.0, -5.0, 4.0, 2.0].map(|gain| window.baseline(gain)), [3.0, 2.0, 0.0, 0.0, 3.0]);
    }

    #[test]
    fn gains_do_not_depend_on_how_a_batch_is_divided() {
        let numbers = |seed: u64, count: usize| {
            let mut random = crate::random::Random::new(seed);
            (0..count).map(|_| random.normal()).collect::<Vec<f32>>()
        };
        let (rows, cells) = (6, 16);
        let [predicted, reference, noise] = [1, 2, 3].map(|seed| numbers(seed, rows * cells));
        let weights = [1.0, 0.0, 1.0, 0.5, 0.0, 1.0];
        let whole = row_gains(&predicted, &reference, &noise, &weights);
        assert_eq!(whole.len(), 4, "rows that are no votes are not counted");
        for size in [1, 2, 3] {
            let part = |from: usize| {
                let (rows, cells) = (from..from + size, from * cells..(from + size) * cells);
                row_gains(&predicted[cells.clone()], &reference[cells.clone()], &noise[cells], &weights[rows])
            };
            let parts: Vec<f64> = (0..rows).step_by(size).flat_map(part).collect();
            assert_eq!(mean(&parts).to_bits(), mean(&whole).to_bits(), "micro-batches of {size}");
        }
    }
}
