//! How fast the denoiser drains its queue.

use std::time::Duration;

/// Seconds of the denoiser's work that the running mean looks back on, as far as that is between ten calls and fifty: a forecast
/// of some seconds needs a mean of some seconds, and ten calls of a slow denoiser say enough.
const HORIZON: f64 = 5.0;
const MOST_WEIGHT: f64 = 0.1;
const LEAST_WEIGHT: f64 = 0.02;
/// A call that takes more than this many times what the mean expects counts as that: one page fault storm must not rule the
/// mean for fifty calls. A denoiser that really became slower gets there within a few calls, as the mean itself moves.
const SLOWEST: f64 = 8.0;

/// Row-steps a second of a busy denoiser, as a running mean over calls and as the best that it has shown.
///
/// The mean tells how long work takes beside other work. It is stale where the last calls were slow and nothing runs since;
/// [`Rate::fastest`] is not: no later call can make it wrong, so what it refuses can really not be done.
#[derive(Debug, Default)]
pub(super) struct Rate {
    rows: f64,
    seconds: f64,
    fastest: Option<f64>,
}

impl Rate {
    /// A call served `rows` rows.
    pub(super) fn record(&mut self, rows: usize, took: Duration) {
        let (rows, mut seconds) = (rows as f64, took.as_secs_f64());
        if seconds > 0.0 {
            let rate = rows / seconds;
            self.fastest = Some(self.fastest.map_or(rate, |fastest| fastest.max(rate)));
        }
        if let Some(rate) = self.per_second() {
            // Small calls are slower by the row: a call may take at least as long as others do.
            seconds = seconds.min(SLOWEST * (rows / rate).max(self.seconds));
        }
        let newest = (self.seconds / HORIZON).clamp(LEAST_WEIGHT, MOST_WEIGHT);
        self.rows += newest * (rows - self.rows);
        self.seconds += newest * (seconds - self.seconds);
    }

    /// The mean; `None` before the first call.
    pub(super) fn per_second(&self) -> Option<f64> {
        (self.seconds > 0.0).then(|| self.rows / self.seconds)
    }

    /// Of the fastest call since the start; `None` before the first.
    pub(super) fn fastest(&self) -> Option<f64> {
        self.fastest
    }

    /// How long so many row-steps take by the mean; nothing is known before the first call.
    pub(super) fn time_for(&self, row_steps: u64) -> Duration {
        time_for(row_steps as f64, self.per_second())
    }
}

/// How long so many row-steps take at this rate; no time where none is known.
pub(super) fn time_for(row_steps: f64, rate: Option<f64>) -> Duration {
    rate.map_or(Duration::ZERO, |rate| Duration::from_secs_f64(row_steps / rate))
}

/// How long a denoised picture takes until it is handed over, its wait for the decoder included: a running mean, and the least.
#[derive(Debug, Default)]
pub(super) struct Finish(Option<(Duration, Duration)>);

impl Finish {
    /// A picture took so long.
    pub(super) fn record(&mut self, took: Duration) {
        let (mean, least) = self.0.unwrap_or((took, took));
        let took_at_most = took.min(mean.mul_f64(SLOWEST));
        self.0 = Some((mean.mul_f64(1.0 - MOST_WEIGHT) + took_at_most.mul_f64(MOST_WEIGHT), least.min(took)));
    }

    /// No time before the first.
    pub(super) fn mean(&self) -> Duration {
        self.0.map_or(Duration::ZERO, |(mean, _)| mean)
    }

    /// No time before the first.
    pub(super) fn least(&self) -> Duration {
        self.0.map_or(Duration::ZERO, |(_, least)| least)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CALL: Duration = Duration::from_millis(100);

    fn measured(calls: usize) -> Rate {
        let mut rate = Rate::default();
        (0..calls).for_each(|_| rate.record(16, CALL));
        rate
    }

    #[test]
    fn it_follows_what_was_measured() {
        let mut rate = Rate::default();
        assert_eq!((rate.per_second(), rate.time_for(100)), (None, Duration::ZERO));
        (0..50).for_each(|_| rate.record(16, CALL));
        let seconds = rate.time_for(320).as_secs_f64();
        assert!((seconds - 2.0).abs() < 1e-6, "{seconds}");
        (0..200).for_each(|_| rate.record(16, 2 * CALL));
        assert!((rate.per_second().expect("measured") - 80.0).abs() < 1.0);
    }

    #[test]
    fn a_call_that_hung_hardly_moves_it() {
        let mut rate = measured(50);
        rate.record(16, Duration::from_secs(600));
        let found = rate.per_second().expect("measured");
        assert!(found > 160.0 / 2.0, "{found} instead of 160");
    }

    #[test]
    fn a_denoiser_that_became_much_slower_is_believed_within_some_calls() {
        let mut rate = measured(50);
        (0..40).for_each(|_| rate.record(16, 100 * CALL));
        let found = rate.per_second().expect("measured");
        assert!((found - 1.6).abs() < 0.2, "{found} instead of 1.6");
    }

    #[test]
    fn slow_calls_leave_the_fastest_as_it_was() {
        let mut rate = measured(3);
        (0..500).for_each(|_| rate.record(16, 100 * CALL));
        assert!((rate.fastest().expect("measured") - 160.0).abs() < 1e-6, "{rate:?}");
    }

    #[test]
    fn a_slow_decoder_moves_the_mean_and_not_the_least() {
        let mut finish = Finish::default();
        assert_eq!((finish.mean(), finish.least()), (Duration::ZERO, Duration::ZERO));
        finish.record(CALL);
        (0..60).for_each(|_| finish.record(3 * CALL));
        assert_eq!(finish.least(), CALL);
        assert!((finish.mean().as_secs_f64() - 0.3).abs() < 0.01, "{finish:?}");
        finish.record(Duration::from_secs(600));
        assert!(finish.mean() < Duration::from_secs(1), "{finish:?}");
    }
}
