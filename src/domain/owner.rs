//! Who asked: what a job and its pictures belong to.

use std::fmt;

use super::KeyId;

/// What a key may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// Generate, and see what is its own.
    Client,
    /// Everything, `/v1/admin` included.
    Admin,
}

/// A key, or the anonymous session of a browser. Its text form is what the store keeps and what fairness counts by.
#[derive(Debug, Clone, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
pub struct Owner(String);

impl Owner {
    /// The holder of a key.
    pub fn key(id: KeyId) -> Self {
        Self(id.to_string())
    }

    /// A browser, by the digest of its cookie (never the cookie itself).
    pub fn session(digest: &str) -> Self {
        Self(format!("session_{digest}"))
    }

    /// As the store has it.
    pub fn from_stored(text: String) -> Self {
        Self(text)
    }

    /// The text form.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Owner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
