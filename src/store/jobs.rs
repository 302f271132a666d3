//! Jobs as rows: `queued` from admission to the end (who runs is known in memory only), then what came of them.

use bytes::Bytes;
use serde_json::Value;

use super::{
    Store, events,
    events::NewEvent,
    now, parsed,
    sql::{query, query_as, query_scalar},
};
use crate::{
    domain::{JobId, Owner},
    jobs::{JobFailure, JobState},
};

/// A job that was admitted.
#[derive(Debug, Clone)]
pub struct NewJob {
    /// Its name.
    pub id: JobId,
    /// Whose it is.
    pub owner: Owner,
    /// Whether it is taken up again after a restart.
    pub keep: bool,
    /// Enough to draw it again.
    pub request: Value,
    /// The picture it starts from, coded.
    pub start: Option<Bytes>,
    /// The caller's `Idempotency-Key`, with a SHA-256 of the request's body.
    pub idempotency: Option<(String, [u8; 32])>,
    /// Unix seconds.
    pub created: i64,
}

/// A job as the store has it.
#[derive(Debug, Clone, PartialEq)]
pub struct JobRecord {
    /// Its name.
    pub id: JobId,
    /// Whose it is.
    pub owner: Owner,
    /// Where it stands.
    pub state: JobState,
    /// Whether it is taken up again after a restart.
    pub keep: bool,
    /// Enough to draw it again.
    pub request: Value,
    /// Digest of the picture it starts from.
    pub start: Option<String>,
    /// Starts of a server at which it was taken up again, but for those that ended in good order.
    pub attempts: u32,
    /// Sequence number of the last event of its history, once it ended.
    pub last_sequence: u64,
    /// What it made.
    pub result: Option<Value>,
    /// Why it failed.
    pub failure: Option<JobFailure>,
    /// Unix seconds.
    pub created: i64,
    /// Unix seconds.
    pub finished: Option<i64>,
}

/// What there is under a job's name, for its owner.
#[derive(Debug, Clone, PartialEq)]
pub enum Found {
    /// The job.
    Job(Box<JobRecord>),
    /// It was there; its time is over.
    Expired,
    /// Nothing, or somebody else's.
    Nothing,
}

/// How a job ended.
#[derive(Debug, Clone)]
pub struct Ending {
    /// `completed`, `failed` or `cancelled`.
    pub state: JobState,
    /// What it made.
    pub result: Option<Value>,
    /// Why it failed.
    pub failure: Option<JobFailure>,
    /// Sequence number of the last event of its history.
    pub last_sequence: u64,
    /// Unix seconds.
    pub finished: i64,
    /// Unix seconds after which it is gone, with its pictures.
    pub expires: i64,
    /// What the event log is to know.
    pub event: Option<NewEvent>,
}

/// The owner has another job under the same `Idempotency-Key`.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("another job has this Idempotency-Key")]
pub struct KeyTaken;

/// The columns of a [`JobRow`]. Not `*`: a newer server may have added one under a running server's prepared statement.
macro_rules! columns {
    () => {
        "id, owner, state, keep, request, start_blob, attempts, last_sequence, result, failure, created, finished, expires"
    };
}

pub(super) use columns as job_columns;

#[derive(sqlx::FromRow)]
pub(super) struct JobRow {
    pub(super) id: String,
    owner: String,
    state: String,
    keep: bool,
    request: String,
    start_blob: Option<String>,
    attempts: i64,
    last_sequence: i64,
    result: Option<String>,
    failure: Option<String>,
    created: i64,
    finished: Option<i64>,
    expires: Option<i64>,
}

impl TryFrom<JobRow> for JobRecord {
    type Error = anyhow::Error;

    fn try_from(row: JobRow) -> anyhow::Result<Self> {
        Ok(Self {
            id: parsed(&row.id)?,
            owner: Owner::from_stored(row.owner),
            state: parsed(&row.state)?,
            keep: row.keep,
            request: serde_json::from_str(&row.request)?,
            start: row.start_blob,
            attempts: row.attempts.try_into()?,
            last_sequence: row.last_sequence.try_into()?,
            result: row.result.as_deref().map(serde_json::from_str).transpose()?,
            failure: row.failure.as_deref().map(serde_json::from_str).transpose()?,
            created: row.created,
            finished: row.finished,
        })
    }
}

impl Store {
    /// Writes a job down; when this returns it survives whatever happens to the process. The picture it starts from
    /// counts as one of its pictures.
    ///
    /// # Errors
    /// [`Full`](super::Full) when the quota has no room for the picture it starts from; [`KeyTaken`] when the owner has
    /// another job under the same `Idempotency-Key`; else if the store cannot be written.
    pub async fn insert_job(&self, job: NewJob, quota: u64) -> anyhow::Result<()> {
        let start_bytes = job.start.as_ref().map_or(0, |bytes| bytes.len() as u64);
        if start_bytes > 0 {
            self.make_room(start_bytes, quota).await?;
        }
        let mut hold = self.hold_blobs().await?;
        let start = match job.start {
            Some(bytes) => Some(self.put_blob(bytes).await?),
            None => None,
        };
        let (key, digest) = job.idempotency.map(|(key, digest)| (key, digest.to_vec())).unzip();
        query(
            "INSERT INTO jobs (id, owner, state, keep, request, start_blob, start_bytes, idempotency_key, body_digest, \
             created, server) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)",
        )
        .bind(job.id.to_string())
        .bind(job.owner.as_str())
        .bind(JobState::Queued.name())
        .bind(job.keep)
        .bind(job.request.to_string())
        .bind(start)
        .bind(start_bytes as i64)
        .bind(key)
        .bind(digest)
        .bind(job.created)
        .bind(self.server())
        .execute(hold.on())
        .await
        .map_err(|error| match error.as_database_error() {
            // Names of jobs are random: what is not unique is the key.
            Some(known) if known.is_unique_violation() => KeyTaken.into(),
            _ => anyhow::Error::from(error),
        })
        .inspect_err(|error| {
            self.relieve(error);
        })?;
        hold.release().await?;
        self.count_bytes(start_bytes);
        Ok(())
    }

    /// The job of a name, for its owner.
    ///
    /// # Errors
    /// If the database cannot be read.
    pub async fn find_job(&self, owner: &Owner, id: JobId) -> anyhow::Result<Found> {
        let readers = &self.database().readers;
        let row: Option<JobRow> = query_as(concat!("SELECT ", columns!(), " FROM jobs WHERE id = $1 AND owner = $2"))
            .bind(id.to_string())
            .bind(owner.as_str())
            .fetch_optional(readers)
            .await?;
        if let Some(row) = row {
            let expired = row.expires.is_some_and(|expires| expires <= now());
            return if expired { Ok(Found::Expired) } else { Ok(Found::Job(Box::new(row.try_into()?))) };
        }
        let tombstone: Option<i64> = query_scalar("SELECT expired FROM tombstones WHERE id = $1 AND owner = $2")
            .bind(id.to_string())
            .bind(owner.as_str())
            .fetch_optional(readers)
            .await?;
        Ok(if tombstone.is_some() { Found::Expired } else { Found::Nothing })
    }

    /// The job that an owner made under an `Idempotency-Key`, with the digest of its request's body.
    ///
    /// # Errors
    /// If the database cannot be read.
    pub async fn find_idempotent(&self, owner: &Owner, key: &str) -> anyhow::Result<Option<(JobId, Vec<u8>)>> {
        let row: Option<(String, Vec<u8>)> = query_as(
            "SELECT id, body_digest FROM jobs WHERE owner = $1 AND idempotency_key = $2 \
             AND (expires IS NULL OR expires > $3)",
        )
        .bind(owner.as_str())
        .bind(key)
        .bind(now())
        .fetch_optional(&self.database().readers)
        .await?;
        row.map(|(id, digest)| Ok((parsed(&id)?, digest))).transpose()
    }

    /// An owner's jobs, the newest first, at most `limit`, those made before `before`.
    ///
    /// # Errors
    /// If the database cannot be read.
    pub async fn list_jobs(
        &self,
        owner: &Owner,
        state: Option<JobState>,
        limit: usize,
        before: Option<JobId>,
    ) -> anyhow::Result<Vec<JobRecord>> {
        let rows: Vec<JobRow> = query_as(concat!(
            "SELECT ",
            columns!(),
            " FROM jobs WHERE owner = $1 AND ($2 IS NULL OR state = $2) AND ($3 IS NULL OR id < $3) \
             AND (expires IS NULL OR expires > $4) ORDER BY id DESC LIMIT $5",
        ))
        .bind(owner.as_str())
        .bind(state.map(JobState::name))
        .bind(before.map(|id| id.to_string()))
        .bind(now())
        .bind(limit as i64)
        .fetch_all(&self.database().readers)
        .await?;
        rows.into_iter().map(JobRecord::try_from).collect()
    }

    /// Takes off the attempt that a server which stops in good order made.
    ///
    /// # Errors
    /// If the database cannot be written.
    pub async fn lay_aside(&self, id: JobId) -> anyhow::Result<()> {
        query("UPDATE jobs SET attempts = attempts - 1 WHERE id = $1 AND server = $2 AND attempts > 0")
            .bind(id.to_string())
            .bind(self.server())
            .execute(&self.database().writer)
            .await?;
        Ok(())
    }

    /// The coded picture that a job starts from.
    ///
    /// # Errors
    /// If it cannot be read.
    pub async fn start_picture(&self, digest: &str) -> anyhow::Result<Bytes> {
        let _kept = self.blobs_stay().await;
        self.blobs().get(digest).await
    }

    /// Ends a job of this server's, in one transaction with its event. One that has ended, or that another server has taken
    /// over, stays as it is. Only a completed job holds on
    /// to its `Idempotency-Key`: whoever tries a failed or cancelled one again wants it drawn. On a full disk the ballast
    /// makes room.
    ///
    /// # Errors
    /// If the database cannot be written.
    pub async fn finish_job(&self, id: JobId, ending: &Ending) -> anyhow::Result<()> {
        match self.write_end(id, ending).await {
            Err(error) if self.relieve(&error) => self.write_end(id, ending).await,
            done => done,
        }
    }

    async fn write_end(&self, id: JobId, ending: &Ending) -> anyhow::Result<()> {
        let failure = ending.failure.as_ref().map(serde_json::to_string).transpose()?;
        let mut transaction = self.database().begin().await?;
        let ended = query(
            "UPDATE jobs SET state = $1, result = $2, failure = $3, last_sequence = $4, finished = $5, expires = $6, \
             idempotency_key = CASE WHEN $1 = 'completed' THEN idempotency_key END \
             WHERE id = $7 AND finished IS NULL AND server = $8",
        )
        .bind(ending.state.name())
        .bind(ending.result.as_ref().map(Value::to_string))
        .bind(failure)
        .bind(ending.last_sequence as i64)
        .bind(ending.finished)
        .bind(ending.expires)
        .bind(id.to_string())
        .bind(self.server())
        .execute(&mut transaction)
        .await?;
        if ended > 0 {
            query("UPDATE images SET expires = $1 WHERE job = $2")
                .bind(ending.expires)
                .bind(id.to_string())
                .execute(&mut transaction)
                .await?;
            if let Some(event) = &ending.event {
                events::append(&mut transaction, event).await?;
            }
        }
        Ok(transaction.commit().await?)
    }
}
