//! What there is to vote on, and how it was voted on.

use std::sync::atomic::Ordering;

use bytes::Bytes;
use serde_json::Value;
use sqlx::AssertSqlSafe;

use super::{
    Store, blobs,
    database::Transaction,
    now, parsed,
    sql::{On, query_as, query_scalar},
};
use crate::{
    domain::{FeedbackId, ImageId, JobId, Owner, Rater, Rating},
    jobs::ImageFormat,
};

/// A picture that can be voted on: one that is still there, or that was voted on before.
#[derive(Debug, Clone, PartialEq)]
pub struct Subject {
    /// Its name.
    pub image: ImageId,
    /// Whose it is.
    pub owner: Owner,
    /// The job that made it: names the event with the whole candidate set.
    pub job: JobId,
    /// Unix seconds.
    pub created: i64,
    /// Coding of the bytes.
    pub format: ImageFormat,
    /// SHA-256 of the bytes.
    pub blob: String,
    /// Size of the bytes.
    pub bytes: u64,
    /// Width in pixels.
    pub width: u32,
    /// Height in pixels.
    pub height: u32,
    /// Its generator's seed.
    pub seed: u32,
    /// `name@hash` of what drew it.
    pub model_version: String,
    /// `name@hash` of the reward that chose it among more than were shown.
    pub chosen_by: Option<String>,
    /// Whom it was drawn for.
    pub rater: Option<String>,
    /// All parameters, under the API's names.
    pub parameters: Value,
    /// It outlives its job already.
    pub pinned: bool,
    /// The right answer, where it is a gold item.
    pub gold: Option<Rating>,
}

#[derive(sqlx::FromRow)]
struct SubjectRow {
    image: String,
    owner: String,
    job: String,
    created: i64,
    format: String,
    blob: String,
    bytes: i64,
    width: i64,
    height: i64,
    seed: i64,
    model_version: String,
    chosen_by: Option<String>,
    rater: Option<String>,
    parameters: String,
    gold: Option<String>,
}

impl SubjectRow {
    fn read(self, pinned: bool) -> anyhow::Result<Subject> {
        Ok(Subject {
            image: parsed(&self.image)?,
            owner: Owner::from_stored(self.owner),
            job: parsed(&self.job)?,
            created: self.created,
            format: parsed(&self.format)?,
            blob: self.blob,
            bytes: self.bytes.try_into()?,
            width: self.width.try_into()?,
            height: self.height.try_into()?,
            seed: self.seed.try_into()?,
            model_version: self.model_version,
            chosen_by: self.chosen_by,
            rater: self.rater,
            parameters: serde_json::from_str(&self.parameters)?,
            pinned,
            gold: self.gold.as_deref().map(parsed).transpose()?,
        })
    }
}

/// Columns of both tables under the same names.
macro_rules! columns {
    () => {
        "owner, job, created, format, blob, bytes, width, height, seed, model_version, chosen_by, rater, parameters"
    };
}

impl Subject {
    /// The picture of a name, on whatever reads or writes.
    pub(super) async fn find(mut on: On<'_>, image: ImageId) -> anyhow::Result<Option<Self>> {
        let pinned: Option<SubjectRow> =
            query_as(concat!("SELECT image, gold, ", columns!(), " FROM feedback_images WHERE image = $1"))
                .bind(image.to_string())
                .fetch_optional(on.again())
                .await?;
        if let Some(row) = pinned {
            return row.read(true).map(Some);
        }
        let row: Option<SubjectRow> = query_as(concat!(
            "SELECT id AS image, NULL AS gold, ",
            columns!(),
            " FROM images WHERE id = $1 AND expires > $2"
        ))
        .bind(image.to_string())
        .bind(now())
        .fetch_optional(on.again())
        .await?;
        row.map(|row| row.read(false)).transpose()
    }
}

/// A vote as it stands.
#[derive(Debug, Clone, PartialEq)]
pub struct VoteRecord {
    /// The event that said so last.
    pub feedback: FeedbackId,
    /// Its place in the log.
    pub sequence: i64,
    /// The picture.
    pub image: ImageId,
    /// Under whom the rater is known.
    pub owner: Owner,
    /// Who voted.
    pub rater: Rater,
    /// The thumb.
    pub rating: Rating,
    /// Unix seconds of the first event.
    pub created: i64,
    /// Unix seconds of the last one.
    pub updated: i64,
    /// It has no part in training for now.
    pub quarantined: bool,
    /// The last event's body.
    pub body: Value,
}

#[derive(sqlx::FromRow)]
struct VoteRow {
    feedback: String,
    sequence: i64,
    image: String,
    owner: String,
    rater: String,
    rating: String,
    created: i64,
    updated: i64,
    quarantined: bool,
    body: String,
}

impl TryFrom<VoteRow> for VoteRecord {
    type Error = anyhow::Error;

    fn try_from(row: VoteRow) -> anyhow::Result<Self> {
        Ok(Self {
            feedback: parsed(&row.feedback)?,
            sequence: row.sequence,
            image: parsed(&row.image)?,
            owner: Owner::from_stored(row.owner),
            rater: Rater::from_stored(row.rater),
            rating: parsed(&row.rating)?,
            created: row.created,
            updated: row.updated,
            quarantined: row.quarantined,
            body: serde_json::from_str(&row.body)?,
        })
    }
}

/// Which votes a list is to have.
#[derive(Debug, Clone, Default)]
pub struct VoteFilter {
    /// On these pictures only, where there are any.
    pub images: Vec<ImageId>,
    /// By this rater only.
    pub rater: Option<Rater>,
    /// Only those that are older than this one.
    pub before: Option<FeedbackId>,
}

const VOTES: &str = "SELECT votes.feedback, votes.sequence, votes.image, votes.owner, votes.rater, votes.rating, \
     votes.created, votes.updated, votes.quarantined, events.body FROM votes \
     JOIN events ON events.sequence = votes.sequence ";

impl Store {
    /// The picture of a name that can be voted on.
    ///
    /// # Errors
    /// If the database cannot be read.
    pub async fn subject(&self, image: ImageId) -> anyhow::Result<Option<Subject>> {
        Subject::find(On::from(&self.database().readers), image).await
    }

    /// Thumbs that raters of this owner hold, the newest first, at most `limit`. Those taken back are not among them.
    ///
    /// # Errors
    /// If the database cannot be read.
    pub async fn list_votes(
        &self,
        owner: &Owner,
        filter: &VoteFilter,
        limit: usize,
    ) -> anyhow::Result<Vec<VoteRecord>> {
        /// Placeholders before those of the pictures.
        const FIXED: usize = 4;
        let pictures: Vec<String> = (1..=filter.images.len()).map(|index| format!("${}", FIXED + index)).collect();
        let of_pictures = match pictures.is_empty() {
            true => String::new(),
            false => format!("AND votes.image IN ({}) ", pictures.join(", ")),
        };
        let query = query_as(AssertSqlSafe(format!(
            "{VOTES}WHERE votes.rating <> 'clear' AND votes.owner = $1 AND ($2 IS NULL OR votes.feedback < $2) \
             AND ($3 IS NULL OR votes.rater = $3) {of_pictures}ORDER BY votes.feedback DESC LIMIT $4"
        )))
        .bind(owner.as_str())
        .bind(filter.before.map(|before| before.to_string()))
        .bind(filter.rater.as_ref().map(Rater::as_str))
        .bind(limit as i64);
        let query = filter.images.iter().fold(query, |query, image| query.bind(image.to_string()));
        let rows: Vec<VoteRow> = query.fetch_all(&self.database().readers).await?;
        rows.into_iter().map(VoteRecord::try_from).collect()
    }

    /// Votes as they stand, of all owners, whose last event is after a place in the log, in the order of the log, at most
    /// `limit`. Those taken back and those in quarantine are among them.
    ///
    /// # Errors
    /// If the database cannot be read.
    pub async fn votes_after(&self, sequence: i64, limit: usize) -> anyhow::Result<Vec<VoteRecord>> {
        let sql = format!("{VOTES}WHERE votes.sequence > $1 ORDER BY votes.sequence LIMIT $2");
        let rows: Vec<VoteRow> =
            query_as(AssertSqlSafe(sql)).bind(sequence).bind(limit as i64).fetch_all(&self.database().readers).await?;
        rows.into_iter().map(VoteRecord::try_from).collect()
    }

    /// The bytes of a picture that was voted on or is gold, as long as they are kept; for training and for raters of
    /// gold items.
    ///
    /// # Errors
    /// If the store cannot be read.
    pub async fn voted_bytes(&self, image: ImageId) -> anyhow::Result<Option<(ImageFormat, Bytes)>> {
        let _kept = self.blobs_stay().await;
        let Some((format, blob)) = self.voted_blob(image).await? else { return Ok(None) };
        match self.blobs().get(&blob).await {
            // Another server removed it between the two looks.
            Err(error) if blobs::is_missing(&error) && self.voted_blob(image).await?.is_none() => Ok(None),
            read => Ok(Some((parsed(&format)?, read?))),
        }
    }

    async fn voted_blob(&self, image: ImageId) -> sqlx::Result<Option<(String, String)>> {
        query_as("SELECT format, blob FROM feedback_images WHERE image = $1 AND kept")
            .bind(image.to_string())
            .fetch_optional(&self.database().readers)
            .await
    }

    /// The bytes of a gold item: raters see it when its job has long expired.
    ///
    /// # Errors
    /// If the store cannot be read.
    pub async fn gold_bytes(&self, image: ImageId) -> anyhow::Result<Option<(ImageFormat, Bytes)>> {
        let gold: Option<i64> =
            query_scalar("SELECT seed FROM feedback_images WHERE image = $1 AND kept AND gold IS NOT NULL")
                .bind(image.to_string())
                .fetch_optional(&self.database().readers)
                .await?;
        if gold.is_none() { Ok(None) } else { self.voted_bytes(image).await }
    }

    /// Thumbs that training could learn from: those taken back and those in quarantine left out.
    ///
    /// # Errors
    /// If the database cannot be read.
    pub async fn votes_to_learn(&self) -> anyhow::Result<i64> {
        Ok(query_scalar("SELECT COUNT(*) FROM votes WHERE rating <> 'clear' AND NOT quarantined")
            .fetch_one(&self.database().readers)
            .await?)
    }

    /// Bytes of pictures that are kept because they were voted on, as last counted.
    pub fn voted_bytes_kept(&self) -> u64 {
        self.inner.voted.load(Ordering::Relaxed)
    }

    /// Counts those bytes anew: another process may have removed some.
    ///
    /// # Errors
    /// If the database cannot be read.
    pub async fn recount_voted(&self) -> anyhow::Result<()> {
        self.inner.voted.store(count_voted(On::from(&self.database().readers)).await?, Ordering::Relaxed);
        Ok(())
    }

    /// Those bytes as a transaction sees them: other servers may have kept some.
    pub(super) async fn voted_now(&self, transaction: &mut Transaction) -> anyhow::Result<u64> {
        if self.database().is_shared() {
            self.inner.voted.store(count_voted(On::from(transaction)).await?, Ordering::Relaxed);
        }
        Ok(self.voted_bytes_kept())
    }
}

async fn count_voted(on: On<'_>) -> anyhow::Result<u64> {
    let bytes: i64 = query_scalar("SELECT CAST(COALESCE(SUM(bytes), 0) AS BIGINT) FROM feedback_images WHERE kept")
        .fetch_one(on)
        .await?;
    Ok(bytes.try_into()?)
}
