//! Which reward scores for whom.

use std::sync::Arc;

use super::ServedReward;
use crate::domain::falls_to;

/// A reward that scores for some, to see whether it is better.
#[derive(Debug, Clone)]
pub struct RewardTrial {
    /// The reward.
    pub reward: Arc<ServedReward>,
    /// Share of the subjects that it scores for, 0 to 1. At 0 it scores only what nobody sees.
    pub share: f64,
}

/// The rewards that score.
#[derive(Debug, Clone, Default)]
pub(super) struct Rewards {
    /// Scores whatever the candidate does not; `None` where there is no reward.
    pub(super) champion: Option<Arc<ServedReward>>,
    /// On trial.
    pub(super) candidate: Option<RewardTrial>,
}

impl Rewards {
    /// What scores for a subject, the same one as before as long as the trial lasts.
    pub(super) fn choose(&self, subject: &str) -> Option<&Arc<ServedReward>> {
        let on_trial = self.candidate.as_ref();
        let on_trial = on_trial.filter(|trial| falls_to(trial.reward.version(), subject, trial.share));
        on_trial.map(|trial| &trial.reward).or(self.champion.as_ref())
    }

    /// These with another champion, which is no longer on trial.
    pub(super) fn led_by(&self, champion: Option<Arc<ServedReward>>) -> Self {
        let version = champion.as_ref().map(|champion| champion.version());
        let candidate = self.candidate.clone().filter(|trial| version != Some(trial.reward.version()));
        Self { champion, candidate }
    }

    pub(super) fn versions(&self) -> impl Iterator<Item = &str> {
        let candidate = self.candidate.as_ref().map(|trial| &trial.reward);
        self.champion.as_ref().into_iter().chain(candidate).map(|reward| reward.version())
    }
}
