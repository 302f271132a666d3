//! Pictures: a row each, their bytes as blobs.

use bytes::Bytes;
use serde_json::Value;

use super::{
    Full, Store, blobs, now, parsed,
    sql::{On, query, query_as},
};
use crate::{
    domain::{ImageId, JobId, Owner},
    jobs::ImageFormat,
};

/// A picture's facts.
#[derive(Debug, Clone, PartialEq)]
pub struct ImageRecord {
    /// Its name.
    pub id: ImageId,
    /// The job that made it.
    pub job: JobId,
    /// Which of the job's pictures, from 0.
    pub index: usize,
    /// Unix seconds.
    pub created: i64,
    /// Unix seconds after which it is gone.
    pub expires: i64,
    /// Coding of the bytes.
    pub format: ImageFormat,
    /// Size of the bytes.
    pub bytes: u64,
    /// Width in pixels.
    pub width: u32,
    /// Height in pixels.
    pub height: u32,
    /// Its generator's seed.
    pub seed: u32,
    /// `name@hash` of the pack that drew it.
    pub model_version: String,
    /// `name@hash` of the reward that chose it among more than were shown; `None` where nothing was left out, or chance chose.
    pub chosen_by: Option<String>,
    /// Whom it is for, as the caller names them.
    pub rater: Option<String>,
    /// All parameters, under the API's names.
    pub parameters: Value,
}

#[derive(sqlx::FromRow)]
struct ImageRow {
    id: String,
    job: String,
    position: i64,
    created: i64,
    expires: i64,
    format: String,
    bytes: i64,
    width: i64,
    height: i64,
    seed: i64,
    model_version: String,
    chosen_by: Option<String>,
    rater: Option<String>,
    parameters: String,
}

impl TryFrom<ImageRow> for ImageRecord {
    type Error = anyhow::Error;

    fn try_from(row: ImageRow) -> anyhow::Result<Self> {
        Ok(Self {
            id: parsed(&row.id)?,
            job: parsed(&row.job)?,
            index: row.position.try_into()?,
            created: row.created,
            expires: row.expires,
            format: parsed(&row.format)?,
            bytes: row.bytes.try_into()?,
            width: row.width.try_into()?,
            height: row.height.try_into()?,
            seed: row.seed.try_into()?,
            model_version: row.model_version,
            chosen_by: row.chosen_by,
            rater: row.rater,
            parameters: serde_json::from_str(&row.parameters)?,
        })
    }
}

/// The columns of an [`ImageRow`]. Not `*`: a newer server may have added one under a running server's prepared statement.
macro_rules! columns {
    () => {
        "id, job, position, created, expires, format, bytes, width, height, seed, model_version, chosen_by, rater, parameters"
    };
}

impl Store {
    /// Keeps a picture of a job that is this server's and not done. Where the quota leaves no room, the oldest finished
    /// jobs leave first.
    ///
    /// # Errors
    /// [`Full`] when no finished job is left that could leave; another server has taken the job over; else if the store
    /// cannot be written.
    pub async fn add_image(&self, owner: &Owner, record: &ImageRecord, bytes: Bytes, quota: u64) -> anyhow::Result<()> {
        let length = bytes.len() as u64;
        self.make_room(length, quota).await?;
        let mut hold = self.hold_blobs().await?;
        let blob = self.put_blob(bytes).await?;
        let added = self.insert_image(hold.on(), owner, record, &blob).await;
        let added = added.map_err(anyhow::Error::from).inspect_err(|error| {
            self.relieve(error);
        })?;
        anyhow::ensure!(added > 0, "the job {} is another server's now, or nobody's", record.job);
        hold.release().await?;
        self.count_bytes(length);
        Ok(())
    }

    /// Where the quota leaves no room, the oldest finished jobs leave.
    pub(super) async fn make_room(&self, length: u64, quota: u64) -> anyhow::Result<()> {
        if self.used_bytes().await? + length > quota {
            self.sweep(now(), quota.saturating_sub(length)).await?;
            let used = self.used_bytes().await?;
            anyhow::ensure!(used + length <= quota, Full { used, quota });
        }
        Ok(())
    }

    /// Writes a blob; its digest. Where the disk is full the ballast leaves for what matters more than a picture.
    pub(super) async fn put_blob(&self, bytes: Bytes) -> anyhow::Result<String> {
        self.blobs().put(bytes).await.inspect_err(|error| {
            self.relieve(error);
        })
    }

    /// How many rows were added: none for a job that is not this server's.
    async fn insert_image(&self, on: On<'_>, owner: &Owner, record: &ImageRecord, blob: &str) -> sqlx::Result<u64> {
        query(
            "INSERT INTO images (id, job, owner, position, created, expires, format, blob, bytes, width, height, seed, \
             model_version, chosen_by, rater, parameters) \
             SELECT $1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16 \
             WHERE EXISTS (SELECT 1 FROM jobs WHERE id = $2 AND server = $17)",
        )
        .bind(record.id.to_string())
        .bind(record.job.to_string())
        .bind(owner.as_str())
        .bind(record.index as i64)
        .bind(record.created)
        .bind(record.expires)
        .bind(record.format.name())
        .bind(blob)
        .bind(record.bytes as i64)
        .bind(i64::from(record.width))
        .bind(i64::from(record.height))
        .bind(i64::from(record.seed))
        .bind(&record.model_version)
        .bind(&record.chosen_by)
        .bind(&record.rater)
        .bind(record.parameters.to_string())
        .bind(self.server())
        .execute(on)
        .await
    }

    /// A picture's bytes; `None` when there is none or it has expired.
    ///
    /// # Errors
    /// If the store cannot be read.
    pub async fn image_bytes(&self, id: ImageId) -> anyhow::Result<Option<(ImageFormat, Bytes)>> {
        let _kept = self.blobs_stay().await;
        let Some((format, blob)) = self.image_blob(id).await? else { return Ok(None) };
        match self.blobs().get(&blob).await {
            // Another server removed it between the two looks.
            Err(error) if blobs::is_missing(&error) && self.image_blob(id).await?.is_none() => Ok(None),
            read => Ok(Some((parsed(&format)?, read?))),
        }
    }

    async fn image_blob(&self, id: ImageId) -> sqlx::Result<Option<(String, String)>> {
        query_as("SELECT format, blob FROM images WHERE id = $1 AND expires > $2")
            .bind(id.to_string())
            .bind(now())
            .fetch_optional(&self.database().readers)
            .await
    }

    /// A picture's facts, for its owner.
    ///
    /// # Errors
    /// If the database cannot be read.
    pub async fn image(&self, owner: &Owner, id: ImageId) -> anyhow::Result<Option<ImageRecord>> {
        const SQL: &str = concat!("SELECT ", columns!(), " FROM images WHERE id = $1 AND owner = $2 AND expires > $3");
        let row: Option<ImageRow> = query_as(SQL)
            .bind(id.to_string())
            .bind(owner.as_str())
            .bind(now())
            .fetch_optional(&self.database().readers)
            .await?;
        row.map(ImageRecord::try_from).transpose()
    }

    /// An owner's pictures, the newest first, at most `limit`, those made before `before`.
    ///
    /// # Errors
    /// If the database cannot be read.
    pub async fn list_images(
        &self,
        owner: &Owner,
        limit: usize,
        before: Option<ImageId>,
    ) -> anyhow::Result<Vec<ImageRecord>> {
        let rows: Vec<ImageRow> = query_as(concat!(
            "SELECT ",
            columns!(),
            " FROM images WHERE owner = $1 AND expires > $2 \
             AND ($3 IS NULL OR ordinal < (SELECT ordinal FROM images WHERE id = $3 AND owner = $1)) \
             ORDER BY ordinal DESC LIMIT $4",
        ))
        .bind(owner.as_str())
        .bind(now())
        .bind(before.map(|id| id.to_string()))
        .bind(limit as i64)
        .fetch_all(&self.database().readers)
        .await?;
        rows.into_iter().map(ImageRecord::try_from).collect()
    }
}
