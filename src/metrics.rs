//! What an operator watches. Names are a contract (`docs/metrics.md`).

use prometheus::{
    Gauge, Histogram, HistogramOpts, HistogramVec, IntCounter, IntCounterVec, IntGauge, IntGaugeVec, Opts, Registry,
};

/// Every metric of the process, in a registry of its own.
#[derive(Debug, Clone)]
pub struct Metrics {
    /// Where all are registered.
    pub registry: Registry,
    /// Answered requests, by route pattern and status.
    pub requests_total: IntCounterVec,
    /// Orders that wait for the denoiser.
    pub requests_waiting: IntGauge,
    /// Orders with a row in the denoiser.
    pub requests_running: IntGauge,
    /// Age of the oldest order that waits.
    pub queue_oldest_seconds: Gauge,
    /// From admission to the first step.
    pub queue_seconds: Histogram,
    /// From the request's head to the end of its answer, by route pattern.
    pub request_seconds: HistogramVec,
    /// From admission to the first preview.
    pub first_preview_seconds: Histogram,
    /// Time in a stage, a request each: `text`, `steps`, `decode`, `safety`, `reward`, `encode`.
    pub stage_seconds: HistogramVec,
    /// Rows of a call of the denoiser, padding left out.
    pub step_rows: Histogram,
    /// Rows computed only to fill a batch.
    pub padding_rows_total: IntCounter,
    /// Mean reward of the pictures shown less that of all candidates, a best-of request each.
    pub reward_uplift: Histogram,
    /// Orders that ended early, by cause: `client`, `disconnect`, `deadline`, `shutdown`.
    pub cancelled_total: IntCounterVec,
    /// Orders that were not taken, by reason: `client_full`, `full`, `late`, `draining`, `broken`,
    /// `rate_limited`, `disk_full`, `uploads`, `scoring`, `swapping`.
    pub rejected_total: IntCounterVec,
    /// Pictures and texts that wait to be scored.
    pub scoring_waiting: IntGauge,
    /// Pictures of a call of CLIP.
    pub scoring_rows: Histogram,
    /// A call of CLIP and the reward head, with all that share it.
    pub scoring_seconds: Histogram,
    /// Rewards of pictures for the prompts that they were scored for, by version.
    pub reward: HistogramVec,
    /// Votes that were acknowledged, by rating and the version that drew.
    pub votes_total: IntCounterVec,
    /// Thumbs that training could learn from and has not.
    pub votes_untrained: IntGauge,
    /// 1 for what serves, by kind and version.
    pub model_info: IntGaugeVec,
    /// Versions that came to serve or did not, by kind and result: `served`, `refused`.
    pub swaps_total: IntCounterVec,
    /// Trials of candidates that ended or paused, by how: `promoted`, `rolled_back`, `withdrawn`, `paused`.
    pub trials_total: IntCounterVec,
    /// 1 while what is drawn is unlike what was drawn before: `reward`, `spread`.
    pub drift: IntGaugeVec,
    /// A phase of a swap: `verify`, `load`, `warm`, `flip`, `release`.
    pub swap_seconds: HistogramVec,
}

/// Seconds from a millisecond to ten minutes.
const SECONDS: [f64; 16] =
    [0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 180.0, 600.0];
/// Differences of probabilities; below zero where chance chose.
const UPLIFT: [f64; 10] = [-0.25, -0.1, 0.0, 0.05, 0.1, 0.2, 0.3, 0.4, 0.6, 0.8];
/// Tenths of a probability.
const TENTHS: [f64; 10] = [0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0];
/// Rows of a batch.
const ROWS: [f64; 8] = [1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0];

impl Metrics {
    /// All metrics at zero, and the process's own where the system tells them.
    ///
    /// # Panics
    /// Never: names are constants that a test registers.
    pub fn new() -> Self {
        let registry = Registry::new();
        let made = Self::build(&registry).expect("names are distinct and well-formed");
        #[cfg(target_os = "linux")]
        let _ = registry.register(Box::new(prometheus::process_collector::ProcessCollector::for_self()));
        made
    }

    fn build(registry: &Registry) -> prometheus::Result<Self> {
        fn kept<C: prometheus::core::Collector + Clone + 'static>(
            registry: &Registry,
            made: prometheus::Result<C>,
        ) -> prometheus::Result<C> {
            let made = made?;
            registry.register(Box::new(made.clone()))?;
            Ok(made)
        }
        let opts = |name: &str, help: &str| Opts::new(format!("plaudit_{name}"), help);
        let buckets = |name: &str, help: &str, buckets: &[f64]| {
            HistogramOpts::new(format!("plaudit_{name}"), help).buckets(buckets.to_vec())
        };
        let r = registry;
        Ok(Self {
            registry: registry.clone(),
            requests_total: kept(
                r,
                IntCounterVec::new(opts("requests_total", "Answered requests"), &["route", "status"]),
            )?,
            requests_waiting: kept(
                r,
                IntGauge::with_opts(opts("requests_waiting", "Requests that wait for the denoiser")),
            )?,
            requests_running: kept(
                r,
                IntGauge::with_opts(opts("requests_running", "Requests with a row in the denoiser")),
            )?,
            queue_oldest_seconds: kept(
                r,
                Gauge::with_opts(opts("queue_oldest_seconds", "Age of the oldest request that waits")),
            )?,
            queue_seconds: kept(
                r,
                Histogram::with_opts(buckets("queue_seconds", "From admission to the first step", &SECONDS)),
            )?,
            request_seconds: kept(
                r,
                HistogramVec::new(
                    buckets("request_seconds", "From a request to the end of its answer", &SECONDS),
                    &["route"],
                ),
            )?,
            first_preview_seconds: kept(
                r,
                Histogram::with_opts(buckets("first_preview_seconds", "From admission to the first preview", &SECONDS)),
            )?,
            stage_seconds: kept(
                r,
                HistogramVec::new(buckets("stage_seconds", "Time of a request in a stage", &SECONDS), &["stage"]),
            )?,
            step_rows: kept(
                r,
                Histogram::with_opts(buckets("step_rows", "Rows of a call of the denoiser, padding left out", &ROWS)),
            )?,
            padding_rows_total: kept(
                r,
                IntCounter::with_opts(opts("padding_rows_total", "Rows computed only to fill a batch")),
            )?,
            reward_uplift: kept(
                r,
                Histogram::with_opts(buckets("reward_uplift", "Reward gained by choosing the best of N", &UPLIFT)),
            )?,
            cancelled_total: kept(
                r,
                IntCounterVec::new(opts("cancelled_total", "Requests that ended early"), &["cause"]),
            )?,
            rejected_total: kept(
                r,
                IntCounterVec::new(opts("rejected_total", "Requests that were not taken"), &["reason"]),
            )?,
            scoring_waiting: kept(
                r,
                IntGauge::with_opts(opts("scoring_waiting", "Pictures and texts that wait to be scored")),
            )?,
            scoring_rows: kept(r, Histogram::with_opts(buckets("scoring_rows", "Pictures of a call of CLIP", &ROWS)))?,
            scoring_seconds: kept(
                r,
                Histogram::with_opts(buckets("scoring_seconds", "A call of CLIP and the reward head", &SECONDS)),
            )?,
            reward: kept(r, HistogramVec::new(buckets("reward", "Rewards of scored pictures", &TENTHS), &["version"]))?,
            votes_total: kept(
                r,
                IntCounterVec::new(opts("votes_total", "Votes that were acknowledged"), &["rating", "model_version"]),
            )?,
            votes_untrained: kept(
                r,
                IntGauge::with_opts(opts("votes_untrained", "Thumbs that training has not learned from")),
            )?,
            model_info: kept(r, IntGaugeVec::new(opts("model_info", "1 for what serves"), &["kind", "version"]))?,
            swaps_total: kept(
                r,
                IntCounterVec::new(opts("swaps_total", "Versions that came to serve or not"), &["kind", "result"]),
            )?,
            trials_total: kept(
                r,
                IntCounterVec::new(opts("trials_total", "Trials that ended or paused"), &["result"]),
            )?,
            drift: kept(r, IntGaugeVec::new(opts("drift", "1 while what is drawn has changed"), &["of"]))?,
            swap_seconds: kept(
                r,
                HistogramVec::new(buckets("swap_seconds", "A phase of a swap", &SECONDS), &["phase"]),
            )?,
        })
    }
}

impl Default for Metrics {
    fn default() -> Self {
        Self::new()
    }
}
