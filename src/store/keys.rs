//! API keys: 256 random bits each, of which only a SHA-256 digest is kept. A digest without salt suffices for a random
//! key.

use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

use super::{
    Store,
    blobs::hex,
    now, parsed, secrets,
    sql::{query, query_as},
};
use crate::domain::{KeyId, Role};

/// What a key's text begins with, so that scanners of logs and repositories know it.
const PREFIX: &str = "plaudit_";
/// Bytes of a digest by which its row is found. They tell nothing of use about the key and are compared by the
/// database, in whatever time it takes; whether the key is right is decided by the whole digest in constant time.
const HEAD: usize = 8;

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

#[derive(sqlx::FromRow)]
struct KeyRow {
    id: String,
    name: String,
    role: String,
    digest: Vec<u8>,
    created: i64,
    revoked: Option<i64>,
}

impl TryFrom<KeyRow> for KeyRecord {
    type Error = anyhow::Error;

    fn try_from(row: KeyRow) -> anyhow::Result<Self> {
        let KeyRow { id, name, role, digest: _, created, revoked } = row;
        Ok(Self { id: parsed(&id)?, name, role: parsed(&role)?, created, revoked })
    }
}

impl Store {
    /// Makes a key; the second value is the key itself, which is shown once and stored as a digest only.
    ///
    /// # Errors
    /// If the database cannot be written.
    pub async fn create_key(&self, name: &str, role: Role) -> anyhow::Result<(KeyRecord, String)> {
        let key = format!("{PREFIX}{}", BASE64_URL_SAFE_NO_PAD.encode(secrets::random()?));
        let record = KeyRecord { id: KeyId::new(), name: name.to_owned(), role, created: now(), revoked: None };
        let digest = Sha256::digest(key.as_bytes());
        query("INSERT INTO keys (id, name, role, digest, digest_head, created) VALUES ($1, $2, $3, $4, $5, $6)")
            .bind(record.id.to_string())
            .bind(name)
            .bind(role.name())
            .bind(digest.to_vec())
            .bind(hex(&digest[..HEAD]))
            .bind(record.created)
            .execute(&self.database().writer)
            .await?;
        Ok((record, key))
    }

    /// Whom a key belongs to and what it may do; `None` for a key that is unknown or revoked. Digests are compared in
    /// constant time.
    ///
    /// # Errors
    /// If the database cannot be read.
    pub async fn find_key(&self, key: &str) -> anyhow::Result<Option<KeyRecord>> {
        let digest = Sha256::digest(key.as_bytes());
        let rows: Vec<KeyRow> = query_as(
            "SELECT id, name, role, digest, created, revoked FROM keys WHERE digest_head = $1 AND revoked IS NULL",
        )
        .bind(hex(&digest[..HEAD]))
        .fetch_all(&self.database().readers)
        .await?;
        let same = |row: &KeyRow| bool::from(row.digest.as_slice().ct_eq(&digest[..]));
        rows.into_iter().find(same).map(KeyRecord::try_from).transpose()
    }

    /// All keys, the oldest first.
    ///
    /// # Errors
    /// If the database cannot be read.
    pub async fn list_keys(&self) -> anyhow::Result<Vec<KeyRecord>> {
        let rows: Vec<KeyRow> = query_as("SELECT id, name, role, digest, created, revoked FROM keys ORDER BY id")
            .fetch_all(&self.database().readers)
            .await?;
        rows.into_iter().map(KeyRecord::try_from).collect()
    }

    /// Revokes a key; `false` when there is none of this name.
    ///
    /// # Errors
    /// If the database cannot be written.
    pub async fn revoke_key(&self, id: KeyId) -> anyhow::Result<bool> {
        let changed = query("UPDATE keys SET revoked = COALESCE(revoked, $1) WHERE id = $2")
            .bind(now())
            .bind(id.to_string())
            .execute(&self.database().writer)
            .await?;
        Ok(changed > 0)
    }
}
