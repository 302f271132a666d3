//! What the registry knows of versions, of their promotions and of who served them.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;

use crate::domain::{Kind, VersionId};

/// Whether a version can be promoted and served.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum VersionState {
    /// Its files are there.
    Ready,
    /// Its files were removed to make room; what is known of it stays. Publishing it anew makes it ready again.
    Retired,
}

/// Where a version comes from. It is written down once, when the version is published.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Lineage {
    /// The version that it was trained from.
    #[serde(default)]
    pub parent: Option<VersionId>,
    /// First and last sequence of the events that it was trained on.
    #[serde(default)]
    pub events: Option<EventRange>,
    /// SHA-256 of what was read of those events.
    #[serde(default)]
    pub events_digest: Option<String>,
    /// How it was trained; any JSON.
    #[serde(default)]
    pub training: Value,
    /// Why it may be promoted, such as a gate's verdict; any JSON.
    #[serde(default)]
    pub evidence: Value,
    /// Who published it.
    #[serde(default)]
    pub published_by: String,
}

/// A part of the event log, both ends included.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct EventRange {
    /// Sequence of the first event.
    pub first: i64,
    /// Sequence of the last event.
    pub last: i64,
}

/// A version that was published.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct VersionRecord {
    /// What it is a version of.
    pub kind: Kind,
    /// Its name.
    pub version: VersionId,
    /// Whether its files are there.
    pub state: VersionState,
    /// SHA-256 of `manifest.json`.
    pub manifest: String,
    /// Length of all its files, those that other versions share too.
    pub bytes: u64,
    /// Public key, in hexadecimal, of a signature that was good when it was published.
    pub signed_by: Option<String>,
    /// Unix seconds.
    pub created: i64,
    /// Unix seconds, once its files were removed.
    pub retired: Option<i64>,
    /// Where it comes from.
    pub lineage: Lineage,
}

/// What a version of a kind can be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Alias {
    /// It serves.
    Champion,
    /// It is tried beside the champion.
    Candidate,
}

impl Alias {
    /// Its name in the API and in the store.
    pub fn name(self) -> &'static str {
        match self {
            Self::Champion => "champion",
            Self::Candidate => "candidate",
        }
    }
}

impl FromStr for Alias {
    type Err = UnknownWord;

    fn from_str(text: &str) -> Result<Self, UnknownWord> {
        let found = [Self::Champion, Self::Candidate].into_iter().find(|alias| alias.name() == text);
        found.ok_or_else(|| UnknownWord(text.to_owned()))
    }
}

/// Which versions of a kind are champion and candidate.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct Aliases {
    /// What serves.
    pub champion: Option<VersionId>,
    /// What is tried beside it.
    pub candidate: Option<VersionId>,
    /// Sequence of the last entry of this kind's log of promotions; 0 where there is none.
    pub sequence: i64,
}

/// What an entry of the log of promotions did.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Action {
    /// Made a version champion; it is candidate no more.
    Promote,
    /// Made an earlier champion champion again.
    Rollback,
    /// Made a version candidate.
    Candidate,
    /// Took the candidate back.
    Withdraw,
    /// Changed nothing: says that nothing is to be promoted for now, and why.
    Pause,
}

impl Action {
    /// Its name in the API and in the store.
    pub fn name(self) -> &'static str {
        match self {
            Self::Promote => "promote",
            Self::Rollback => "rollback",
            Self::Candidate => "candidate",
            Self::Withdraw => "withdraw",
            Self::Pause => "pause",
        }
    }
}

impl FromStr for Action {
    type Err = UnknownWord;

    fn from_str(text: &str) -> Result<Self, UnknownWord> {
        let all = [Self::Promote, Self::Rollback, Self::Candidate, Self::Withdraw, Self::Pause];
        all.into_iter().find(|action| action.name() == text).ok_or_else(|| UnknownWord(text.to_owned()))
    }
}

/// A text that is none of those that are known.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not known")]
pub struct UnknownWord(String);

/// A promotion that is asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Promotion {
    /// What it is a version of.
    pub kind: Kind,
    /// The next champion.
    pub version: VersionId,
    /// What the asker takes for the champion: another one is a conflict.
    pub expected: Option<VersionId>,
    /// Who asks.
    pub actor: String,
    /// Why.
    pub reason: String,
}

/// An entry of the log of promotions.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct PromotionRecord {
    /// Its place in the log. Grows; numbers may be missing.
    pub sequence: i64,
    /// What it is about.
    pub kind: Kind,
    /// What it did.
    pub action: Action,
    /// What the alias names from here on; the champion in an entry that changed nothing.
    pub version: Option<VersionId>,
    /// What the alias named before.
    pub previous: Option<VersionId>,
    /// Who did it.
    pub actor: String,
    /// Why.
    pub reason: String,
    /// Unix seconds.
    pub created: i64,
}

/// A version that a server served.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Serving {
    /// What it is a version of.
    pub kind: Kind,
    /// As what it was served.
    pub role: Alias,
    /// The version.
    pub version: VersionId,
    /// The server: a name for each start of each server.
    pub server: String,
    /// Unix seconds since when.
    pub since: i64,
    /// Unix seconds until when, if that is over.
    pub until: Option<i64>,
    /// Whether the server ended without a word: then it may have ended at any time before `until`.
    pub lost: bool,
    /// Where the version comes from; `None` for one that was served and never published.
    pub lineage: Option<Lineage>,
}

/// A version or the word for none, for people.
pub(crate) struct Named<'a>(pub(crate) &'a Option<VersionId>);

impl fmt::Display for Named<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some(version) => version.fmt(f),
            None => f.write_str("none"),
        }
    }
}
