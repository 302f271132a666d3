//! A round of learning, as the database knows it: votes become a reward, the reward a generator, the generator a trial.
//!
//! `plaudit-train run` acts; this is what it writes down before each step, so that another process can go on.
//!
//! | stage | what is done in it | next |
//! |---|---|---|
//! | export | votes become a dataset | reward |
//! | reward | a reward is trained | reward_gate |
//! | reward_gate | it is compared with the champion's | reward_release, or over |
//! | reward_release | it is published and becomes champion | tune, or over where rewards alone are learned |
//! | tune | the generator is tuned | generator_gate |
//! | generator_gate | it is compared with the champion | publish, or over |
//! | publish | it is published | release |
//! | release | it is tried beside the champion, or promoted | over |
//!
//! Who writes holds the lease ([`TrainingLease`]); a change names the stage that it leaves and the lease's generation, so a process that was
//! taken for dead and lives writes nothing more.

use std::str::FromStr;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::domain::VersionId;

/// How far a round has come: the step that is being done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RoundStage {
    /// Votes become a dataset.
    Export,
    /// A reward is trained.
    Reward,
    /// It is compared with the champion's.
    RewardGate,
    /// It is published and becomes champion.
    RewardRelease,
    /// The generator is tuned.
    Tune,
    /// It is compared with the champion.
    GeneratorGate,
    /// It is published.
    Publish,
    /// It is tried, or promoted.
    Release,
}

impl RoundStage {
    /// Every stage, in order.
    pub const ALL: [Self; 8] = [
        Self::Export,
        Self::Reward,
        Self::RewardGate,
        Self::RewardRelease,
        Self::Tune,
        Self::GeneratorGate,
        Self::Publish,
        Self::Release,
    ];

    /// Its name in the store and in metrics.
    pub fn name(self) -> &'static str {
        match self {
            Self::Export => "export",
            Self::Reward => "reward",
            Self::RewardGate => "reward_gate",
            Self::RewardRelease => "reward_release",
            Self::Tune => "tune",
            Self::GeneratorGate => "generator_gate",
            Self::Publish => "publish",
            Self::Release => "release",
        }
    }
}

/// How a round ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RoundOutcome {
    /// Its version is on trial, or champion.
    Released,
    /// A gate did not let it pass.
    Refused,
    /// A step failed.
    Failed,
    /// What it began with is gone: another champion, other files.
    Abandoned,
}

impl RoundOutcome {
    /// Every outcome.
    pub const ALL: [Self; 4] = [Self::Released, Self::Refused, Self::Failed, Self::Abandoned];

    /// Its name in the store and in metrics.
    pub fn name(self) -> &'static str {
        match self {
            Self::Released => "released",
            Self::Refused => "refused",
            Self::Failed => "failed",
            Self::Abandoned => "abandoned",
        }
    }
}

/// A text that names no stage or outcome.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no stage or outcome of a round")]
pub struct UnknownRoundWord(String);

impl FromStr for RoundStage {
    type Err = UnknownRoundWord;

    fn from_str(text: &str) -> Result<Self, UnknownRoundWord> {
        Self::ALL.into_iter().find(|stage| stage.name() == text).ok_or_else(|| UnknownRoundWord(text.to_owned()))
    }
}

impl FromStr for RoundOutcome {
    type Err = UnknownRoundWord;

    fn from_str(text: &str) -> Result<Self, UnknownRoundWord> {
        Self::ALL.into_iter().find(|outcome| outcome.name() == text).ok_or_else(|| UnknownRoundWord(text.to_owned()))
    }
}

/// A round that is to begin.
#[derive(Debug, Clone, PartialEq)]
pub struct NewRound {
    /// The champion generator.
    pub generator: VersionId,
    /// The champion reward, where there is one.
    pub reward: Option<VersionId>,
    /// Where the generator's line begins.
    pub base: VersionId,
    /// Votes behind this place of the event log are new.
    pub after: i64,
    /// The last place that was looked at.
    pub upto: i64,
    /// What is known of the votes.
    pub facts: Value,
}

/// A round.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct RoundRecord {
    /// Its place among all.
    pub sequence: i64,
    /// The step that is being done, or that was the last.
    pub stage: RoundStage,
    /// How it ended; `None` while it goes on.
    pub outcome: Option<RoundOutcome>,
    /// Why it is where it is.
    pub reason: String,
    /// The champion generator that it began with.
    pub generator: VersionId,
    /// The champion reward that it began with.
    pub reward: Option<VersionId>,
    /// Where the generator's line begins.
    pub base: VersionId,
    /// Votes behind this place of the event log were new.
    pub after: i64,
    /// The last place that it learned from.
    pub upto: i64,
    /// Who wrote last.
    pub holder: String,
    /// Unix seconds.
    pub started: i64,
    /// Unix seconds of the last change.
    pub changed: i64,
    /// What its steps left behind.
    pub facts: Value,
}

/// What lets a process act in rounds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TrainingLease {
    /// Whose it is: a name for each start of each process.
    pub holder: String,
    /// Grows with each change of hands.
    pub generation: i64,
    /// Unix seconds, by the database's clock.
    pub expires: i64,
}

/// Votes behind a place of the event log that training could learn from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
pub struct VotesWaiting {
    /// How many.
    pub votes: i64,
    /// When the oldest was cast, in Unix seconds.
    pub oldest: Option<i64>,
    /// The last place in the event log.
    pub upto: i64,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_read_back() {
        for stage in RoundStage::ALL {
            assert_eq!(stage.name().parse(), Ok(stage));
        }
        for outcome in RoundOutcome::ALL {
            assert_eq!(outcome.name().parse(), Ok(outcome));
        }
        assert!("gate".parse::<RoundStage>().is_err());
    }
}
