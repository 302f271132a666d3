//! Versions: their rows. Where their files are is the registry's concern.

use serde_json::Value;
use sqlx::FromRow;

use super::{
    Store,
    database::{Lock, Transaction},
    now, parsed,
    sql::{On, query, query_as, query_scalar},
};
use crate::{
    domain::{Kind, VersionId},
    registry::{EventRange, Lineage, RegistryError, VersionRecord, VersionState},
};

/// A version's columns, in the order of [`VersionRow`].
macro_rules! version_columns {
    () => {
        "kind, version, manifest, bytes, parent, first_event, last_event, events_digest, training, evidence, signed_by, \
         published_by, created, retired"
    };
}

#[derive(FromRow)]
pub(super) struct VersionRow {
    kind: String,
    version: String,
    manifest: String,
    bytes: i64,
    parent: Option<String>,
    first_event: Option<i64>,
    last_event: Option<i64>,
    events_digest: Option<String>,
    training: String,
    evidence: String,
    signed_by: Option<String>,
    published_by: String,
    created: i64,
    retired: Option<i64>,
}

impl TryFrom<VersionRow> for VersionRecord {
    type Error = anyhow::Error;

    fn try_from(row: VersionRow) -> anyhow::Result<Self> {
        let json = |text: &str| serde_json::from_str::<Value>(text);
        let lineage = Lineage {
            parent: row.parent.as_deref().map(parsed).transpose()?,
            events: row.first_event.zip(row.last_event).map(|(first, last)| EventRange { first, last }),
            events_digest: row.events_digest,
            training: json(&row.training)?,
            evidence: json(&row.evidence)?,
            published_by: row.published_by,
        };
        Ok(Self {
            kind: parsed(&row.kind)?,
            version: parsed(&row.version)?,
            state: if row.retired.is_some() { VersionState::Retired } else { VersionState::Ready },
            manifest: row.manifest,
            bytes: row.bytes.unsigned_abs(),
            signed_by: row.signed_by,
            created: row.created,
            retired: row.retired,
            lineage,
        })
    }
}

impl Store {
    /// Adds a version, or makes one that is known ready again: what was written down first stays.
    ///
    /// # Errors
    /// Another manifest under the name; a database that cannot be written.
    pub(crate) async fn add_version(&self, record: &VersionRecord) -> Result<VersionRecord, RegistryError> {
        let (kind, version) = (record.kind, &record.version);
        let mut transaction = self.versions_alone().await?;
        let known = match find(&mut transaction, kind, version).await? {
            None => {
                insert(&mut transaction, record).await?;
                record.clone()
            }
            Some(known) if known.manifest != record.manifest => {
                return Err(RegistryError::Taken { kind, version: version.clone(), known: known.manifest });
            }
            Some(known) => {
                query("UPDATE versions SET retired = NULL, placed = $1 WHERE kind = $2 AND version = $3")
                    .bind(record.created)
                    .bind(kind.name())
                    .bind(version.as_str())
                    .execute(&mut transaction)
                    .await?;
                VersionRecord { state: VersionState::Ready, retired: None, ..known }
            }
        };
        transaction.commit().await?;
        Ok(known)
    }

    /// A version.
    ///
    /// # Errors
    /// If there is none of this name, or the database cannot be read.
    pub(crate) async fn find_version(&self, kind: Kind, version: &VersionId) -> Result<VersionRecord, RegistryError> {
        let found = find(&self.database().readers, kind, version).await?;
        found.ok_or_else(|| RegistryError::NotFound { kind, version: version.clone() })
    }

    /// Versions, the newest first: those that were published before `before`, at most `limit`.
    ///
    /// # Errors
    /// If the database cannot be read.
    pub(crate) async fn list_versions(
        &self,
        kind: Option<Kind>,
        limit: usize,
        before: Option<&VersionId>,
    ) -> Result<Vec<VersionRecord>, RegistryError> {
        let rows: Vec<VersionRow> = query_as(concat!(
            "SELECT ",
            version_columns!(),
            " FROM versions WHERE ($1 IS NULL OR kind = $1) AND ($2 IS NULL OR ordinal < \
             (SELECT MIN(ordinal) FROM versions WHERE version = $2)) ORDER BY ordinal DESC LIMIT $3"
        ))
        .bind(kind.map(Kind::name))
        .bind(before.map(VersionId::as_str))
        .bind(limit as i64)
        .fetch_all(&self.database().readers)
        .await?;
        Ok(rows.into_iter().map(VersionRecord::try_from).collect::<Result<_, _>>()?)
    }

    /// Marks the versions as retired that nothing holds, the oldest first; they are given back. Where `dry`, nothing is written.
    ///
    /// What holds a version: being champion or candidate, having been one of the last `keep` champions before the present one, a server
    /// that lives and serves it, having been published after `until`.
    ///
    /// # Errors
    /// If the database cannot be written.
    pub(crate) async fn retire_versions(
        &self,
        keep: usize,
        until: i64,
        dry: bool,
    ) -> Result<Vec<(Kind, VersionId)>, RegistryError> {
        let mut transaction = self.versions_alone().await?;
        self.end_lost_servings(&mut transaction).await?;
        let mut leaving = Vec::new();
        for kind in Kind::ALL {
            let versions: Vec<String> = query_scalar(UNHELD)
                .bind(kind.name())
                .bind(until)
                .bind(keep as i64)
                .fetch_all(&mut transaction)
                .await?;
            for version in versions {
                query("UPDATE versions SET retired = $1 WHERE kind = $2 AND version = $3")
                    .bind(now())
                    .bind(kind.name())
                    .bind(&version)
                    .execute(&mut transaction)
                    .await?;
                leaving.push((kind, parsed(&version)?));
            }
        }
        if !dry {
            transaction.commit().await?;
        }
        Ok(leaving)
    }

    /// Versions that are ready, or those that are retired.
    ///
    /// # Errors
    /// If the database cannot be read.
    pub(crate) async fn versions_in(&self, state: VersionState) -> Result<Vec<(Kind, VersionId)>, RegistryError> {
        let rows: Vec<(String, String)> =
            query_as("SELECT kind, version FROM versions WHERE (retired IS NOT NULL) = $1 ORDER BY ordinal")
                .bind(state == VersionState::Retired)
                .fetch_all(&self.database().readers)
                .await?;
        rows.iter().map(|(kind, version)| Ok((parsed(kind)?, parsed(version)?))).collect()
    }

    /// A transaction that no other one about versions runs beside.
    pub(super) async fn versions_alone(&self) -> sqlx::Result<Transaction> {
        let mut transaction = self.database().begin().await?;
        transaction.lock(Lock::Versions).await?;
        Ok(transaction)
    }
}

/// Versions of a kind that nothing holds; the servings of servers that are gone have ended.
const UNHELD: &str = "\
    SELECT version FROM versions WHERE kind = $1 AND retired IS NULL AND placed <= $2 \
    AND NOT EXISTS (SELECT 1 FROM aliases WHERE aliases.kind = $1 AND aliases.version = versions.version) \
    AND version NOT IN (SELECT version FROM promotions WHERE kind = $1 AND action IN ('promote', 'rollback') \
        AND version NOT IN (SELECT version FROM aliases WHERE kind = $1 AND alias = 'champion') \
        GROUP BY version ORDER BY MAX(sequence) DESC LIMIT $3) \
    AND NOT EXISTS (SELECT 1 FROM servings AS s WHERE s.kind = $1 AND s.version = versions.version AND s.action = 'began' \
        AND NOT EXISTS (SELECT 1 FROM servings AS e WHERE e.server = s.server AND e.kind = s.kind AND e.role = s.role \
            AND e.sequence > s.sequence)) \
    ORDER BY ordinal";

/// The row of a version.
pub(super) async fn find<'c>(
    on: impl Into<On<'c>>,
    kind: Kind,
    version: &VersionId,
) -> Result<Option<VersionRecord>, RegistryError> {
    let row: Option<VersionRow> =
        query_as(concat!("SELECT ", version_columns!(), " FROM versions WHERE kind = $1 AND version = $2"))
            .bind(kind.name())
            .bind(version.as_str())
            .fetch_optional(on)
            .await?;
    Ok(row.map(VersionRecord::try_from).transpose()?)
}

/// A version that can be promoted and served.
pub(super) async fn ready<'c>(
    on: impl Into<On<'c>>,
    kind: Kind,
    version: &VersionId,
) -> Result<VersionRecord, RegistryError> {
    match find(on, kind, version).await? {
        None => Err(RegistryError::NotFound { kind, version: version.clone() }),
        Some(record) if record.state == VersionState::Retired => {
            Err(RegistryError::Retired { kind, version: version.clone() })
        }
        Some(record) => Ok(record),
    }
}

async fn insert(transaction: &mut Transaction, record: &VersionRecord) -> sqlx::Result<()> {
    let VersionRecord { kind, version, manifest, bytes, signed_by, created, lineage, .. } = record;
    query(
        "INSERT INTO versions (kind, version, manifest, bytes, parent, first_event, last_event, events_digest, training, \
         evidence, signed_by, published_by, created, placed) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $13)",
    )
    .bind(kind.name())
    .bind(version.as_str())
    .bind(manifest)
    .bind(i64::try_from(*bytes).unwrap_or(i64::MAX))
    .bind(lineage.parent.as_ref().map(VersionId::as_str))
    .bind(lineage.events.map(|range| range.first))
    .bind(lineage.events.map(|range| range.last))
    .bind(&lineage.events_digest)
    .bind(lineage.training.to_string())
    .bind(lineage.evidence.to_string())
    .bind(signed_by)
    .bind(&lineage.published_by)
    .bind(*created)
    .execute(transaction)
    .await
    .map(drop)
}
