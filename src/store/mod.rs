//! One database and one folder of blobs: jobs, keys, pictures, events.

use std::path::Path;

use bytes::Bytes;

use crate::{
    domain::{ImageId, KeyId, Owner, Role},
    jobs::ImageFormat,
};

/// The state of a server under its `--data` directory. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Store {}

/// A picture's facts.
#[derive(Debug, Clone, PartialEq)]
pub struct ImageRecord {
    /// Its name.
    pub id: ImageId,
    /// The job that made it.
    pub job: crate::domain::JobId,
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
    /// All parameters, under the API's names.
    pub parameters: serde_json::Value,
}

/// An API key as an administrator sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyRecord {
    /// Its public name.
    pub id: KeyId,
    /// What the administrator called it.
    pub name: String,
    /// What it may do.
    pub role: Role,
    /// Unix seconds.
    pub created: i64,
    /// Unix seconds, if it was revoked.
    pub revoked: Option<i64>,
}

impl Store {
    /// Opens or makes the state under a directory: takes its lock, migrates the database.
    ///
    /// # Errors
    /// Another server holds the lock, or the directory cannot be used; the message says what to do.
    pub async fn open(_data: &Path) -> anyhow::Result<Self> {
        todo!()
    }

    /// Makes a key; the second value is the key itself, which is shown once and stored as a digest only.
    ///
    /// # Errors
    /// If the database cannot be written.
    pub async fn create_key(&self, _name: &str, _role: Role) -> anyhow::Result<(KeyRecord, String)> {
        todo!()
    }

    /// Whom a key belongs to and what it may do; `None` for a key that is unknown or revoked. Digests are compared in constant time.
    ///
    /// # Errors
    /// If the database cannot be read.
    pub async fn find_key(&self, _key: &str) -> anyhow::Result<Option<KeyRecord>> {
        todo!()
    }

    /// All keys, the oldest first.
    ///
    /// # Errors
    /// If the database cannot be read.
    pub async fn list_keys(&self) -> anyhow::Result<Vec<KeyRecord>> {
        todo!()
    }

    /// Revokes a key; `false` when there is none of this name.
    ///
    /// # Errors
    /// If the database cannot be written.
    pub async fn revoke_key(&self, _id: KeyId) -> anyhow::Result<bool> {
        todo!()
    }

    /// A picture's bytes; `None` when there is none or it has expired.
    ///
    /// # Errors
    /// If the store cannot be read.
    pub async fn image_bytes(&self, _id: ImageId) -> anyhow::Result<Option<(ImageFormat, Bytes)>> {
        todo!()
    }

    /// A picture's facts, for its owner.
    ///
    /// # Errors
    /// If the database cannot be read.
    pub async fn image(&self, _owner: &Owner, _id: ImageId) -> anyhow::Result<Option<ImageRecord>> {
        todo!()
    }

    /// An owner's pictures, the newest first, at most `limit`, those made before `before`.
    ///
    /// # Errors
    /// If the database cannot be read.
    pub async fn list_images(
        &self,
        _owner: &Owner,
        _limit: usize,
        _before: Option<ImageId>,
    ) -> anyhow::Result<Vec<ImageRecord>> {
        todo!()
    }
}
