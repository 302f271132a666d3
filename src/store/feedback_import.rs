//! Votes that come out of files.

use std::collections::HashSet;

use super::{
    Store,
    blobs::hex,
    database::{Lock, Transaction},
    events::{self, NewEvent},
    feedback_erase::Erased,
    sql::{On, query, query_scalar},
    votes_read::Subject,
    votes_write::{Room, pin},
};
use crate::{
    domain::{FeedbackId, ImageId, JobId, Owner, Rater, Rating},
    jobs::ImageFormat,
};
use bytes::Bytes;
use serde_json::{Value, json};

/// A vote of a file, checked.
#[derive(Debug, Clone, PartialEq)]
pub struct ImportedVote {
    /// The picture, under this store's name for it.
    pub image: ImageId,
    /// Under whom the rater is known; `None`: the picture's owner.
    pub owner: Option<Owner>,
    /// Who voted.
    pub rater: Rater,
    /// Up or down.
    pub rating: Rating,
    /// When, Unix seconds.
    pub created: i64,
    /// The vote's name where it was given.
    pub feedback: Option<FeedbackId>,
    /// What the event's body says beside this: `context`, `reasons`, `candidate`, `labels`, `origin`.
    pub body: Value,
    /// The picture, where the file brings it.
    pub picture: Option<ImportedPicture>,
}

/// A picture that comes with a vote.
#[derive(Debug, Clone, PartialEq)]
pub struct ImportedPicture {
    /// Its file.
    pub bytes: Bytes,
    /// Its coding.
    pub format: ImageFormat,
    /// Width in pixels.
    pub width: u32,
    /// Height in pixels.
    pub height: u32,
    /// Its seed.
    pub seed: u32,
    /// What drew it.
    pub model_version: String,
    /// Its parameters, under the API's names.
    pub parameters: Value,
}

/// What came of a vote of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Imported {
    /// It is in the log.
    Added,
    /// This vote, or a later one of the rater on the picture, is here already.
    Known,
    /// Its rater or picture was erased here.
    Erased,
}

/// Owner of what comes from elsewhere.
const ELSEWHERE: &str = "import";

impl Store {
    /// Whether a vote could be imported: its picture is here, as the same bytes, or comes with it.
    ///
    /// # Errors
    /// What is wrong with it; if the database cannot be read.
    pub async fn importable(&self, vote: &ImportedVote) -> anyhow::Result<Result<(), String>> {
        let Some(here) = self.subject(vote.image).await? else {
            let brought = vote.picture.is_some();
            return Ok(brought.then_some(()).ok_or_else(|| "its picture is not here, and the file brings none".into()));
        };
        let same = vote.picture.as_ref().is_none_or(|picture| digest(&picture.bytes) == here.blob);
        Ok(same.then_some(()).ok_or_else(|| format!("{} is another picture here", vote.image)))
    }

    /// Adds votes to the log, in one transaction, except those that are known or were erased.
    ///
    /// # Errors
    /// If the store cannot be written; then none of them was added.
    pub async fn import_votes(&self, votes: &[ImportedVote]) -> anyhow::Result<Vec<Imported>> {
        let erased = self.erased().await?;
        let _kept = self.blobs_stay().await;
        let shared = self.database().is_shared();
        if !shared {
            // Before the transaction: SQLite's other writers would wait for the disk.
            self.put_pictures(votes, &erased).await?;
        }
        let mut transaction = self.database().begin().await?;
        // No other server removes the blobs before the rows that name them are there.
        transaction.share(Lock::Blobs).await?;
        if shared {
            self.put_pictures(votes, &erased).await?;
        }
        let mut done = Vec::with_capacity(votes.len());
        for vote in votes {
            done.push(if erased.has(vote) { Imported::Erased } else { import(&mut transaction, vote).await? });
        }
        transaction.commit().await?;
        self.recount_voted().await?;
        Ok(done)
    }

    async fn put_pictures(&self, votes: &[ImportedVote], erased: &Erased) -> anyhow::Result<()> {
        for picture in votes.iter().filter(|vote| !erased.has(vote)).filter_map(|vote| vote.picture.as_ref()) {
            self.put_blob(picture.bytes.clone()).await?;
        }
        Ok(())
    }

    async fn erased(&self) -> anyhow::Result<Erased> {
        let bodies: Vec<String> =
            query_scalar("SELECT body FROM events WHERE kind = 'erasure'").fetch_all(&self.database().readers).await?;
        let digest = |body: &String| serde_json::from_str::<Value>(body).ok()?["digest"].as_str().map(str::to_owned);
        Ok(Erased::new(*self.feedback_secret(), bodies.iter().filter_map(digest).collect::<HashSet<_>>()))
    }
}

fn digest(bytes: &[u8]) -> String {
    use sha2::{Digest, Sha256};
    hex(&Sha256::digest(bytes))
}

async fn import(transaction: &mut Transaction, vote: &ImportedVote) -> anyhow::Result<Imported> {
    let here = Subject::find(On::from(&mut *transaction), vote.image).await?;
    let owner = vote.owner.clone().or_else(|| here.as_ref().map(|here| here.owner.clone()));
    let owner = owner.unwrap_or_else(|| Owner::from_stored(ELSEWHERE.to_owned()));
    let standing: Option<i64> =
        query_scalar("SELECT updated FROM votes WHERE image = $1 AND owner = $2 AND rater = $3")
            .bind(vote.image.to_string())
            .bind(owner.as_str())
            .bind(vote.rater.as_str())
            .fetch_optional(&mut *transaction)
            .await?;
    if standing.is_some_and(|updated| updated >= vote.created) {
        return Ok(Imported::Known);
    }
    let job = match (&here, &vote.picture) {
        (Some(here), _) => {
            let mut kept = 0;
            pin(transaction, here, Room { kept: &mut kept, quota: u64::MAX }).await?;
            here.job
        }
        (None, Some(picture)) => bring(transaction, vote, picture, &owner).await?,
        (None, None) => anyhow::bail!("{} left while its votes were imported", vote.image),
    };
    write(transaction, vote, &owner, job).await?;
    Ok(Imported::Added)
}

/// A picture that this server did not draw. Its job is a name that no job has.
async fn bring(
    transaction: &mut Transaction,
    vote: &ImportedVote,
    picture: &ImportedPicture,
    owner: &Owner,
) -> anyhow::Result<JobId> {
    let job = JobId::new();
    let subject = Subject {
        image: vote.image,
        owner: owner.clone(),
        job,
        created: vote.created,
        format: picture.format,
        blob: digest(&picture.bytes),
        bytes: picture.bytes.len() as u64,
        width: picture.width,
        height: picture.height,
        seed: picture.seed,
        model_version: picture.model_version.clone(),
        // Chosen elsewhere: no trial of ours had a part in it.
        chosen_by: None,
        rater: None,
        parameters: picture.parameters.clone(),
        pinned: false,
        gold: None,
    };
    let mut kept = 0;
    pin(transaction, &subject, Room { kept: &mut kept, quota: u64::MAX }).await?;
    Ok(job)
}

async fn write(transaction: &mut Transaction, vote: &ImportedVote, owner: &Owner, job: JobId) -> anyhow::Result<()> {
    let feedback = vote.feedback.unwrap_or_else(FeedbackId::new);
    let mut body = json!({
        "version": 1, "feedback_id": feedback, "image_id": vote.image, "rater": vote.rater, "via": "import",
        "rating": vote.rating.name(), "created": vote.created,
    });
    if let (Some(body), Some(more)) = (body.as_object_mut(), vote.body.as_object()) {
        body.extend(more.clone());
    }
    let event = NewEvent { kind: "vote", created: super::now(), job: Some(job), owner: owner.clone(), body };
    let sequence = events::append(transaction, &event).await?;
    query(
        "INSERT INTO votes (image, owner, rater, rating, feedback, sequence, created, updated, dwell_ms, quarantined) \
         VALUES ($1, $2, $3, $4, $5, $6, $7, $7, $8, \
         EXISTS (SELECT 1 FROM raters WHERE owner = $2 AND rater = $3 AND quarantined)) \
         ON CONFLICT (image, owner, rater) DO UPDATE SET rating = excluded.rating, feedback = excluded.feedback, \
         sequence = excluded.sequence, updated = excluded.updated, dwell_ms = excluded.dwell_ms",
    )
    .bind(vote.image.to_string())
    .bind(owner.as_str())
    .bind(vote.rater.as_str())
    .bind(vote.rating.name())
    .bind(feedback.to_string())
    .bind(sequence)
    .bind(vote.created)
    .bind(vote.body["context"]["dwell_ms"].as_i64())
    .execute(transaction)
    .await?;
    Ok(())
}
