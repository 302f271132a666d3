//! What is known of a trial.

use std::str::FromStr;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;

use crate::domain::{Kind, VersionId};

/// Where a trial stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum TrialState {
    /// The candidate serves requests again that the champion has served; nobody sees what it makes of them.
    Shadow,
    /// The candidate serves its share.
    Canary,
    /// Nothing was shown within the time or the votes that there were: somebody has to decide. The champion serves everybody.
    Paused,
    /// The candidate is champion.
    Promoted,
    /// The candidate was found worse, or failed.
    RolledBack,
    /// Somebody ended it.
    Withdrawn,
}

impl TrialState {
    const ALL: [Self; 6] =
        [Self::Shadow, Self::Canary, Self::Paused, Self::Promoted, Self::RolledBack, Self::Withdrawn];

    /// Its name in the API and in the store.
    pub fn name(self) -> &'static str {
        match self {
            Self::Shadow => "shadow",
            Self::Canary => "canary",
            Self::Paused => "paused",
            Self::Promoted => "promoted",
            Self::RolledBack => "rolled_back",
            Self::Withdrawn => "withdrawn",
        }
    }

    /// Whether nothing follows.
    pub fn is_over(self) -> bool {
        matches!(self, Self::Promoted | Self::RolledBack | Self::Withdrawn)
    }

    /// Whether the candidate is in memory.
    pub fn serves(self) -> bool {
        matches!(self, Self::Shadow | Self::Canary)
    }
}

impl FromStr for TrialState {
    type Err = UnknownState;

    fn from_str(text: &str) -> Result<Self, UnknownState> {
        Self::ALL.into_iter().find(|state| state.name() == text).ok_or_else(|| UnknownState(text.to_owned()))
    }
}

/// A text that is no state.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no state of a trial")]
pub struct UnknownState(String);

/// A trial that is asked for.
#[derive(Debug, Clone, PartialEq)]
pub struct NewTrial {
    /// What it is a version of.
    pub kind: Kind,
    /// The candidate.
    pub version: VersionId,
    /// What it is tried beside.
    pub champion: VersionId,
    /// Share of those who ask that the candidate serves, above 0 and below 1.
    pub share: f64,
    /// Requests that it serves for nobody first.
    pub shadow: u32,
    /// Who asks.
    pub actor: String,
    /// Why.
    pub reason: String,
}

/// A trial.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct TrialRecord {
    /// Its place among all.
    pub sequence: i64,
    /// What it is a version of.
    pub kind: Kind,
    /// The candidate.
    pub version: VersionId,
    /// What it is tried beside.
    pub champion: VersionId,
    /// Share of those who ask.
    pub share: f64,
    /// Requests that it serves for nobody first.
    pub shadow: u32,
    /// Where it stands.
    pub state: TrialState,
    /// Who started it.
    pub actor: String,
    /// Why it is where it is.
    pub reason: String,
    /// Votes behind this place of the event log count.
    pub after: i64,
    /// Unix seconds.
    pub started: i64,
    /// Unix seconds of the last change of its state.
    pub changed: i64,
    /// What decided.
    pub evidence: Value,
}

/// A thumb on a picture that was drawn during a trial.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TrialVote {
    /// Who, under which key.
    pub rater: (String, String),
    /// The request that the picture was made for.
    pub job: String,
    /// Whether the candidate drew it, or chose it.
    pub candidate: bool,
    /// Thumbs up.
    pub up: bool,
}
