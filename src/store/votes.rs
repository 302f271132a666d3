//! Votes: a queue of ballots before the one writer, which commits many of them at once.
//!
//! A ballot is acknowledged after the commit that holds it, so an acknowledged vote survives whatever happens to the
//! process; who hears nothing sends it again under its `Idempotency-Key` and is told what the first one was told.

use std::sync::{Arc, Weak};

use serde_json::Value;
use tokio::sync::{mpsc, oneshot};

use super::{
    Inner, Store,
    sql::{query, query_as},
};
use crate::domain::{FeedbackId, ImageId, Owner, Rater, Rating, Viewing};

/// Ballots that wait for the writer; more of them wait before the queue.
const QUEUE: usize = 1024;
/// Ballots of one commit: what comes in while the disk syncs.
const GROUP: usize = 256;

/// Something that a rater did with a picture.
#[derive(Debug, Clone, PartialEq)]
pub struct NewFeedback {
    /// The picture.
    pub image: ImageId,
    /// Under whom the rater is known.
    pub owner: Owner,
    /// Who did it.
    pub rater: Rater,
    /// How the picture was looked at.
    pub viewing: Viewing,
    /// What was done.
    pub act: Act,
    /// How the caller showed that it may: `token`, `key`, `session`, `import`.
    pub via: &'static str,
}

/// What a rater did.
#[derive(Debug, Clone, PartialEq)]
pub enum Act {
    /// Voted.
    Vote {
        /// The thumb.
        rating: Rating,
        /// Why, in the application's own words.
        reasons: Vec<String>,
        /// Why, in the rater's own.
        comment: Option<String>,
    },
    /// Was shown it.
    Impression,
}

impl Act {
    /// The event's kind.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Vote { .. } => "vote",
            Self::Impression => "impression",
        }
    }

    /// The thumb of a vote.
    pub fn rating(&self) -> Option<Rating> {
        match self {
            Self::Vote { rating, .. } => Some(*rating),
            Self::Impression => None,
        }
    }
}

/// What is written together or not at all.
#[derive(Debug, Clone, PartialEq)]
pub struct Ballot {
    /// In their order.
    pub items: Vec<NewFeedback>,
    /// Told once, and again to whoever asks again.
    pub once: Option<Once>,
    /// Bytes that pictures which were voted on may take; a picture beyond it is voted on but leaves with its job.
    pub quota: u64,
}

/// An `Idempotency-Key` and what came with it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Once {
    /// Whose key it is.
    pub scope: String,
    /// The key.
    pub key: String,
    /// SHA-256 of the request's body, in hexadecimal.
    pub digest: String,
}

/// What is told of an event that was written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Receipt {
    /// The event's name.
    pub feedback_id: FeedbackId,
    /// Its place in the log.
    pub sequence: i64,
    /// The thumb, if it was a vote.
    pub rating: Option<Rating>,
}

/// What came of a ballot.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cast {
    /// One for each item.
    pub receipts: Vec<Receipt>,
    /// It had been written before, under its key.
    pub replayed: bool,
}

/// Why nothing of a ballot was written.
#[derive(Debug, thiserror::Error)]
pub enum CastError {
    /// The picture of this item is gone.
    #[error("the picture of item {0} is gone")]
    Gone(usize),
    /// The key came with another body before.
    #[error("this Idempotency-Key came with another body before")]
    KeyReused,
    /// The store failed; [`is_full`](super::is_full) tells whether for want of room.
    #[error(transparent)]
    Store(#[from] anyhow::Error),
}

/// A ballot, and who waits for it.
#[derive(Debug)]
pub(super) struct Waiting {
    pub(super) ballot: Ballot,
    told: oneshot::Sender<Result<Cast, CastError>>,
}

/// The way to the writer.
pub(super) type Ballots = mpsc::Sender<Waiting>;

/// The queue's two ends.
pub(super) fn queue() -> (Ballots, mpsc::Receiver<Waiting>) {
    mpsc::channel(QUEUE)
}

/// The writer's task: it ends with the last clone of the store.
pub(super) fn serve(store: &Arc<Inner>, waiting: mpsc::Receiver<Waiting>) {
    tokio::spawn(write_groups(Arc::downgrade(store), waiting));
}

async fn write_groups(store: Weak<Inner>, mut waiting: mpsc::Receiver<Waiting>) {
    let mut group = Vec::with_capacity(GROUP);
    while waiting.recv_many(&mut group, GROUP).await > 0 {
        let Some(inner) = store.upgrade() else { return };
        Store { inner }.settle(std::mem::take(&mut group)).await;
    }
}

impl Store {
    /// Writes a ballot; when this returns it survives whatever happens to the process. Ballots that come at the same
    /// time share a commit, and one that cannot be written fails alone. On a full disk the ballast makes room.
    ///
    /// # Errors
    /// [`CastError`]; then nothing of it was written.
    pub async fn cast(&self, ballot: Ballot) -> Result<Cast, CastError> {
        let (told, hear) = oneshot::channel();
        let gone = || CastError::Store(anyhow::anyhow!("the store is closed"));
        self.inner.ballots.send(Waiting { ballot, told }).await.map_err(|_| gone())?;
        hear.await.map_err(|_| gone())?
    }

    /// Commits a group, or each of it alone where it fails together, and tells who waits.
    async fn settle(&self, group: Vec<Waiting>) {
        let ballots: Vec<&Ballot> = group.iter().map(|waiting| &waiting.ballot).collect();
        match self.write_ballots(&ballots).await {
            Ok(outcomes) => {
                for (waiting, outcome) in group.into_iter().zip(outcomes) {
                    // Nobody hears it where the caller left; the vote counts all the same.
                    let _ = waiting.told.send(outcome);
                }
            }
            Err(error) => {
                self.relieve(&error);
                for waiting in group {
                    let outcome = self.settle_one(&waiting.ballot).await;
                    let _ = waiting.told.send(outcome);
                }
            }
        }
    }

    async fn settle_one(&self, ballot: &Ballot) -> Result<Cast, CastError> {
        let written = match self.write_ballots(&[ballot]).await {
            Err(error) if self.relieve(&error) => self.write_ballots(&[ballot]).await,
            written => written,
        };
        written?.pop().unwrap_or_else(|| Err(CastError::Store(anyhow::anyhow!("a ballot has no outcome"))))
    }

    /// What a ballot under this key was told; `None` where none came yet.
    ///
    /// # Errors
    /// [`CastError::KeyReused`] where it came with another body; if the database cannot be read.
    pub async fn find_cast(&self, once: &Once) -> Result<Option<Cast>, CastError> {
        let row: Option<(String, String)> =
            query_as("SELECT body_digest, response FROM feedback_keys WHERE scope = $1 AND idempotency_key = $2")
                .bind(&once.scope)
                .bind(&once.key)
                .fetch_optional(&self.database().readers)
                .await
                .map_err(anyhow::Error::from)?;
        row.map(|(digest, response)| replay(once, &digest, &response)).transpose()
    }

    /// Forgets answers under keys that are older than this (Unix seconds).
    ///
    /// # Errors
    /// If the database cannot be written.
    pub async fn forget_casts(&self, before: i64) -> anyhow::Result<()> {
        query("DELETE FROM feedback_keys WHERE created < $1").bind(before).execute(&self.database().writer).await?;
        Ok(())
    }
}

/// The answer of before, if the body is the same.
pub(super) fn replay(once: &Once, digest: &str, response: &str) -> Result<Cast, CastError> {
    if once.digest != digest {
        return Err(CastError::KeyReused);
    }
    let receipts = serde_json::from_str(response).map_err(anyhow::Error::from)?;
    Ok(Cast { receipts, replayed: true })
}

/// The body of an item's event; `docs/events.md` explains it.
pub(super) fn body(item: &NewFeedback, id: FeedbackId, picture: Option<&super::Subject>) -> Value {
    /// Of the body's layout.
    const VERSION: u32 = 1;
    let mut body = serde_json::json!({
        "version": VERSION, "feedback_id": id, "image_id": item.image, "rater": item.rater, "via": item.via,
        "context": item.viewing,
    });
    if let Act::Vote { rating, reasons, comment } = &item.act {
        body["rating"] = rating.name().into();
        body["reasons"] = reasons.as_slice().into();
        body["comment"] = comment.as_deref().into();
    }
    if let Some(picture) = picture {
        body["model_version"] = picture.model_version.as_str().into();
        body["picture"] = serde_json::json!({
            "blob": picture.blob, "format": picture.format.name(), "width": picture.width, "height": picture.height,
            "seed": picture.seed, "created": picture.created, "rater": picture.rater,
        });
        body["parameters"] = picture.parameters.clone();
    }
    body
}
