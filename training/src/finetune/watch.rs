//! Whether a run is going astray while all its numbers are still numbers.

use std::collections::VecDeque;

use super::graph::NOISE_ERROR;
use crate::report::Line;

/// Steps that errors are averaged over: timesteps differ much in how hard they are.
const STEPS: usize = 25;

/// Compares the noise error of the last steps with that of the first ones.
#[derive(Debug, Clone)]
pub(super) struct Watch {
    limit: f64,
    first: Vec<f64>,
    last: VecDeque<f64>,
}

impl Watch {
    /// A run may have `limit` times the error it began with; `lines` are what it wrote so far.
    pub(super) fn of(limit: f32, lines: &[Line]) -> Self {
        let mut watch = Self { limit: f64::from(limit), first: Vec::new(), last: VecDeque::new() };
        for line in lines {
            // What was kept was not astray.
            watch.see(line.extra.get(NOISE_ERROR).copied());
        }
        watch
    }

    /// Takes a step's error; says what is wrong, if it is.
    pub(super) fn see(&mut self, error: Option<f32>) -> Option<String> {
        let error = f64::from(error?);
        if self.first.len() < STEPS {
            self.first.push(error);
            return None;
        }
        self.last.push_back(error);
        if self.last.len() > STEPS {
            self.last.pop_front();
        }
        if self.last.len() < STEPS {
            return None;
        }
        let mean = |values: &mut dyn Iterator<Item = &f64>| values.sum::<f64>() / STEPS as f64;
        let (before, now) = (mean(&mut self.first.iter()), mean(&mut self.last.iter()));
        (now > self.limit * before).then(|| {
            format!("the noise error of the last {STEPS} steps is {now:.4}, that of the first was {before:.4}")
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_hard_step_is_no_divergence_and_many_are() {
        let mut watch = Watch::of(2.0, &[]);
        assert!((0..STEPS * 2).all(|_| watch.see(Some(0.1)).is_none()));
        assert_eq!(watch.see(Some(2.0)), None);
        let said = (0..STEPS).find_map(|_| watch.see(Some(0.3))).expect("astray");
        assert!(said.contains("was 0.1000"), "{said}");
        assert_eq!(watch.see(None), None);
    }
}
