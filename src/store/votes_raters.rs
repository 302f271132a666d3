//! Raters: what they are to see next, how far they are trusted, and the gold items that tell.

use std::sync::atomic::Ordering;

use serde_json::json;

use super::{
    Store,
    database::Lock,
    events::{self, NewEvent},
    now, parsed,
    sql::{On, query, query_as, query_scalar},
    votes_read::Subject,
    votes_write::{Room, pin},
};
use crate::{
    domain::{FeedbackId, ImageId, Owner, Rater, Rating},
    feedback::{Look, Reason},
};

/// Votes of a rater that a review looks at, the newest.
const REVIEWED: i64 = 200;
/// Pictures among which the next to rate is looked for, the newest.
const CONSIDERED: i64 = 1000;

/// A picture to be rated.
#[derive(Debug, Clone, PartialEq)]
pub struct Candidate {
    /// Its name.
    pub image: ImageId,
    /// Whose it is.
    pub owner: Owner,
    /// Its prompt.
    pub prompt: String,
}

type CandidateRow = (String, String, String);
/// Rating, dwell, gold, margin and number of others.
type LookRow = (String, Option<i64>, Option<String>, i64, i64);

fn candidate((image, owner, parameters): CandidateRow) -> anyhow::Result<Candidate> {
    let parameters: serde_json::Value = serde_json::from_str(&parameters)?;
    let prompt = parameters["prompt"].as_str().unwrap_or_default().to_owned();
    Ok(Candidate { image: parsed(&image)?, owner: Owner::from_stored(owner), prompt })
}

impl Store {
    /// The picture of an owner's that this rater has no thumb on and that has the fewest thumbs, the newest of those;
    /// one drawn for somebody else is left out.
    ///
    /// # Errors
    /// If the database cannot be read.
    pub async fn next_to_rate(&self, owner: &Owner, rater: &Rater) -> anyhow::Result<Option<Candidate>> {
        let row: Option<CandidateRow> = query_as(
            "SELECT recent.id, recent.owner, recent.parameters FROM (SELECT id, owner, parameters, ordinal FROM images \
             WHERE owner = $1 AND expires > $3 AND (rater IS NULL OR rater = $2) ORDER BY ordinal DESC LIMIT $4) \
             AS recent \
             WHERE NOT EXISTS (SELECT 1 FROM votes WHERE votes.image = recent.id AND votes.owner = $1 \
             AND votes.rater = $2 AND votes.rating <> 'clear') \
             ORDER BY (SELECT COUNT(*) FROM votes WHERE votes.image = recent.id AND votes.rating <> 'clear'), \
             recent.ordinal DESC LIMIT 1",
        )
        .bind(owner.as_str())
        .bind(rater.as_str())
        .bind(now())
        .bind(CONSIDERED)
        .fetch_optional(&self.database().readers)
        .await?;
        row.map(candidate).transpose()
    }

    /// A gold item that this rater has no thumb on, any of them.
    ///
    /// # Errors
    /// If the database cannot be read.
    pub async fn next_gold(&self, owner: &Owner, rater: &Rater) -> anyhow::Result<Option<Candidate>> {
        let row: Option<CandidateRow> = query_as(
            "SELECT image, owner, parameters FROM feedback_images WHERE gold IS NOT NULL AND kept \
             AND NOT EXISTS (SELECT 1 FROM votes WHERE votes.image = feedback_images.image AND votes.owner = $1 \
             AND votes.rater = $2 AND votes.rating <> 'clear') ORDER BY RANDOM() LIMIT 1",
        )
        .bind(owner.as_str())
        .bind(rater.as_str())
        .fetch_optional(&self.database().readers)
        .await?;
        row.map(candidate).transpose()
    }

    /// Makes a picture a gold item with its right answer, or an ordinary one again (`Clear`). It is kept beyond its job,
    /// whatever the quota. `false` when there is no such picture.
    ///
    /// # Errors
    /// If the database cannot be written.
    pub async fn set_gold(&self, image: ImageId, answer: Rating) -> anyhow::Result<bool> {
        let mut transaction = self.database().begin().await?;
        transaction.share(Lock::Blobs).await?;
        let Some(picture) = Subject::find(On::from(&mut transaction), image).await? else { return Ok(false) };
        let before = self.voted_bytes_kept();
        let mut kept = before;
        pin(&mut transaction, &picture, Room { kept: &mut kept, quota: u64::MAX }).await?;
        query("UPDATE feedback_images SET gold = $1 WHERE image = $2")
            .bind((answer != Rating::Clear).then(|| answer.name()))
            .bind(image.to_string())
            .execute(&mut transaction)
            .await?;
        transaction.commit().await?;
        self.inner.voted.fetch_add(kept - before, Ordering::Relaxed);
        Ok(true)
    }

    /// All gold items with their right answers, by name, at most `limit`, those after `after`.
    ///
    /// # Errors
    /// If the database cannot be read.
    pub async fn list_gold(&self, after: Option<ImageId>, limit: usize) -> anyhow::Result<Vec<(ImageId, Rating)>> {
        let rows: Vec<(String, String)> = query_as(
            "SELECT image, gold FROM feedback_images WHERE gold IS NOT NULL AND image > $1 ORDER BY image LIMIT $2",
        )
        .bind(after.map(|id| id.to_string()).unwrap_or_default())
        .bind(limit as i64)
        .fetch_all(&self.database().readers)
        .await?;
        rows.into_iter().map(|(image, gold)| Ok((parsed(&image)?, parsed(&gold)?))).collect()
    }

    /// Raters whose last vote is after a place in the log, with that vote's place, in its order, at most `limit`.
    ///
    /// # Errors
    /// If the database cannot be read.
    pub async fn raters_after(&self, sequence: i64, limit: usize) -> anyhow::Result<Vec<(Owner, Rater, i64)>> {
        let rows: Vec<(String, String, i64)> = query_as(
            "SELECT owner, rater, MAX(sequence) AS latest FROM votes WHERE sequence > $1 GROUP BY owner, rater \
             ORDER BY latest LIMIT $2",
        )
        .bind(sequence)
        .bind(limit as i64)
        .fetch_all(&self.database().readers)
        .await?;
        let read = |(owner, rater, sequence)| (Owner::from_stored(owner), Rater::from_stored(rater), sequence);
        Ok(rows.into_iter().map(read).collect())
    }

    /// A rater's latest votes beside what is known of their pictures. Others in quarantine have no say.
    ///
    /// # Errors
    /// If the database cannot be read.
    pub async fn looks(&self, owner: &Owner, rater: &Rater) -> anyhow::Result<Vec<Look>> {
        let others = "FROM votes o WHERE o.image = v.image AND NOT o.quarantined AND o.rating <> 'clear' \
             AND NOT (o.owner = $1 AND o.rater = $2)";
        let sql = format!(
            "SELECT v.rating, v.dwell_ms, f.gold, \
             CAST((SELECT COALESCE(SUM(CASE WHEN o.rating = 'up' THEN 1 ELSE -1 END), 0) {others}) AS BIGINT), \
             (SELECT COUNT(*) {others}) \
             FROM (SELECT image, rating, dwell_ms FROM votes WHERE owner = $1 AND rater = $2 AND rating <> 'clear' \
             ORDER BY sequence DESC LIMIT $3) AS v JOIN feedback_images f ON f.image = v.image"
        );
        let rows: Vec<LookRow> = query_as(sqlx::AssertSqlSafe(sql))
            .bind(owner.as_str())
            .bind(rater.as_str())
            .bind(REVIEWED)
            .fetch_all(&self.database().readers)
            .await?;
        let read = |(rating, dwell, gold, margin, others): LookRow| {
            let gold = gold.as_deref().map(parsed).transpose()?;
            let dwell_ms = dwell.map(u32::try_from).transpose()?;
            Ok(Look { rating: parsed(&rating)?, dwell_ms, gold, margin, others })
        };
        rows.into_iter().map(read).collect()
    }

    /// Puts a rater with all votes in quarantine, or takes them out (`None`), and tells the log. Whether that is new.
    ///
    /// # Errors
    /// If the database cannot be written.
    pub async fn set_quarantine(&self, owner: &Owner, rater: &Rater, reason: Option<Reason>) -> anyhow::Result<bool> {
        let mut transaction = self.database().begin().await?;
        // Two servers may review a rater at a time.
        transaction.lock(Lock::Events).await?;
        let before: Option<bool> = query_scalar("SELECT quarantined FROM raters WHERE owner = $1 AND rater = $2")
            .bind(owner.as_str())
            .bind(rater.as_str())
            .fetch_optional(&mut transaction)
            .await?;
        if before.unwrap_or(false) == reason.is_some() {
            return Ok(false);
        }
        query(
            "INSERT INTO raters (owner, rater, quarantined, reason) VALUES ($1, $2, $3, $4) \
             ON CONFLICT (owner, rater) DO UPDATE SET quarantined = excluded.quarantined, reason = excluded.reason",
        )
        .bind(owner.as_str())
        .bind(rater.as_str())
        .bind(reason.is_some())
        .bind(reason.map(Reason::name))
        .execute(&mut transaction)
        .await?;
        query("UPDATE votes SET quarantined = $3 WHERE owner = $1 AND rater = $2")
            .bind(owner.as_str())
            .bind(rater.as_str())
            .bind(reason.is_some())
            .execute(&mut transaction)
            .await?;
        let body = json!({"version": 1, "feedback_id": FeedbackId::new(), "rater": rater, "reason": reason});
        let event = NewEvent { kind: "quarantine", created: now(), job: None, owner: owner.clone(), body };
        events::append(&mut transaction, &event).await?;
        transaction.commit().await?;
        Ok(true)
    }
}
