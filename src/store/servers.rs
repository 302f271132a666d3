//! Servers that share a database: which of them draws a job.
//!
//! Every start of a server has a name of its own, and the rows of its jobs bear it. A server on PostgreSQL tells from time
//! to time that it lives (`servers`, by the database's clock). One whose lease is over, or that stopped in good order, has no
//! row there; whoever looks next takes over what it left, each job in one `UPDATE` and so only once. A server that was taken
//! for dead and lives writes nothing more to those jobs: every write asks for its name.
//!
//! SQLite has one server, by the lock on its directory: `servers` is empty, and all that an earlier start left is its own.

use std::{fs, path::Path};

use anyhow::Context;

use super::{
    JobRecord, Store,
    jobs::{JobRow, job_columns},
    secrets,
    sql::{query, query_as, query_scalar},
};
use crate::domain::{JobId, Owner};

/// The name of this start, and that of the one before if the directory remembers it.
pub(super) fn names(data: &Path, remember: bool) -> anyhow::Result<(String, Option<String>)> {
    let name = secrets::random_name()?;
    if !remember {
        return Ok((name, None));
    }
    let path = data.join("SERVER");
    let before = fs::read_to_string(&path).ok().filter(|name| !name.is_empty());
    fs::write(&path, &name).with_context(|| format!("cannot write {}", path.display()))?;
    Ok((name, before))
}

impl Store {
    /// Tells other servers that this one lives; to be called several times within a lease.
    ///
    /// # Errors
    /// If the database cannot be written.
    pub async fn renew_lease(&self) -> anyhow::Result<()> {
        if self.is_alone() {
            return Ok(());
        }
        let mut transaction = self.database().begin().await?;
        let expires = transaction.now().await? + i64::from(self.inner.lease);
        query("INSERT INTO servers (id, expires) VALUES ($1, $2) ON CONFLICT (id) DO UPDATE SET expires = excluded.expires")
            .bind(self.server())
            .bind(expires)
            .execute(&mut transaction)
            .await?;
        Ok(transaction.commit().await?)
    }

    /// Seconds of a lease.
    pub fn lease(&self) -> u32 {
        self.inner.lease
    }

    /// Takes over the jobs without an end whose server is no more, the oldest first: now they are this one's.
    ///
    /// # Errors
    /// If the database cannot be written.
    pub async fn claim_jobs(&self) -> anyhow::Result<Vec<JobRecord>> {
        self.renew_lease().await?;
        let mut transaction = self.database().begin().await?;
        let now = transaction.now().await?;
        query("DELETE FROM servers WHERE expires <= $1 OR id = $2")
            .bind(now)
            .bind(self.inner.predecessor.as_ref().map_or("", String::as_str))
            .execute(&mut transaction)
            .await?;
        let mut rows: Vec<JobRow> = query_as(concat!(
            "UPDATE jobs SET server = $1 WHERE finished IS NULL AND (server IS NULL OR server <> $1) \
             AND NOT EXISTS (SELECT 1 FROM servers WHERE servers.id = jobs.server) RETURNING ",
            job_columns!()
        ))
        .bind(self.server())
        .fetch_all(&mut transaction)
        .await?;
        transaction.commit().await?;
        rows.sort_by(|a, b| a.id.cmp(&b.id));
        rows.into_iter().map(JobRecord::try_from).collect()
    }

    /// Gives back a job that was claimed and cannot be drawn now.
    ///
    /// # Errors
    /// If the database cannot be written.
    pub async fn disown(&self, id: JobId) -> anyhow::Result<()> {
        query("UPDATE jobs SET server = NULL WHERE id = $1 AND server = $2 AND finished IS NULL")
            .bind(id.to_string())
            .bind(self.server())
            .execute(&self.database().writer)
            .await?;
        Ok(())
    }

    /// Whether a job without an end is being drawn by another server.
    ///
    /// # Errors
    /// If the database cannot be read.
    pub async fn is_elsewhere(&self, id: JobId) -> anyhow::Result<bool> {
        if self.is_alone() {
            return Ok(false);
        }
        Ok(query_scalar("SELECT EXISTS (SELECT 1 FROM jobs WHERE id = $1 AND finished IS NULL AND server <> $2)")
            .bind(id.to_string())
            .bind(self.server())
            .fetch_one(&self.database().readers)
            .await?)
    }

    /// Asks the server that draws a job to call it off.
    ///
    /// # Errors
    /// If the database cannot be written.
    pub async fn call_off(&self, owner: &Owner, id: JobId) -> anyhow::Result<()> {
        query("UPDATE jobs SET called_off = TRUE WHERE id = $1 AND owner = $2 AND finished IS NULL")
            .bind(id.to_string())
            .bind(owner.as_str())
            .execute(&self.database().writer)
            .await?;
        Ok(())
    }

    /// This server's jobs that were called off through others.
    ///
    /// # Errors
    /// If the database cannot be read.
    pub async fn called_off(&self) -> anyhow::Result<Vec<JobId>> {
        let ids: Vec<String> =
            query_scalar("SELECT id FROM jobs WHERE finished IS NULL AND called_off AND server = $1")
                .bind(self.server())
                .fetch_all(&self.database().readers)
                .await?;
        ids.iter().map(|id| super::parsed(id)).collect()
    }

    /// Leaves to the other servers what is not done. Where the database cannot be told, the lease tells it.
    pub(super) async fn resign(&self) {
        if let Err(error) = self.end_servings().await {
            tracing::debug!("cannot say that nothing is served any more: {error}");
        }
        if self.is_alone() {
            return;
        }
        let resigned =
            query("DELETE FROM servers WHERE id = $1").bind(self.server()).execute(&self.database().writer).await;
        if let Err(error) = resigned {
            tracing::debug!("cannot resign: {error}");
        }
    }
}
