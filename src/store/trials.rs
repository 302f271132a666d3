//! Trials: their rows, and the votes that decide them.

use sqlx::FromRow;

use super::{
    Store, now, parsed,
    sql::{query_as, query_scalar},
};
use crate::{
    domain::Kind,
    trial::{NewTrial, TrialRecord, TrialState, TrialVote},
};

macro_rules! trial_columns {
    () => {
        "sequence, kind, version, champion, share, shadow, state, actor, reason, after, started, changed, evidence"
    };
}

#[derive(FromRow)]
struct TrialRow {
    sequence: i64,
    kind: String,
    version: String,
    champion: String,
    share: f64,
    shadow: i64,
    state: String,
    actor: String,
    reason: String,
    after: i64,
    started: i64,
    changed: i64,
    evidence: String,
}

impl TryFrom<TrialRow> for TrialRecord {
    type Error = anyhow::Error;

    fn try_from(row: TrialRow) -> anyhow::Result<Self> {
        Ok(Self {
            sequence: row.sequence,
            kind: parsed(&row.kind)?,
            version: parsed(&row.version)?,
            champion: parsed(&row.champion)?,
            share: row.share,
            shadow: u32::try_from(row.shadow)?,
            state: parsed(&row.state)?,
            actor: row.actor,
            reason: row.reason,
            after: row.after,
            started: row.started,
            changed: row.changed,
            evidence: serde_json::from_str(&row.evidence)?,
        })
    }
}

#[derive(FromRow)]
struct VoteRow {
    owner: String,
    rater: String,
    job: String,
    served_by: String,
    rating: String,
}

impl Store {
    /// Begins a trial; `None` where one goes on.
    ///
    /// # Errors
    /// If the database cannot be written.
    pub async fn begin_trial(&self, trial: &NewTrial) -> anyhow::Result<Option<TrialRecord>> {
        let state = if trial.shadow > 0 { TrialState::Shadow } else { TrialState::Canary };
        let started = now();
        let row: Option<TrialRow> = query_as(concat!(
            "INSERT INTO trials (version, champion, share, shadow, state, over, actor, reason, after, started, changed, evidence, kind) \
             SELECT $1, $2, $3, $4, $5, FALSE, $6, $7, (SELECT COALESCE(MAX(sequence), 0) FROM events), $8, $8, 'null', $9 \
             WHERE NOT EXISTS (SELECT 1 FROM trials WHERE NOT over) ON CONFLICT DO NOTHING RETURNING ",
            trial_columns!()
        ))
        .bind(trial.version.as_str())
        .bind(trial.champion.as_str())
        .bind(trial.share)
        .bind(i64::from(trial.shadow))
        .bind(state.name())
        .bind(&trial.actor)
        .bind(&trial.reason)
        .bind(started)
        .bind(trial.kind.name())
        .fetch_optional(&self.database().writer)
        .await?;
        row.map(TrialRecord::try_from).transpose()
    }

    /// The trial that goes on, if any.
    ///
    /// # Errors
    /// If the database cannot be read.
    pub async fn trial(&self) -> anyhow::Result<Option<TrialRecord>> {
        let row: Option<TrialRow> =
            query_as(concat!("SELECT ", trial_columns!(), " FROM trials WHERE NOT over ORDER BY sequence LIMIT 1"))
                .fetch_optional(&self.database().readers)
                .await?;
        row.map(TrialRecord::try_from).transpose()
    }

    /// Trials, the newest first: those before `before`, at most `limit`.
    ///
    /// # Errors
    /// If the database cannot be read.
    pub(crate) async fn trials(&self, before: Option<i64>, limit: usize) -> anyhow::Result<Vec<TrialRecord>> {
        let rows: Vec<TrialRow> = query_as(concat!(
            "SELECT ",
            trial_columns!(),
            " FROM trials WHERE sequence < $1 ORDER BY sequence DESC LIMIT $2"
        ))
        .bind(before.unwrap_or(i64::MAX))
        .bind(limit as i64)
        .fetch_all(&self.database().readers)
        .await?;
        rows.into_iter().map(TrialRecord::try_from).collect()
    }

    /// Moves a trial on, if it is where the caller thinks; whether it was.
    ///
    /// # Errors
    /// If the database cannot be written.
    pub async fn move_trial(
        &self,
        trial: &TrialRecord,
        to: TrialState,
        reason: &str,
        evidence: &serde_json::Value,
    ) -> anyhow::Result<bool> {
        let moved: Option<i64> = query_scalar(
            "UPDATE trials SET state = $1, over = $2, reason = $3, evidence = $4, changed = $5 \
             WHERE sequence = $6 AND state = $7 RETURNING sequence",
        )
        .bind(to.name())
        .bind(to.is_over())
        .bind(reason)
        .bind(evidence.to_string())
        .bind(now())
        .bind(trial.sequence)
        .bind(trial.state.name())
        .fetch_optional(&self.database().writer)
        .await?;
        Ok(moved.is_some())
    }

    /// Thumbs on pictures of a trial, in the order of the log, as they stand; those of raters in quarantine are left out. A picture is
    /// of the generator that drew it, and of the reward that chose it: of none where nothing was left out, since every reward shows
    /// the same then.
    ///
    /// # Errors
    /// If the database cannot be read.
    pub async fn trial_votes(&self, trial: &TrialRecord) -> anyhow::Result<Vec<TrialVote>> {
        let served_by = match trial.kind {
            Kind::Generator => "f.model_version",
            Kind::Reward => "f.chosen_by",
        };
        let sql = format!(
            "SELECT votes.owner, votes.rater, f.job, {served_by} AS served_by, votes.rating FROM votes \
             JOIN feedback_images f ON f.image = votes.image \
             WHERE votes.sequence > $1 AND NOT votes.quarantined AND votes.rating IN ('up', 'down') \
             AND {served_by} IN ($2, $3) AND f.created >= $4 ORDER BY votes.sequence"
        );
        let rows: Vec<VoteRow> = query_as(sqlx::AssertSqlSafe(sql))
            .bind(trial.after)
            .bind(trial.champion.as_str())
            .bind(trial.version.as_str())
            .bind(trial.started)
            .fetch_all(&self.database().readers)
            .await?;
        let vote = |row: VoteRow| TrialVote {
            rater: (row.owner, row.rater),
            job: row.job,
            candidate: row.served_by == trial.version.as_str(),
            up: row.rating == "up",
        };
        Ok(rows.into_iter().map(vote).collect())
    }
}
