//! The event log, schema v1 (`docs/events.md`): what was generated, so that later parts can tell what was made of it.

use serde_json::Value;

use super::{
    Store,
    database::{Lock, Transaction},
    parsed,
    sql::{query_as, query_scalar},
};
use crate::domain::{JobId, Owner};

/// An event to be written.
#[derive(Debug, Clone, PartialEq)]
pub struct NewEvent {
    /// What it is: `candidates`.
    pub kind: &'static str,
    /// Unix seconds; order is told by the sequence, never by this.
    pub created: i64,
    /// The job it is about.
    pub job: Option<JobId>,
    /// Whose it is.
    pub owner: Owner,
    /// Its facts; `docs/events.md` says which.
    pub body: Value,
}

/// An event of the log.
#[derive(Debug, Clone, PartialEq)]
pub struct EventRecord {
    /// Its place in the log. Grows; a number that a transaction did not use may be missing.
    pub sequence: i64,
    /// What it is.
    pub kind: String,
    /// Unix seconds.
    pub created: i64,
    /// The job it is about.
    pub job: Option<JobId>,
    /// Whose it is.
    pub owner: Owner,
    /// Its facts.
    pub body: Value,
}

#[derive(sqlx::FromRow)]
struct EventRow {
    sequence: i64,
    kind: String,
    created: i64,
    job: Option<String>,
    owner: String,
    body: String,
}

impl TryFrom<EventRow> for EventRecord {
    type Error = anyhow::Error;

    fn try_from(row: EventRow) -> anyhow::Result<Self> {
        Ok(Self {
            sequence: row.sequence,
            kind: row.kind,
            created: row.created,
            job: row.job.as_deref().map(parsed).transpose()?,
            owner: Owner::from_stored(row.owner),
            body: serde_json::from_str(&row.body)?,
        })
    }
}

impl Store {
    /// Events after a place in the log, in their order, at most `limit`.
    ///
    /// # Errors
    /// If the database cannot be read.
    pub async fn events(&self, after: i64, limit: usize) -> anyhow::Result<Vec<EventRecord>> {
        let rows: Vec<EventRow> = query_as(
            "SELECT sequence, kind, created, job, owner, body FROM events WHERE sequence > $1 ORDER BY sequence LIMIT $2",
        )
        .bind(after)
        .bind(limit as i64)
        .fetch_all(&self.database().readers)
        .await?;
        rows.into_iter().map(EventRecord::try_from).collect()
    }
}

/// Adds an event to the log, with whatever else the transaction does; its place there.
///
/// Numbers are given when a row is added, rows are seen when their transaction commits. So that a reader who goes on after
/// the last number it saw misses no row with a smaller one, only one transaction at a time may be between the two: the lock
/// is held from before the number until the commit. It comes last in a transaction, so that others wait only for the commit.
pub(super) async fn append(transaction: &mut Transaction, event: &NewEvent) -> sqlx::Result<i64> {
    transaction.lock(Lock::Events).await?;
    query_scalar("INSERT INTO events (kind, created, job, owner, body) VALUES ($1, $2, $3, $4, $5) RETURNING sequence")
        .bind(event.kind)
        .bind(event.created)
        .bind(event.job.map(|job| job.to_string()))
        .bind(event.owner.as_str())
        .bind(event.body.to_string())
        .fetch_one(transaction)
        .await
}
