//! The learning rate of a step.

use serde::{Deserialize, Serialize};

/// Linear warm-up, then half a cosine from `peak` to `floor`.
///
/// Step `t` counts from 0. For `t < warmup` the rate is `peak · (t + 1) / warmup`; after that
/// `floor + (peak − floor) · (1 + cos(π · (t − warmup) / (total − warmup))) / 2`, and `floor` from `total` on.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Schedule {
    /// The highest rate, reached when the warm-up ends.
    pub peak: f32,
    /// The rate at the end.
    pub floor: f32,
    /// Steps of warm-up; 0 for none.
    pub warmup: u64,
    /// Steps in all, the warm-up included.
    pub total: u64,
}

impl Schedule {
    /// The same rate at every step.
    pub fn constant(rate: f32) -> Self {
        Self { peak: rate, floor: rate, warmup: 0, total: 1 }
    }

    /// The learning rate of step `step`, counted from 0.
    pub fn rate(&self, step: u64) -> f32 {
        if step < self.warmup {
            return (f64::from(self.peak) * (step + 1) as f64 / self.warmup as f64) as f32;
        }
        if step >= self.total {
            return self.floor;
        }
        let done = (step - self.warmup) as f64 / (self.total - self.warmup) as f64;
        let (peak, floor) = (f64::from(self.peak), f64::from(self.floor));
        (floor + (peak - floor) * 0.5 * (1.0 + libm::cos(std::f64::consts::PI * done))) as f32
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RATES: Schedule = Schedule { peak: 1e-3, floor: 1e-5, warmup: 10, total: 110 };

    #[test]
    fn it_rises_to_the_peak_and_falls_to_the_floor() {
        let cases = [(0, 1e-4), (4, 5e-4), (9, 1e-3), (10, 1e-3), (60, 5.05e-4), (110, 1e-5), (1000, 1e-5)];
        for (step, expected) in cases {
            let rate = RATES.rate(step);
            assert!((rate - expected).abs() < 1e-9, "step {step}: {rate} instead of {expected}");
        }
    }

    #[test]
    fn after_the_warm_up_it_never_rises() {
        assert!((10..120).all(|step| RATES.rate(step + 1) <= RATES.rate(step)));
    }

    #[test]
    fn a_constant_is_constant() {
        assert!([0, 1, 1000].iter().all(|&step| Schedule::constant(0.5).rate(step) == 0.5));
    }
}
