//! What a server sees of both versions' pictures while a trial goes on.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use image::RgbImage;
use serde_json::{Value, json};

use super::{
    DriftSettings,
    drift::{Drift, Drifted, Drifting},
    race::{Arm, Race},
};
use crate::engine::Order;

/// Requests that are remembered to be drawn again.
const RECENT: usize = 64;

/// Seconds a step, by their logarithms (Welford).
#[derive(Debug, Clone, Copy, Default, PartialEq)]
struct Pace {
    count: f64,
    mean: f64,
    squares: f64,
}

impl Pace {
    fn push(&mut self, seconds: f64) {
        let value = seconds.max(f64::MIN_POSITIVE).ln();
        self.count += 1.0;
        let off = value - self.mean;
        self.mean += off / self.count;
        self.squares += off * (value - self.mean);
    }

    /// Squared standard error of the mean.
    fn error(self) -> f64 {
        self.squares / (self.count - 1.0).max(1.0) / self.count.max(1.0)
    }
}

/// What was seen since the trial began.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Seen {
    /// Requests that the server failed.
    pub failed: Race,
    /// Pictures of one colour, or as good as black.
    pub black: Race,
    /// Pictures that the safety checker withheld.
    pub flagged: Race,
    pace: [Pace; 2],
}

impl Seen {
    /// How many times as long the candidate takes for a step, less three standard errors; `None` before there is enough.
    pub fn slowdown(&self) -> Option<f64> {
        /// Requests of each version.
        const ENOUGH: f64 = 30.0;
        const ERRORS: f64 = 3.0;
        let [champion, candidate] = self.pace;
        let error = (champion.error() + candidate.error()).sqrt();
        (champion.count >= ENOUGH && candidate.count >= ENOUGH)
            .then(|| (candidate.mean - champion.mean - ERRORS * error).exp())
    }

    /// For whoever asks why.
    pub(super) fn told(&self) -> Value {
        let race = |race: &Race| {
            json!({
                "champion": [race.champion.had, race.champion.all], "candidate": [race.candidate.had, race.candidate.all],
                "log_evidence_of_more": race.more(0.0),
            })
        };
        json!({
            "failed": race(&self.failed), "black": race(&self.black), "flagged": race(&self.flagged),
            "slowdown_at_least": self.slowdown(),
        })
    }
}

/// How a request ended.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Outcome {
    /// The server's fault.
    pub failed: bool,
    /// For each picture whether it was withheld, and whether it is as good as black.
    pub pictures: Vec<(bool, bool)>,
    /// Of the denoiser, for a step of a picture.
    pub seconds_a_step: Option<f64>,
    /// Mean reward of the candidates, and the reward's version.
    pub reward: Option<(String, f64)>,
    /// Mean difference between the pictures (`trial/drift`).
    pub spread: Option<f64>,
}

/// Written by jobs, read by the trial. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct Watch {
    inner: Arc<Mutex<Inner>>,
}

#[derive(Debug, Default)]
struct Inner {
    /// Champion and candidate of the trial that goes on.
    of: Option<(String, String)>,
    seen: Seen,
    recent: VecDeque<Order>,
    drift: Drift,
    drift_settings: DriftSettings,
}

impl Watch {
    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Forgets what was seen if it is another trial than before.
    pub(super) fn begin(&self, champion: &str, candidate: &str) {
        let of = Some((champion.to_owned(), candidate.to_owned()));
        let mut inner = self.inner();
        if inner.of != of {
            (inner.of, inner.seen) = (of, Seen::default());
        }
    }

    pub(super) fn end(&self) {
        let mut inner = self.inner();
        (inner.of, inner.seen) = (None, Seen::default());
    }

    /// What was seen of both so far.
    pub fn seen(&self) -> Seen {
        self.inner().seen
    }

    /// A request was taken: it may be drawn again by a candidate. Pictures to start from are too large to be kept for that.
    pub(crate) fn taken(&self, order: &Order) {
        if order.request.start.is_some() {
            return;
        }
        let mut inner = self.inner();
        inner.recent.push_back(order.clone());
        if inner.recent.len() > RECENT {
            inner.recent.pop_front();
        }
    }

    /// The requests that were taken last.
    pub(super) fn recent(&self) -> Vec<Order> {
        self.inner().recent.iter().cloned().collect()
    }

    /// What counts as a drift from now on.
    pub(super) fn set_drift(&self, settings: &DriftSettings) {
        self.inner().drift_settings = settings.clone();
    }

    /// The oldest drift that began and was not told.
    pub(super) fn drift_begun(&self) -> Option<Drifted> {
        self.inner().drift.begun().first().cloned()
    }

    /// That one was told.
    pub(super) fn drift_told(&self) {
        self.inner().drift.told();
    }

    /// Whether it drifts now.
    pub(super) fn drifts(&self, of: Drifting) -> bool {
        self.inner().drift.drifts(of)
    }

    /// A request that a version drew for somebody has ended.
    pub(crate) fn ended(&self, version: &str, outcome: &Outcome) {
        {
            let mut guard = self.inner();
            let Inner { drift, drift_settings, .. } = &mut *guard;
            let reward = outcome.reward.as_ref().map(|(of, value)| (of.as_str(), *value));
            drift.push(version, reward, outcome.spread, drift_settings);
        }
        self.record(version, outcome);
    }

    /// A request that a version drew has ended, whoever it was for.
    pub(super) fn record(&self, version: &str, outcome: &Outcome) {
        let mut inner = self.inner();
        let arm = match &inner.of {
            Some((champion, _)) if champion == version => Arm::Champion,
            Some((_, candidate)) if candidate == version => Arm::Candidate,
            _ => return,
        };
        let seen = &mut inner.seen;
        seen.failed.push(arm, outcome.failed);
        for &(flagged, black) in &outcome.pictures {
            seen.flagged.push(arm, flagged);
            seen.black.push(arm, black);
        }
        if let Some(seconds) = outcome.seconds_a_step {
            seen.pace[usize::from(arm == Arm::Candidate)].push(seconds);
        }
    }
}

/// Whether a picture is dark all over, or of a single colour: what NaN and overflow become.
pub(crate) fn is_blank(picture: &RgbImage) -> bool {
    /// Of 255: below it nobody sees anything.
    const DARK: u8 = 8;
    /// Between the lightest and the darkest value of a channel.
    const FLAT: u8 = 2;
    let (mut low, mut high) = ([u8::MAX; 3], [0; 3]);
    for pixel in picture.pixels() {
        for (channel, value) in pixel.0.into_iter().enumerate() {
            low[channel] = low[channel].min(value);
            high[channel] = high[channel].max(value);
        }
    }
    let flat = low.iter().zip(&high).all(|(low, high)| high.saturating_sub(*low) <= FLAT);
    flat || high.iter().all(|value| *value < DARK)
}

#[cfg(test)]
mod tests {
    use image::Rgb;

    use super::*;

    #[test]
    fn black_and_flat_pictures_are_blank_and_a_gradient_is_not() {
        assert!(is_blank(&RgbImage::new(8, 8)));
        assert!(is_blank(&RgbImage::from_pixel(8, 8, Rgb([200, 10, 10]))));
        assert!(is_blank(&RgbImage::from_fn(8, 8, |x, _| Rgb([x as u8 % 8; 3]))));
        assert!(!is_blank(&RgbImage::from_fn(8, 8, |x, y| Rgb([(16 * x) as u8, (16 * y) as u8, 0]))));
    }

    #[test]
    fn only_the_two_versions_of_the_trial_count_and_a_new_trial_begins_at_zero() {
        let watch = Watch::default();
        let outcome =
            Outcome { failed: true, pictures: vec![(false, true)], seconds_a_step: Some(0.1), ..Outcome::default() };
        watch.record("a", &outcome);
        watch.begin("a", "b");
        ["a", "b", "b", "c"].iter().for_each(|version| watch.record(version, &outcome));
        let seen = watch.seen();
        assert_eq!((seen.failed.champion.all, seen.failed.candidate.all, seen.black.candidate.had), (1, 2, 2));
        watch.begin("a", "b");
        assert_eq!(watch.seen(), seen);
        watch.begin("a", "c");
        assert_eq!(watch.seen(), Seen::default());
    }

    #[test]
    fn a_candidate_that_is_slower_is_seen_once_it_is_sure() {
        let watch = Watch::default();
        watch.begin("a", "b");
        let step = |version: &str, seconds: f64| {
            watch.record(version, &Outcome { seconds_a_step: Some(seconds), ..Outcome::default() });
        };
        for at in 0..40 {
            assert!(at >= 30 || watch.seen().slowdown().is_none(), "after {at} of each");
            step("a", 0.1 + f64::from(at % 5) * 0.01);
            step("b", 0.2 + f64::from(at % 5) * 0.01);
        }
        let slowdown = watch.seen().slowdown().expect("enough");
        assert!((1.5..2.0).contains(&slowdown), "{slowdown}");
    }
}
