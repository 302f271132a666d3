//! What a server tells its trials: how requests ended, and what of them can be served again.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use image::RgbImage;

use super::{
    DriftSettings,
    drift::{Drift, Drifted, Drifting},
    race::Arm,
    seen::{Outcome, Seen, Served},
};
use crate::{domain::Kind, engine::Order, scoring::Points};

/// Requests that are remembered to be served again.
const RECENT: usize = 64;

/// Written by jobs, read by the trial. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct Watch {
    inner: Arc<Mutex<Inner>>,
}

#[derive(Debug, Default)]
struct Inner {
    /// The trial that goes on.
    of: Option<Sides>,
    seen: Seen,
    recent: VecDeque<Order>,
    /// What a reward reads of the pictures of a request, for each.
    points: VecDeque<Vec<Points>>,
    drift: Drift,
    drift_settings: DriftSettings,
}

/// Whose outcomes are told apart.
#[derive(Debug, PartialEq, Eq)]
struct Sides {
    kind: Kind,
    champion: String,
    candidate: String,
}

impl Sides {
    fn arm(&self, kind: Kind, version: &str) -> Option<Arm> {
        let arms = [(&self.champion, Arm::Champion), (&self.candidate, Arm::Candidate)];
        arms.into_iter().find(|(of, _)| self.kind == kind && *of == version).map(|(_, arm)| arm)
    }
}

impl Watch {
    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Forgets what was seen if it is another trial than before.
    pub(super) fn begin(&self, kind: Kind, champion: &str, candidate: &str) {
        let sides = Sides { kind, champion: champion.to_owned(), candidate: candidate.to_owned() };
        let mut inner = self.inner();
        if inner.of.as_ref() != Some(&sides) {
            let rewards =
                if kind == Kind::Reward { vec![champion.to_owned(), candidate.to_owned()] } else { Vec::new() };
            inner.drift.keep_apart(rewards);
            (inner.of, inner.seen) = (Some(sides), Seen::default());
        }
    }

    pub(super) fn end(&self) {
        let mut inner = self.inner();
        inner.drift.keep_apart(Vec::new());
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

    /// A request's pictures were scored: a candidate may score them again.
    pub(crate) fn scored(&self, points: Vec<Points>) {
        if points.is_empty() {
            return;
        }
        let mut inner = self.inner();
        inner.points.push_back(points);
        if inner.points.len() > RECENT {
            inner.points.pop_front();
        }
    }

    /// What was read of the pictures of the last requests, at most `many`.
    pub(super) fn recent_points(&self, many: usize) -> Vec<Vec<Points>> {
        let inner = self.inner();
        inner.points.iter().skip(inner.points.len().saturating_sub(many)).cloned().collect()
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

    /// A request of somebody's has ended.
    pub(crate) fn ended(&self, served: &Served, outcome: &Outcome) {
        {
            let mut guard = self.inner();
            let Inner { drift, drift_settings, .. } = &mut *guard;
            let reward = served.reward.as_deref().zip(outcome.reward);
            drift.push(&served.generator, reward, outcome.spread, drift_settings);
        }
        self.record(Kind::Generator, &served.generator, outcome);
        if let Some(reward) = &served.reward {
            self.record(Kind::Reward, reward, outcome);
        }
    }

    /// A request that a version served has ended, whoever it was for.
    pub(super) fn record(&self, kind: Kind, version: &str, outcome: &Outcome) {
        let mut inner = self.inner();
        if let Some(arm) = inner.of.as_ref().and_then(|sides| sides.arm(kind, version)) {
            inner.seen.push(kind, arm, outcome);
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
    use crate::trial::seen::Scoring;

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
        watch.record(Kind::Generator, "a", &outcome);
        watch.begin(Kind::Generator, "a", "b");
        ["a", "b", "b", "c"].iter().for_each(|version| watch.record(Kind::Generator, version, &outcome));
        watch.record(Kind::Reward, "b", &outcome);
        let seen = watch.seen();
        assert_eq!((seen.failed.champion.all, seen.failed.candidate.all, seen.black.candidate.told()), (1, 2, [2, 2]));
        watch.begin(Kind::Generator, "a", "b");
        assert_eq!(watch.seen(), seen);
        watch.begin(Kind::Generator, "a", "c");
        assert_eq!(watch.seen(), Seen::default());
    }

    #[test]
    fn a_candidate_that_is_slower_is_seen_once_it_is_sure() {
        for kind in Kind::ALL {
            let watch = Watch::default();
            watch.begin(kind, "a", "b");
            let took = |version: &str, seconds: f64| {
                let scoring = Some(Scoring { failed: false, seconds_a_picture: Some(seconds) });
                let outcome = Outcome { seconds_a_step: Some(seconds), scoring, ..Outcome::default() };
                watch.record(kind, version, &outcome);
            };
            for at in 0..40 {
                assert!(at >= 30 || watch.seen().slowdown().is_none(), "after {at} of each");
                took("a", 0.1 + f64::from(at % 5) * 0.01);
                took("b", 0.2 + f64::from(at % 5) * 0.01);
            }
            let slowdown = watch.seen().slowdown().expect("enough");
            assert!((1.5..2.0).contains(&slowdown), "{kind}: {slowdown}");
        }
    }

    #[test]
    fn of_a_reward_on_trial_its_scores_are_seen_and_no_pictures() {
        let watch = Watch::default();
        watch.begin(Kind::Reward, "r", "s");
        let served = |reward: &str| Served { generator: "a".into(), reward: Some(reward.into()) };
        let outcome = |failed: bool| Outcome {
            failed: true,
            pictures: vec![(true, true)],
            scoring: Some(Scoring { failed, seconds_a_picture: None }),
            ..Outcome::default()
        };
        watch.ended(&served("r"), &outcome(false));
        watch.ended(&served("s"), &outcome(true));
        // Nothing was scored: that is nobody's fault.
        watch.ended(&served("s"), &Outcome::default());
        let seen = watch.seen();
        let counts =
            |race: crate::trial::race::Race| [race.champion, race.candidate].map(crate::trial::race::Count::told);
        assert_eq!((counts(seen.failed), counts(seen.black)), ([[0, 1], [1, 1]], [[0, 0], [0, 0]]));
    }

    #[test]
    fn the_latest_requests_are_remembered_and_no_more() {
        let watch = Watch::default();
        let points = |at: usize| Points { text: [at as f32].into(), image: [0.5].into() };
        (0..RECENT + 9).for_each(|at| watch.scored(vec![points(at)]));
        watch.scored(Vec::new());
        let last = watch.recent_points(2);
        assert_eq!(last, [vec![points(RECENT + 7)], vec![points(RECENT + 8)]]);
        assert_eq!(watch.recent_points(usize::MAX).len(), RECENT);
    }
}
