//! What leaves the store, and when: expired jobs with their pictures, the oldest jobs when pictures outgrow their
//! quota. Pictures that were voted on stay as blobs (`votes_write`), until their owner deletes them.

use super::{
    Store,
    database::{Lock, Transaction},
    sql::{On, query, query_as, query_scalar},
};
use crate::domain::{JobId, Owner};

/// How long an expired job answers 410 before it answers 404: a month, as long as somebody may hold on to a link.
const TOMBSTONE_SECONDS: i64 = 30 * 24 * 3600;
/// Jobs that leave in one transaction: others write between.
const BATCH: i64 = 64;

/// What a sweep removed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Swept {
    /// Jobs whose time to live was over.
    pub expired: usize,
    /// Jobs that had to make room.
    pub evicted: usize,
}

impl Store {
    /// Removes jobs that have expired by `now` (Unix seconds), then the oldest finished ones until pictures take at
    /// most `quota` bytes. What is not finished stays, even above the quota.
    ///
    /// # Errors
    /// If the store cannot be written.
    pub async fn sweep(&self, now: i64, quota: u64) -> anyhow::Result<Swept> {
        let swept = self.sweep_rows(now, quota).await.inspect_err(|error| {
            // Removing rows writes to the journal first; the next sweep finds room.
            self.relieve(error);
        })?;
        self.restore_ballast()?;
        Ok(swept)
    }

    async fn sweep_rows(&self, now: i64, quota: u64) -> anyhow::Result<Swept> {
        let mut swept = Swept::default();
        loop {
            let expired: Vec<String> = query_scalar("SELECT id FROM jobs WHERE expires <= $1 LIMIT $2")
                .bind(now)
                .bind(BATCH)
                .fetch_all(&self.database().readers)
                .await?;
            if expired.is_empty() {
                break;
            }
            swept.expired += expired.len();
            self.retire(&expired, Some(now)).await?;
        }
        while self.used_bytes().await? > quota {
            let leaving = self.oldest_over(quota).await?;
            if leaving.is_empty() {
                break;
            }
            swept.evicted += leaving.len();
            self.retire(&leaving, Some(now)).await?;
        }
        query("DELETE FROM tombstones WHERE expired <= $1")
            .bind(now - TOMBSTONE_SECONDS)
            .execute(&self.database().writer)
            .await?;
        Ok(swept)
    }

    /// Removes a job of this owner's with its pictures, those that were voted on too, and nothing tells that it was there.
    /// One that has not ended stays.
    ///
    /// # Errors
    /// If the store cannot be written.
    pub async fn delete_job(&self, owner: &Owner, id: JobId) -> anyhow::Result<()> {
        let ended: Vec<String> =
            query_scalar("SELECT id FROM jobs WHERE id = $1 AND owner = $2 AND finished IS NOT NULL")
                .bind(id.to_string())
                .bind(owner.as_str())
                .fetch_all(&self.database().readers)
                .await?;
        self.retire(&ended, None).await
    }

    /// The oldest finished jobs with pictures, as many as must leave for the quota.
    async fn oldest_over(&self, quota: u64) -> anyhow::Result<Vec<String>> {
        let rows: Vec<(String, i64)> = query_as(
            "SELECT jobs.id, CAST(jobs.start_bytes + COALESCE(SUM(images.bytes), 0) AS BIGINT) \
             FROM jobs LEFT JOIN images ON images.job = jobs.id WHERE jobs.finished IS NOT NULL \
             GROUP BY jobs.id HAVING jobs.start_bytes + COALESCE(SUM(images.bytes), 0) > 0 \
             ORDER BY jobs.finished, jobs.id LIMIT $1",
        )
        .bind(BATCH)
        .fetch_all(&self.database().readers)
        .await?;
        let mut over = self.used_bytes().await?.saturating_sub(quota);
        let mut leaving = Vec::new();
        for (id, bytes) in rows {
            if over == 0 {
                break;
            }
            over = over.saturating_sub(bytes as u64);
            leaving.push(id);
        }
        Ok(leaving)
    }

    /// Removes jobs with their pictures, and leaves tombstones of this time.
    async fn retire(&self, jobs: &[String], tombstones: Option<i64>) -> anyhow::Result<()> {
        let _alone = self.blobs_may_go().await;
        let mut transaction = self.database().begin().await?;
        // Two servers that sweep at a time would meet at the same jobs.
        transaction.lock(Lock::Sweep).await?;
        let mut gone = Gone::default();
        for job in jobs {
            gone.images_of(job, &mut transaction).await?;
            if tombstones.is_none() {
                gone.blobs.extend(super::votes_write::unpin_job(&mut transaction, job).await?);
            }
            if let Some(now) = tombstones {
                query("INSERT INTO tombstones (id, owner, expired) SELECT id, owner, $1 FROM jobs WHERE id = $2")
                    .bind(now)
                    .bind(job)
                    .execute(&mut transaction)
                    .await?;
            }
            let start: Option<(Option<String>, i64)> =
                query_as("DELETE FROM jobs WHERE id = $1 RETURNING start_blob, start_bytes")
                    .bind(job)
                    .fetch_optional(&mut transaction)
                    .await?;
            let (blob, bytes) = start.unwrap_or_default();
            gone.blobs.extend(blob);
            gone.bytes += bytes as u64;
        }
        transaction.commit().await?;
        if tombstones.is_none() {
            self.recount_voted().await?;
        }
        self.forget(gone).await
    }

    /// Removes the pictures that a job made before the server stopped: it is about to draw them again, and to tell of
    /// it after `last_sequence`. That is one more attempt.
    ///
    /// # Errors
    /// If the store cannot be written.
    pub async fn restart_job(&self, id: JobId, last_sequence: u64) -> anyhow::Result<()> {
        match self.write_restart(id, last_sequence).await {
            Err(error) if self.relieve(&error) => self.write_restart(id, last_sequence).await,
            done => done,
        }
    }

    async fn write_restart(&self, id: JobId, last_sequence: u64) -> anyhow::Result<()> {
        let _alone = self.blobs_may_go().await;
        let mut transaction = self.database().begin().await?;
        let restarted =
            query("UPDATE jobs SET last_sequence = $1, attempts = attempts + 1 WHERE id = $2 AND server = $3")
                .bind(last_sequence as i64)
                .bind(id.to_string())
                .bind(self.server())
                .execute(&mut transaction)
                .await?;
        anyhow::ensure!(restarted > 0, "the job {id} is another server's now, or nobody's");
        let mut gone = Gone::default();
        gone.images_of(&id.to_string(), &mut transaction).await?;
        transaction.commit().await?;
        self.forget(gone).await
    }

    /// Removes the blobs that no row names any more.
    async fn forget(&self, gone: Gone) -> anyhow::Result<()> {
        self.uncount_bytes(gone.bytes);
        self.remove_unnamed(gone.blobs).await
    }

    /// Removes those of the blobs that no row names. The caller lets nobody in this process add rows meanwhile; other
    /// servers wait until the blobs are gone, so that none is removed between another's upload of it and its row.
    pub(super) async fn remove_unnamed(&self, blobs: Vec<String>) -> anyhow::Result<()> {
        let mut everywhere = match self.database().is_shared() && !blobs.is_empty() {
            true => Some(self.database().begin().await?),
            false => None,
        };
        if let Some(transaction) = &mut everywhere {
            transaction.lock(Lock::Blobs).await?;
        }
        let mut unnamed = Vec::new();
        for blob in blobs {
            let on = everywhere.as_mut().map_or_else(|| On::from(&self.database().writer), On::from);
            if !blob_is_named(&blob, on).await? {
                unnamed.push(blob);
            }
        }
        self.blobs().remove(unnamed).await?;
        if let Some(transaction) = everywhere {
            transaction.commit().await?;
        }
        Ok(())
    }

    /// [`Store::remove_orphans`] while the server serves already.
    pub(super) async fn remove_orphans_aside(self) {
        if let Err(error) = self.remove_orphans().await {
            tracing::warn!("cannot remove blobs that nobody names: {error:#}");
        }
    }

    /// Removes blobs that were written for rows that never came: the process died between.
    pub(super) async fn remove_orphans(&self) -> anyhow::Result<()> {
        for prefix in self.blobs().prefixes().await? {
            let mut orphans = Vec::new();
            for blob in self.blobs().under(&prefix).await? {
                // A first look without the lock, for it holds up who adds pictures.
                if !blob_is_named(&blob, On::from(&self.database().readers)).await? {
                    orphans.push(blob);
                }
            }
            let _alone = self.blobs_may_go().await;
            self.remove_unnamed(orphans).await?;
        }
        Ok(())
    }
}

async fn blob_is_named(blob: &str, on: On<'_>) -> sqlx::Result<bool> {
    query_scalar(
        "SELECT EXISTS (SELECT 1 FROM images WHERE blob = $1) OR EXISTS (SELECT 1 FROM jobs WHERE start_blob = $1) \
         OR EXISTS (SELECT 1 FROM feedback_images WHERE blob = $1 AND kept)",
    )
    .bind(blob)
    .fetch_one(on)
    .await
}

/// What rows named that were removed.
#[derive(Default)]
struct Gone {
    blobs: Vec<String>,
    bytes: u64,
}

impl Gone {
    async fn images_of(&mut self, job: &str, transaction: &mut Transaction) -> sqlx::Result<()> {
        let rows: Vec<(String, i64)> = query_as("DELETE FROM images WHERE job = $1 RETURNING blob, bytes")
            .bind(job)
            .fetch_all(transaction)
            .await?;
        for (blob, bytes) in rows {
            self.blobs.push(blob);
            self.bytes += bytes as u64;
        }
        Ok(())
    }
}
