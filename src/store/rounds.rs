//! Rounds of learning: their rows, and the lease of who may write them.

use serde_json::Value;
use sqlx::FromRow;

use super::{
    Store, now, parsed,
    sql::{query, query_as, query_scalar},
};
use crate::{
    domain::VersionId,
    round::{NewRound, RoundOutcome, RoundRecord, RoundStage, TrainingLease, VotesWaiting},
};

macro_rules! round_columns {
    () => {
        "sequence, stage, outcome, reason, generator, reward, base, after, upto, holder, started, changed, facts"
    };
}

/// Parameters: the lease's holder, its generation.
macro_rules! held {
    ($holder:literal, $generation:literal) => {
        concat!("EXISTS (SELECT 1 FROM training_lease WHERE holder = ", $holder, " AND generation = ", $generation, ")")
    };
}

#[derive(FromRow)]
struct RoundRow {
    sequence: i64,
    stage: String,
    outcome: Option<String>,
    reason: String,
    generator: String,
    reward: Option<String>,
    base: String,
    after: i64,
    upto: i64,
    holder: String,
    started: i64,
    changed: i64,
    facts: String,
}

impl TryFrom<RoundRow> for RoundRecord {
    type Error = anyhow::Error;

    fn try_from(row: RoundRow) -> anyhow::Result<Self> {
        Ok(Self {
            sequence: row.sequence,
            stage: parsed(&row.stage)?,
            outcome: row.outcome.as_deref().map(parsed).transpose()?,
            reason: row.reason,
            generator: parsed(&row.generator)?,
            reward: row.reward.as_deref().map(parsed).transpose()?,
            base: parsed(&row.base)?,
            after: row.after,
            upto: row.upto,
            holder: row.holder,
            started: row.started,
            changed: row.changed,
            facts: serde_json::from_str(&row.facts)?,
        })
    }
}

impl Store {
    /// Takes the lease of training, or renews it; `None` while another process holds it. Its generation changes with the holder.
    ///
    /// # Errors
    /// If the database cannot be written.
    pub async fn take_training_lease(&self, holder: &str, seconds: u32) -> anyhow::Result<Option<TrainingLease>> {
        let mut transaction = self.database().begin().await?;
        let now = transaction.now().await?;
        let expires = now + i64::from(seconds);
        let generation: Option<i64> = query_scalar(
            "INSERT INTO training_lease (id, holder, generation, expires) VALUES (1, $1, 1, $2) ON CONFLICT (id) DO UPDATE SET \
             generation = training_lease.generation + CASE WHEN training_lease.holder = excluded.holder THEN 0 ELSE 1 END, \
             holder = excluded.holder, expires = excluded.expires \
             WHERE training_lease.holder = excluded.holder OR training_lease.expires <= $3 RETURNING generation",
        )
        .bind(holder)
        .bind(expires)
        .bind(now)
        .fetch_optional(&mut transaction)
        .await?;
        transaction.commit().await?;
        Ok(generation.map(|generation| TrainingLease { holder: holder.to_owned(), generation, expires }))
    }

    /// Who holds the lease of training, or held it last.
    ///
    /// # Errors
    /// If the database cannot be read.
    pub async fn training_lease(&self) -> anyhow::Result<Option<TrainingLease>> {
        let row: Option<(String, i64, i64)> =
            query_as("SELECT holder, generation, expires FROM training_lease WHERE id = 1")
                .fetch_optional(&self.database().readers)
                .await?;
        Ok(row.map(|(holder, generation, expires)| TrainingLease { holder, generation, expires }))
    }

    /// Gives the lease back, if it is still this one.
    ///
    /// # Errors
    /// If the database cannot be written.
    pub async fn give_back_training_lease(&self, lease: &TrainingLease) -> anyhow::Result<()> {
        query("UPDATE training_lease SET expires = 0 WHERE holder = $1 AND generation = $2")
            .bind(&lease.holder)
            .bind(lease.generation)
            .execute(&self.database().writer)
            .await?;
        Ok(())
    }

    /// Begins a round; `None` where one goes on, or the lease is another's by now.
    ///
    /// # Errors
    /// If the database cannot be written.
    pub async fn begin_round(&self, lease: &TrainingLease, round: &NewRound) -> anyhow::Result<Option<RoundRecord>> {
        let row: Option<RoundRow> = query_as(concat!(
            "INSERT INTO rounds (stage, over, reason, generator, reward, base, after, upto, holder, started, changed, facts) \
             SELECT $1, FALSE, 'begun', $2, $3, $4, $5, $6, $7, $8, $8, $9 \
             WHERE NOT EXISTS (SELECT 1 FROM rounds WHERE NOT over) AND ",
            held!("$7", "$10"),
            " ON CONFLICT DO NOTHING RETURNING ",
            round_columns!()
        ))
        .bind(RoundStage::Export.name())
        .bind(round.generator.as_str())
        .bind(round.reward.as_ref().map(VersionId::as_str))
        .bind(round.base.as_str())
        .bind(round.after)
        .bind(round.upto)
        .bind(&lease.holder)
        .bind(now())
        .bind(round.facts.to_string())
        .bind(lease.generation)
        .fetch_optional(&self.database().writer)
        .await?;
        row.map(RoundRecord::try_from).transpose()
    }

    /// Moves a round on; `None` where it is not where the caller thinks, or the lease is another's by now.
    ///
    /// # Errors
    /// If the database cannot be written.
    pub async fn move_round(
        &self,
        lease: &TrainingLease,
        round: &RoundRecord,
        to: RoundStage,
        facts: &Value,
    ) -> anyhow::Result<Option<RoundRecord>> {
        self.change_round(lease, round, to, None, "goes on", facts).await
    }

    /// Ends a round; `None` as in [`Store::move_round`].
    ///
    /// # Errors
    /// If the database cannot be written.
    pub async fn end_round(
        &self,
        lease: &TrainingLease,
        round: &RoundRecord,
        outcome: RoundOutcome,
        reason: &str,
        facts: &Value,
    ) -> anyhow::Result<Option<RoundRecord>> {
        self.change_round(lease, round, round.stage, Some(outcome), reason, facts).await
    }

    async fn change_round(
        &self,
        lease: &TrainingLease,
        round: &RoundRecord,
        to: RoundStage,
        outcome: Option<RoundOutcome>,
        reason: &str,
        facts: &Value,
    ) -> anyhow::Result<Option<RoundRecord>> {
        let upto = facts["export"]["to_sequence"].as_i64().unwrap_or(round.upto);
        let row: Option<RoundRow> = query_as(concat!(
            "UPDATE rounds SET stage = $1, over = $2, outcome = $3, reason = $4, facts = $5, changed = $6, holder = $7, upto = $8 \
             WHERE sequence = $9 AND stage = $10 AND NOT over AND ",
            held!("$7", "$11"),
            " RETURNING ",
            round_columns!()
        ))
        .bind(to.name())
        .bind(outcome.is_some())
        .bind(outcome.map(RoundOutcome::name))
        .bind(reason)
        .bind(facts.to_string())
        .bind(now())
        .bind(&lease.holder)
        .bind(upto)
        .bind(round.sequence)
        .bind(round.stage.name())
        .bind(lease.generation)
        .fetch_optional(&self.database().writer)
        .await?;
        row.map(RoundRecord::try_from).transpose()
    }

    /// The round that goes on, if any.
    ///
    /// # Errors
    /// If the database cannot be read.
    pub async fn round(&self) -> anyhow::Result<Option<RoundRecord>> {
        let row: Option<RoundRow> =
            query_as(concat!("SELECT ", round_columns!(), " FROM rounds WHERE NOT over ORDER BY sequence LIMIT 1"))
                .fetch_optional(&self.database().readers)
                .await?;
        row.map(RoundRecord::try_from).transpose()
    }

    /// Rounds, the newest first, at most `limit`.
    ///
    /// # Errors
    /// If the database cannot be read.
    pub async fn rounds(&self, limit: usize) -> anyhow::Result<Vec<RoundRecord>> {
        let rows: Vec<RoundRow> =
            query_as(concat!("SELECT ", round_columns!(), " FROM rounds ORDER BY sequence DESC LIMIT $1"))
                .bind(limit as i64)
                .fetch_all(&self.database().readers)
                .await?;
        rows.into_iter().map(RoundRecord::try_from).collect()
    }

    /// How many rounds began since a second of Unix time, and how many of a base were released.
    ///
    /// # Errors
    /// If the database cannot be read.
    pub async fn count_rounds(&self, since: i64, base: &VersionId) -> anyhow::Result<(i64, i64)> {
        Ok(query_as(
            "SELECT (SELECT COUNT(*) FROM rounds WHERE started >= $1), \
             (SELECT COUNT(*) FROM rounds WHERE base = $2 AND outcome = 'released')",
        )
        .bind(since)
        .bind(base.as_str())
        .fetch_one(&self.database().readers)
        .await?)
    }

    /// Votes behind a place of the event log that training could learn from: thumbs as they stand, on pictures that are kept, of
    /// raters who are not in quarantine.
    ///
    /// # Errors
    /// If the database cannot be read.
    pub async fn votes_waiting(&self, after: i64) -> anyhow::Result<VotesWaiting> {
        let (votes, oldest, upto): (i64, Option<i64>, i64) = query_as(
            "SELECT COUNT(*), MIN(votes.updated), (SELECT COALESCE(MAX(sequence), 0) FROM events) FROM votes \
             JOIN feedback_images f ON f.image = votes.image \
             WHERE votes.sequence > $1 AND votes.rating <> 'clear' AND NOT votes.quarantined AND f.kept",
        )
        .bind(after)
        .fetch_one(&self.database().readers)
        .await?;
        Ok(VotesWaiting { votes, oldest, upto })
    }
}
