//! Whether what is drawn is still like what was drawn before: how well it is liked by the reward, and how much the pictures of a
//! request differ.
//!
//! The latest requests stand beside those before them. A difference counts where it is large enough to matter and more standard
//! errors than chance brings. Whatever the reason (a promotion, other people, a broken reward), nothing should be promoted by a
//! machine until somebody has looked.

use std::{collections::VecDeque, fmt};

use image::{RgbImage, imageops::thumbnail};

use super::DriftSettings;

/// Standard errors beyond which a difference is no chance. At every request one looks again: far out.
const SURE: f64 = 5.0;
/// A drift is over once the difference is below this share of the bound: it does not flicker.
const OVER: f64 = 0.5;

/// What drifts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Drifting {
    /// Mean reward of a request's candidates.
    Reward,
    /// Mean difference between the pictures of a request.
    Spread,
}

impl Drifting {
    pub(crate) const ALL: [Self; 2] = [Self::Reward, Self::Spread];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Reward => "reward",
            Self::Spread => "spread",
        }
    }
}

/// A drift that began.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Drifted {
    pub(super) of: Drifting,
    before: f64,
    now: f64,
    requests: usize,
}

impl fmt::Display for Drifted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { of, before, now, requests } = self;
        let what = match of {
            Drifting::Reward => "the mean reward",
            Drifting::Spread => "the difference between the pictures of a request",
        };
        write!(f, "{what} went from {before:.3} to {now:.3} in the last {requests} requests")
    }
}

/// A request's numbers, the oldest first.
#[derive(Debug, Default)]
struct Series {
    values: VecDeque<f64>,
    /// So many of the last were drawn by one version.
    alike: usize,
    last: Option<String>,
    drifts: bool,
}

/// Before, now, and the standard error of their difference.
struct Means {
    before: f64,
    now: f64,
    error: f64,
}

impl Series {
    /// One more; the drift that begins with it.
    fn push(&mut self, value: f64, version: &str, of: Drifting, settings: &DriftSettings) -> Option<Drifted> {
        if self.last.as_deref() == Some(version) {
            self.alike += 1;
        } else {
            (self.alike, self.last) = (1, Some(version.to_owned()));
        }
        self.values.push_back(value);
        if self.values.len() > settings.reference + settings.window {
            self.values.pop_front();
        }
        self.look(of, settings)
    }

    fn look(&mut self, of: Drifting, settings: &DriftSettings) -> Option<Drifted> {
        let Means { before, now, error } = self.means(settings)?;
        let (moved, bound) = match of {
            // A better version is what everybody wants; rewards that rise without one are not.
            Drifting::Reward if self.of_one_version() => ((now - before).abs(), settings.reward),
            Drifting::Reward => (before - now, settings.reward),
            Drifting::Spread => (before - now, settings.spread * before),
        };
        let (was, is) = (self.drifts, moved > bound && moved > SURE * error);
        self.drifts = is || was && moved >= OVER * bound;
        (is && !was).then_some(Drifted { of, before, now, requests: settings.window })
    }

    /// Whether all of it was drawn by one version.
    fn of_one_version(&self) -> bool {
        self.alike >= self.values.len()
    }

    fn means(&self, settings: &DriftSettings) -> Option<Means> {
        if settings.window == 0 || self.values.len() < settings.reference + settings.window {
            return None;
        }
        let moments = |values: &mut dyn Iterator<Item = f64>| {
            let (mut count, mut sum, mut squares) = (0.0_f64, 0.0, 0.0);
            values.for_each(|value| (count, sum, squares) = (count + 1.0, sum + value, squares + value * value));
            let mean = sum / count;
            (mean, (squares / count - mean * mean).max(0.0) / count)
        };
        let (before, of_before) = moments(&mut self.values.iter().copied().take(settings.reference));
        let (now, of_now) = moments(&mut self.values.iter().copied().skip(settings.reference));
        Some(Means { before, now, error: (of_before + of_now).sqrt() })
    }
}

/// What was drawn lately.
#[derive(Debug, Default)]
pub(super) struct Drift {
    /// By the reward that gave them: each has a scale of its own.
    rewards: Vec<(String, Series)>,
    spreads: Series,
    /// Rewards that take turns.
    apart: Vec<String>,
    begun: Vec<Drifted>,
}

impl Drift {
    /// While a reward is on trial both judge: each one's numbers are compared with its own. Otherwise another reward is a new beginning.
    pub(super) fn keep_apart(&mut self, rewards: Vec<String>) {
        self.apart = rewards;
    }

    /// A request's mean reward, by the reward that gave it, and its pictures' mean difference.
    pub(super) fn push(
        &mut self,
        version: &str,
        reward: Option<(&str, f64)>,
        spread: Option<f64>,
        settings: &DriftSettings,
    ) {
        if let Some((of, value)) = reward {
            let begun = self.of_reward(of).push(value, version, Drifting::Reward, settings);
            self.begun.extend(begun);
        }
        if let Some(value) = spread {
            self.begun.extend(self.spreads.push(value, version, Drifting::Spread, settings));
        }
    }

    /// The numbers of a reward; those of rewards that judge no more are forgotten.
    fn of_reward(&mut self, of: &str) -> &mut Series {
        let apart = &self.apart;
        let both = apart.iter().any(|one| one == of);
        self.rewards.retain(|(one, _)| one == of || both && apart.contains(one));
        let at = self.rewards.iter().position(|(one, _)| one == of).unwrap_or_else(|| {
            self.rewards.push((of.to_owned(), Series::default()));
            self.rewards.len() - 1
        });
        &mut self.rewards[at].1
    }

    pub(super) fn drifts(&self, of: Drifting) -> bool {
        match of {
            Drifting::Reward => self.rewards.iter().any(|(_, series)| series.drifts),
            Drifting::Spread => self.spreads.drifts,
        }
    }

    /// Those that began and were not told, the oldest first.
    pub(super) fn begun(&self) -> &[Drifted] {
        &self.begun
    }

    /// The oldest was told.
    pub(super) fn told(&mut self) {
        if !self.begun.is_empty() {
            self.begun.remove(0);
        }
    }
}

/// Mean absolute difference between every two pictures, seen from afar, 0…1; `None` for fewer than two.
pub(crate) fn spread<'a>(pictures: impl Iterator<Item = &'a RgbImage>) -> Option<f64> {
    /// Cells of a side: places and colours, no texture.
    const SIDE: u32 = 8;
    let cells: Vec<RgbImage> = pictures.map(|picture| thumbnail(picture, SIDE, SIDE)).collect();
    let pairs = (0..cells.len()).flat_map(|one| (0..one).map(move |other| (one, other)));
    let (mut sum, mut count) = (0.0, 0.0);
    for (one, other) in pairs {
        let apart = cells[one].iter().zip(cells[other].iter()).map(|(a, b)| f64::from(a.abs_diff(*b)));
        sum += apart.sum::<f64>() / (cells[one].len() as f64 * f64::from(u8::MAX));
        count += 1.0;
    }
    (count > 0.0).then(|| sum / count)
}

#[cfg(test)]
mod tests {
    use image::Rgb;

    use super::*;
    use crate::trial::race::tests::Uniform;

    fn settings() -> DriftSettings {
        crate::trial::TrialSettings::default().drift
    }

    /// A request's mean reward: four candidates that are good or not.
    fn reward(random: &mut Uniform, good: f64) -> f64 {
        (0..4).map(|_| if random.next() < good { 0.8 } else { 0.2 }).sum::<f64>() / 4.0
    }

    fn between(random: &mut Uniform) -> f64 {
        0.1 + 0.2 * random.next()
    }

    #[test]
    fn what_stays_as_it_was_is_no_drift() {
        let mut random = Uniform(1);
        let mut drift = Drift::default();
        for _ in 0..20_000 {
            drift.push("a", Some(("r", reward(&mut random, 0.5))), Some(between(&mut random)), &settings());
        }
        assert_eq!(drift.begun(), []);
    }

    #[test]
    fn rewards_that_fall_are_seen_within_a_window_and_told_once() {
        let mut random = Uniform(2);
        let (settings, mut drift) = (settings(), Drift::default());
        for _ in 0..settings.reference + settings.window {
            drift.push("a", Some(("r", reward(&mut random, 0.8))), None, &settings);
        }
        assert_eq!(drift.begun(), []);
        for _ in 0..settings.window {
            drift.push("b", Some(("r", reward(&mut random, 0.3))), None, &settings);
        }
        let begun = drift.begun();
        assert!(matches!(begun, [one] if one.of == Drifting::Reward), "{begun:?}");
        assert!(begun[0].to_string().contains("the mean reward went from 0."), "{}", begun[0]);
        assert!(drift.drifts(Drifting::Reward) && !drift.drifts(Drifting::Spread));
        drift.told();
        // What lasts is how it is.
        for _ in 0..settings.reference + settings.window {
            drift.push("b", Some(("r", reward(&mut random, 0.3))), None, &settings);
        }
        assert!(!drift.drifts(Drifting::Reward) && drift.begun().is_empty());
    }

    #[test]
    fn rewards_that_rise_are_a_drift_unless_another_version_draws() {
        let rise = |version: &str| {
            let mut random = Uniform(3);
            let (settings, mut drift) = (settings(), Drift::default());
            for at in 0..settings.reference + settings.window {
                let (by, good) = if at < settings.reference { ("a", 0.3) } else { (version, 0.8) };
                drift.push(by, Some(("r", reward(&mut random, good))), None, &settings);
            }
            drift.begun().len()
        };
        assert_eq!((rise("a"), rise("b")), (1, 0));
    }

    #[test]
    fn pictures_that_all_become_alike_are_seen_whoever_draws() {
        let mut random = Uniform(4);
        let (settings, mut drift) = (settings(), Drift::default());
        for at in 0..settings.reference + settings.window {
            let scale = if at < settings.reference { 1.0 } else { 0.3 };
            drift.push("a", None, Some(scale * between(&mut random)), &settings);
        }
        assert!(matches!(drift.begun(), [one] if one.of == Drifting::Spread));
    }

    #[test]
    fn another_rewards_numbers_are_not_compared() {
        let (settings, mut drift) = (settings(), Drift::default());
        for at in 0..settings.reference + settings.window {
            let reward = if at < settings.reference { ("r", 0.9) } else { ("s", 0.1) };
            drift.push("a", Some(reward), None, &settings);
        }
        assert_eq!(drift.begun(), []);
    }

    /// Two rewards of other scales judge in turn; one of them begins to fall.
    #[test]
    fn of_two_rewards_that_take_turns_each_is_compared_with_itself() {
        let mut random = Uniform(5);
        let (settings, mut drift) = (settings(), Drift::default());
        drift.keep_apart(vec!["r".into(), "s".into()]);
        let mut judge = |drift: &mut Drift, good: f64, requests: usize| {
            for at in 0..requests {
                let (of, good) = if at % 3 == 0 { ("s", good) } else { ("r", 0.9) };
                drift.push("a", Some((of, reward(&mut random, good))), None, &settings);
            }
        };
        let all = settings.reference + settings.window;
        judge(&mut drift, 0.5, 4 * all);
        assert_eq!(drift.begun(), []);
        judge(&mut drift, 0.1, 3 * settings.window);
        assert!(matches!(drift.begun(), [one] if one.of == Drifting::Reward), "{:?}", drift.begun());
        assert!(drift.drifts(Drifting::Reward));
        // The trial is over: what judges no more drifts no more.
        drift.keep_apart(Vec::new());
        drift.push("a", Some(("r", 0.7)), None, &settings);
        assert!(!drift.drifts(Drifting::Reward));
    }

    #[test]
    fn the_spread_is_of_pairs_and_needs_two() {
        let flat = |value: u8| RgbImage::from_pixel(64, 64, Rgb([value; 3]));
        let [black, white] = [flat(0), flat(255)];
        assert_eq!(spread([&black].into_iter()), None);
        assert_eq!(spread([&black, &black].into_iter()), Some(0.0));
        assert_eq!(spread([&black, &white].into_iter()), Some(1.0));
        let three = spread([&black, &white, &white].into_iter()).expect("three");
        assert!((three - 2.0 / 3.0).abs() < 1e-9);
    }
}
