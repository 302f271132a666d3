//! Whether a run is going astray while all its numbers are still numbers.

use std::collections::VecDeque;

use super::graph::NOISE_ERROR;
use crate::report::Line;

/// The reference's own noise error on the step's rows, in `metrics.jsonl`.
pub(super) const REFERENCE_ERROR: &str = "reference_error";
/// Steps that errors are averaged over: timesteps differ much in how hard they are.
const STEPS: usize = 25;
/// Fewest steps that are judged.
const LEAST: usize = 5;

/// Compares the noise error of the last steps with the reference's on the same rows, or where no reference runs with that of the first steps.
#[derive(Debug, Clone)]
pub(super) struct Watch {
    limit: f64,
    first: Vec<f64>,
    /// Error of the model, and what it is compared with.
    last: VecDeque<(f64, f64)>,
    /// The last step at which all was well.
    good: u64,
}

impl Watch {
    /// A run may have `limit` times the reference's error; `lines` are what it wrote so far.
    pub(super) fn of(limit: f32, lines: &[Line]) -> Self {
        let mut watch = Self { limit: f64::from(limit), first: Vec::new(), last: VecDeque::new(), good: 0 };
        for line in lines {
            // What was kept was not astray.
            watch.see(line);
        }
        watch
    }

    /// The last step at which all was well: checkpoints after it are not to be trusted.
    pub(super) fn good(&self) -> u64 {
        self.good
    }

    /// Takes a step's figures; says what is wrong, if it is.
    pub(super) fn see(&mut self, line: &Line) -> Option<String> {
        let error = f64::from(*line.extra.get(NOISE_ERROR)?);
        let base = match line.extra.get(REFERENCE_ERROR) {
            Some(&reference) => f64::from(reference),
            None if self.first.len() < STEPS => {
                self.first.push(error);
                self.good = line.step;
                return None;
            }
            None => self.first.iter().sum::<f64>() / STEPS as f64,
        };
        self.last.push_back((error, base));
        if self.last.len() > STEPS {
            self.last.pop_front();
        }
        if self.last.len() < LEAST {
            return None;
        }
        let (now, before) =
            self.last.iter().fold((0.0, 0.0), |(now, before), (error, base)| (now + error, before + base));
        if now <= (1.0 + self.limit) / 2.0 * before {
            self.good = line.step;
        }
        let count = self.last.len() as f64;
        let (now, before) = (now / count, before / count);
        (now > self.limit * before).then(|| {
            format!("the noise error of the last {count} steps is {now:.4}, and that of the parent {before:.4}")
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(step: u64, error: f32, reference: Option<f32>) -> Line {
        let mut extra = indexmap::IndexMap::from([(NOISE_ERROR.to_owned(), error)]);
        extra.extend(reference.map(|reference| (REFERENCE_ERROR.to_owned(), reference)));
        Line { step, loss: 0.0, grad_norm: 0.0, learning_rate: 0.0, extra }
    }

    #[test]
    fn a_hard_step_is_hard_for_the_reference_too() {
        let mut watch = Watch::of(2.0, &[]);
        assert!((1..=20).all(|step| watch.see(&line(step, 0.1, Some(0.1))).is_none()));
        assert_eq!(watch.see(&line(21, 3.0, Some(2.9))), None);
        assert_eq!(watch.good(), 21);
        let mut lost = Watch::of(2.0, &[]);
        let said = (1..=LEAST as u64).filter_map(|step| lost.see(&line(step, 0.9, Some(0.1)))).collect::<Vec<_>>();
        assert_eq!((said.len(), lost.good()), (1, 0), "{said:?}");
        assert!(said[0].contains("0.9000") && said[0].contains("0.1000"));
    }

    #[test]
    fn without_a_reference_the_first_steps_are_the_measure() {
        let first: Vec<Line> = (1..=STEPS as u64).map(|step| line(step, 0.1, None)).collect();
        let mut watch = Watch::of(2.0, &first);
        assert!((26..60).all(|step| watch.see(&line(step, 0.12, None)).is_none()));
        assert_eq!(watch.good(), 59);
        let astray = (60..90).find_map(|step| watch.see(&line(step, 0.9, None)));
        assert!(astray.is_some() && watch.good() < 65, "{astray:?}, good at {}", watch.good());
    }
}
