//! The transaction of a group of ballots.

use std::sync::atomic::Ordering;

use super::{
    Store,
    database::{Lock, Transaction},
    events::{self, NewEvent},
    now,
    sql::{On, query, query_as, query_scalar},
    votes::{self, Act, Ballot, Cast, CastError, NewFeedback, Once, Receipt},
    votes_read::Subject,
};
use crate::domain::FeedbackId;

impl Store {
    /// Writes ballots in one transaction. A ballot that is refused leaves nothing and does not touch the others; an error
    /// of the database undoes all of them.
    pub(super) async fn write_ballots(&self, ballots: &[&Ballot]) -> anyhow::Result<Vec<Result<Cast, CastError>>> {
        let mut transaction = self.database().begin().await?;
        // No other server removes a blob between the look at its picture and the row that keeps it.
        transaction.share(Lock::Blobs).await?;
        let before = self.voted_now(&mut transaction).await?;
        let (mut outcomes, mut kept) = (Vec::with_capacity(ballots.len()), before);
        for ballot in ballots {
            outcomes.push(write(&mut transaction, ballot, &mut kept).await?);
        }
        transaction.commit().await?;
        self.inner.voted.fetch_add(kept - before, Ordering::Relaxed);
        Ok(outcomes)
    }
}

/// Looks first, writes then: what is refused has written nothing.
async fn write(
    transaction: &mut Transaction,
    ballot: &Ballot,
    kept: &mut u64,
) -> anyhow::Result<Result<Cast, CastError>> {
    if let Some(once) = &ballot.once
        && let Some(told) = told(transaction, once).await?
    {
        return Ok(told);
    }
    let mut pictures = Vec::with_capacity(ballot.items.len());
    for (index, item) in ballot.items.iter().enumerate() {
        let Some(picture) = Subject::find(On::from(&mut *transaction), item.image).await? else {
            return Ok(Err(CastError::Gone(index)));
        };
        pictures.push(picture);
    }
    let mut receipts = Vec::with_capacity(ballot.items.len());
    for (item, picture) in ballot.items.iter().zip(&pictures) {
        let room = Room { kept, quota: ballot.quota };
        receipts.push(write_item(transaction, item, picture, room).await?);
    }
    if let Some(once) = &ballot.once {
        remember(transaction, once, &receipts).await?;
    }
    Ok(Ok(Cast { receipts, replayed: false }))
}

async fn write_item(
    transaction: &mut Transaction,
    item: &NewFeedback,
    picture: &Subject,
    room: Room<'_>,
) -> anyhow::Result<Receipt> {
    let (id, created) = (FeedbackId::new(), now());
    let is_vote = matches!(item.act, Act::Vote { .. });
    let body = votes::body(item, id, is_vote.then_some(picture));
    let event = NewEvent { kind: item.act.kind(), created, job: Some(picture.job), owner: item.owner.clone(), body };
    let sequence = events::append(transaction, &event).await?;
    let receipt = Receipt { feedback_id: id, sequence, rating: item.act.rating() };
    if is_vote {
        pin(transaction, picture, room).await?;
        upsert(transaction, item, receipt, created).await?;
    }
    Ok(receipt)
}

/// Bytes of pictures that are kept for votes, and how many they may be.
pub(super) struct Room<'a> {
    pub(super) kept: &'a mut u64,
    pub(super) quota: u64,
}

/// Keeps a picture beyond its job; one beyond the quota is known but not kept.
pub(super) async fn pin(transaction: &mut Transaction, picture: &Subject, room: Room<'_>) -> anyhow::Result<()> {
    if picture.pinned {
        return Ok(());
    }
    let kept = *room.kept + picture.bytes <= room.quota;
    // The same picture may come twice in one ballot.
    let made = query(
        "INSERT INTO feedback_images (image, owner, job, created, kept, format, blob, bytes, width, height, seed, \
         model_version, chosen_by, rater, parameters) \
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15) \
         ON CONFLICT (image) DO NOTHING",
    )
    .bind(picture.image.to_string())
    .bind(picture.owner.as_str())
    .bind(picture.job.to_string())
    .bind(picture.created)
    .bind(kept)
    .bind(picture.format.name())
    .bind(&picture.blob)
    .bind(picture.bytes as i64)
    .bind(i64::from(picture.width))
    .bind(i64::from(picture.height))
    .bind(i64::from(picture.seed))
    .bind(&picture.model_version)
    .bind(&picture.chosen_by)
    .bind(&picture.rater)
    .bind(picture.parameters.to_string())
    .execute(&mut *transaction)
    .await?;
    if kept && made > 0 {
        *room.kept += picture.bytes;
    }
    if !kept {
        tracing::warn!(image = %picture.image, "the quota of voted pictures is full: the vote counts, its picture leaves with its job");
    }
    Ok(())
}

async fn upsert(transaction: &mut Transaction, item: &NewFeedback, receipt: Receipt, now: i64) -> sqlx::Result<()> {
    query(
        "INSERT INTO votes (image, owner, rater, rating, feedback, sequence, created, updated, dwell_ms, quarantined) \
         VALUES ($1, $2, $3, $4, $5, $6, $7, $7, $8, \
         EXISTS (SELECT 1 FROM raters WHERE owner = $2 AND rater = $3 AND quarantined)) \
         ON CONFLICT (image, owner, rater) DO UPDATE SET rating = excluded.rating, feedback = excluded.feedback, \
         sequence = excluded.sequence, updated = excluded.updated, dwell_ms = excluded.dwell_ms, \
         quarantined = excluded.quarantined",
    )
    .bind(item.image.to_string())
    .bind(item.owner.as_str())
    .bind(item.rater.as_str())
    .bind(receipt.rating.map(crate::domain::Rating::name))
    .bind(receipt.feedback_id.to_string())
    .bind(receipt.sequence)
    .bind(now)
    .bind(item.viewing.dwell_ms.map(i64::from))
    .execute(&mut *transaction)
    .await
    .map(drop)
}

async fn told(transaction: &mut Transaction, once: &Once) -> anyhow::Result<Option<Result<Cast, CastError>>> {
    let row: Option<(String, String)> =
        query_as("SELECT body_digest, response FROM feedback_keys WHERE scope = $1 AND idempotency_key = $2")
            .bind(&once.scope)
            .bind(&once.key)
            .fetch_optional(&mut *transaction)
            .await?;
    Ok(row.map(|(digest, response)| votes::replay(once, &digest, &response)))
}

async fn remember(transaction: &mut Transaction, once: &Once, receipts: &[Receipt]) -> anyhow::Result<()> {
    query(
        "INSERT INTO feedback_keys (scope, idempotency_key, body_digest, response, created) VALUES ($1, $2, $3, $4, $5)",
    )
    .bind(&once.scope)
    .bind(&once.key)
    .bind(&once.digest)
    .bind(serde_json::to_string(receipts)?)
    .bind(now())
    .execute(&mut *transaction)
    .await?;
    Ok(())
}

/// Gives up the pictures of a job that were voted on, gold items left out: the blobs that nothing keeps for votes any more.
/// The votes stay; nothing can be learned from them without their pictures.
pub(super) async fn unpin_job(transaction: &mut Transaction, job: &str) -> sqlx::Result<Vec<String>> {
    query_scalar("UPDATE feedback_images SET kept = FALSE WHERE job = $1 AND kept AND gold IS NULL RETURNING blob")
        .bind(job)
        .fetch_all(&mut *transaction)
        .await
}
