//! Pictures that were drawn for others, scored by a candidate beside the champion. What a reward reads of them was kept, so it costs
//! a call of the head for each request, none of CLIP.

use std::sync::Arc;

use serde_json::json;

use super::Shadowed;
use crate::{
    domain::Kind,
    scoring::{Points, ServedReward},
    trial::{
        seen::{Outcome, Scoring},
        watch::Watch,
    },
};

/// How both rewards judge the same pictures.
#[derive(Debug, Default)]
struct Compared {
    requests: u32,
    failed: u32,
    /// Requests of two or more pictures, and those of which both like the same one best.
    picks: u32,
    same_picks: u32,
    pictures: u32,
    /// Σ candidate − champion.
    difference: f64,
}

/// Scores the pictures of the last requests, as far as they are remembered.
pub(super) async fn score(
    champion: Option<Arc<ServedReward>>,
    candidate: Arc<ServedReward>,
    watch: &Watch,
    many: u32,
) -> Shadowed {
    let (recent, seen) = (watch.recent_points(many as usize), watch.clone());
    let all = recent.len() as u32;
    let work = move || {
        let mut compared = Compared::default();
        for request in &recent {
            let judged = |reward: &ServedReward| {
                let rewards = rewards(reward, request);
                let scoring = Some(Scoring { failed: rewards.is_none(), seconds_a_picture: None });
                seen.record(Kind::Reward, reward.version(), &Outcome { scoring, ..Outcome::default() });
                rewards
            };
            let (theirs, ours) = (judged(&candidate), champion.as_deref().and_then(judged));
            compared.push(ours.as_deref(), theirs.as_deref());
        }
        compared
    };
    // One that panics on what people ask for is no better than one that fails on it.
    let panicked = Compared { requests: all, failed: all, ..Compared::default() };
    tokio::task::spawn_blocking(work).await.unwrap_or(panicked).told()
}

/// The rewards of a request's pictures; `None` where they are no probabilities, or the call failed.
fn rewards(reward: &ServedReward, request: &[Points]) -> Option<Vec<f32>> {
    let rows = request.iter().map(|points| (&*points.image, &*points.text));
    let failed = |error: &crate::scoring::ScoringError| tracing::warn!(version = reward.version(), %error, "in shadow");
    Some(reward.run(rows).inspect_err(failed).ok()?.into_iter().map(|row| row.reward).collect())
}

/// Where the best one is, the first of equals, as the choice among candidates takes it.
fn best(rewards: &[f32]) -> Option<usize> {
    rewards.iter().enumerate().rev().max_by(|(_, a), (_, b)| a.total_cmp(b)).map(|(at, _)| at)
}

impl Compared {
    fn push(&mut self, champion: Option<&[f32]>, candidate: Option<&[f32]>) {
        self.requests += 1;
        self.failed += u32::from(candidate.is_none());
        let Some((champion, candidate)) = champion.zip(candidate) else { return };
        if candidate.len() > 1 {
            self.picks += 1;
            self.same_picks += u32::from(best(champion) == best(candidate));
        }
        self.pictures += candidate.len() as u32;
        self.difference += candidate.iter().zip(champion).map(|(a, b)| f64::from(a - b)).sum::<f64>();
    }

    fn told(&self) -> Shadowed {
        let mean = (self.pictures > 0).then(|| self.difference / f64::from(self.pictures));
        Shadowed {
            all: self.requests,
            bad: self.failed,
            wrong: "could not be scored",
            evidence: json!({
                "requests": self.requests, "failed": self.failed, "picks": self.picks, "same_picks": self.same_picks,
                "mean_difference": mean,
            }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_both_like_best_how_far_they_are_apart_and_what_fails_is_told() {
        let mut compared = Compared::default();
        compared.push(Some(&[0.2, 0.8]), Some(&[0.4, 0.9]));
        compared.push(Some(&[0.8, 0.2]), Some(&[0.3, 0.6]));
        // Nothing to pick from.
        compared.push(Some(&[0.5]), Some(&[0.5]));
        compared.push(Some(&[0.5, 0.5]), None);
        let told = compared.told();
        let mut evidence = told.evidence.clone();
        let mean = evidence["mean_difference"].take().as_f64().expect("a number");
        assert!((mean - 0.2 / 5.0).abs() < 1e-6, "{mean}");
        assert_eq!(evidence, json!({"requests": 4, "failed": 1, "picks": 2, "same_picks": 1, "mean_difference": null}));
        assert_eq!(told.fault(), None, "one of four");
        (0..3).for_each(|_| compared.push(Some(&[0.5]), None));
        assert!(compared.told().fault().is_some_and(|why| why.contains("4 of 7")), "{compared:?}");
    }

    #[test]
    fn of_equals_the_first_is_picked() {
        assert_eq!((best(&[0.5, 0.7, 0.7]), best(&[])), (Some(1), None));
    }
}
