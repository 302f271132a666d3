//! How fast the denoiser drains its queue.

use std::time::Duration;

/// Weight of the newest call in the running mean.
const NEWEST: f64 = 0.1;

/// Row-steps a second of a busy denoiser, as a running mean over calls.
#[derive(Debug, Default)]
pub(super) struct Rate {
    rows: f64,
    seconds: f64,
}

impl Rate {
    /// A call served `rows` rows.
    pub(super) fn record(&mut self, rows: usize, took: Duration) {
        self.rows += NEWEST * (rows as f64 - self.rows);
        self.seconds += NEWEST * (took.as_secs_f64() - self.seconds);
    }

    /// `None` before the first call.
    pub(super) fn per_second(&self) -> Option<f64> {
        (self.seconds > 0.0).then(|| self.rows / self.seconds)
    }

    /// How long so many row-steps take; nothing is known before the first call.
    pub(super) fn time_for(&self, row_steps: u64) -> Duration {
        self.per_second().map_or(Duration::ZERO, |rate| Duration::from_secs_f64(row_steps as f64 / rate))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_follows_what_was_measured() {
        let mut rate = Rate::default();
        assert_eq!((rate.per_second(), rate.time_for(100)), (None, Duration::ZERO));
        (0..50).for_each(|_| rate.record(16, Duration::from_millis(100)));
        let seconds = rate.time_for(320).as_secs_f64();
        assert!((seconds - 2.0).abs() < 1e-6, "{seconds}");
        (0..50).for_each(|_| rate.record(16, Duration::from_millis(200)));
        assert!((rate.per_second().expect("measured") - 80.0).abs() < 1.0);
    }
}
