//! What requests about versions and their answers look like.

use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;

use crate::{
    domain::{Kind, VersionId},
    registry::{Action, Alias, Aliases, EventRange, Lineage, PromotionRecord, Serving, VersionRecord, VersionState},
    swap::{SwapState, SwapStatus},
};

/// A version that was published.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Version {
    /// What it is a version of
    kind: Kind,
    /// Its name: `name@` and twelve digits of the manifest's hash
    #[schema(pattern = "^[A-Za-z0-9][A-Za-z0-9._-]{0,63}@[0-9a-f]{12}$")]
    version: String,
    /// Whether its files are there
    state: VersionState,
    /// What it is now; `null`: neither champion nor candidate
    alias: Option<Alias>,
    /// SHA-256 of its manifest
    #[schema(pattern = "^[0-9a-f]{64}$")]
    manifest: String,
    /// Length of all its files, those that other versions share too
    bytes: u64,
    /// Public key of a signature that was good when it was published
    #[schema(pattern = "^[0-9a-f]{64}$")]
    signed_by: Option<String>,
    /// Unix seconds
    created: i64,
    /// Unix seconds, once its files were removed
    retired: Option<i64>,
    /// Where it comes from
    lineage: Origin,
}

/// Where a version comes from.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Origin {
    /// The version that it was trained from
    #[schema(pattern = "^[A-Za-z0-9][A-Za-z0-9._-]{0,63}@[0-9a-f]{12}$")]
    parent: Option<String>,
    /// The events that it was trained on
    events: Option<EventRange>,
    /// SHA-256 of what was read of those events
    events_digest: Option<String>,
    /// How it was trained
    training: Value,
    /// Why it may be promoted, such as a gate's verdict
    evidence: Value,
    /// Who published it
    published_by: String,
}

/// An entry of the log of promotions.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct PromotionEntry {
    /// Its place in the log
    sequence: i64,
    /// What it is about
    kind: Kind,
    /// What it did
    action: Action,
    /// What the alias names from here on; `null` where that is nothing
    version: Option<String>,
    /// What the alias named before
    previous: Option<String>,
    /// Who did it
    actor: String,
    /// Why
    reason: String,
    /// Unix seconds
    created: i64,
}

/// A version that a server served.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Served {
    /// What it is a version of
    kind: Kind,
    /// As what it was served
    role: Alias,
    /// The version
    version: String,
    /// The server: a name for each start of each server
    server: String,
    /// Unix seconds since when
    since: i64,
    /// Unix seconds until when, if that is over
    until: Option<i64>,
    /// Whether the server ended without a word: then it may have ended at any time before `until`
    lost: bool,
    /// Where the version comes from; `null` for one that was served and never published
    lineage: Option<Origin>,
}

/// A promotion that is asked for.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[allow(dead_code)] // read field by field
pub(crate) struct PromoteRequest {
    /// The champion as you know it, `null` for none: another one is a conflict
    #[schema(pattern = "^[A-Za-z0-9][A-Za-z0-9._-]{0,63}@[0-9a-f]{12}$")]
    expected: Option<String>,
    /// Why, in a line
    #[schema(pattern = "^ *[^\\u0000-\\u0020\\u007f-\\u009f][^\\u0000-\\u001f\\u007f-\\u009f]*$", max_length = 2000)]
    reason: String,
    /// Where there is no room for two versions: take what serves out of memory first. Requests are refused meanwhile
    #[schema(default = false)]
    drain: Option<bool>,
}

/// A rollback that is asked for.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[allow(dead_code)] // read field by field
pub(crate) struct RollbackRequest {
    /// The champion as you know it: another one is a conflict
    #[schema(pattern = "^[A-Za-z0-9][A-Za-z0-9._-]{0,63}@[0-9a-f]{12}$")]
    expected: Option<String>,
    /// An earlier champion; by default the one before
    #[schema(pattern = "^[A-Za-z0-9][A-Za-z0-9._-]{0,63}@[0-9a-f]{12}$")]
    to: Option<String>,
    /// Why, in a line
    #[schema(pattern = "^ *[^\\u0000-\\u0020\\u007f-\\u009f][^\\u0000-\\u001f\\u007f-\\u009f]*$", max_length = 2000)]
    reason: String,
}

/// Where a kind of versions stands on this server.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct SwapPlace {
    /// What it is about
    kind: Kind,
    /// What happens
    state: SwapState,
    /// What serves; `null`: nothing does
    version: Option<String>,
    /// What is being prepared, or was refused
    other: Option<String>,
    /// Why it was refused
    reason: Option<String>,
    /// Place in the log of promotions that was acted on
    sequence: i64,
}

impl From<SwapStatus> for SwapPlace {
    fn from(status: SwapStatus) -> Self {
        let SwapStatus { kind, state, version, other, reason, sequence } = status;
        Self { kind, state, version, other: other.map(|id| id.to_string()), reason, sequence }
    }
}

impl Version {
    pub(super) fn of(record: VersionRecord, aliases: &Aliases) -> Self {
        let is = |named: &Option<VersionId>| named.as_ref() == Some(&record.version);
        let champion = is(&aliases.champion).then_some(Alias::Champion);
        let alias = champion.or_else(|| is(&aliases.candidate).then_some(Alias::Candidate));
        let VersionRecord { kind, version, state, manifest, bytes, signed_by, created, retired, lineage } = record;
        let (version, lineage) = (version.to_string(), lineage.into());
        Self { kind, version, state, alias, manifest, bytes, signed_by, created, retired, lineage }
    }
}

impl From<Lineage> for Origin {
    fn from(lineage: Lineage) -> Self {
        let Lineage { parent, events, events_digest, training, evidence, published_by } = lineage;
        Self { parent: parent.map(|id| id.to_string()), events, events_digest, training, evidence, published_by }
    }
}

impl From<PromotionRecord> for PromotionEntry {
    fn from(record: PromotionRecord) -> Self {
        let PromotionRecord { sequence, kind, action, version, previous, actor, reason, created } = record;
        let text = |version: Option<VersionId>| version.map(|id| id.to_string());
        Self { sequence, kind, action, version: text(version), previous: text(previous), actor, reason, created }
    }
}

impl From<Serving> for Served {
    fn from(serving: Serving) -> Self {
        let Serving { kind, role, version, server, since, until, lost, lineage } = serving;
        let (version, lineage) = (version.to_string(), lineage.map(Origin::from));
        Self { kind, role, version, server, since, until, lost, lineage }
    }
}
