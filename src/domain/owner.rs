//! Who asked: what a job and its pictures belong to.

use std::{fmt, str::FromStr};

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

impl Role {
    /// Its name in the API, on the command line and in the store.
    pub fn name(self) -> &'static str {
        match self {
            Self::Client => "client",
            Self::Admin => "admin",
        }
    }
}

impl FromStr for Role {
    type Err = UnknownRole;

    fn from_str(text: &str) -> Result<Self, UnknownRole> {
        [Self::Client, Self::Admin]
            .into_iter()
            .find(|role| role.name() == text)
            .ok_or_else(|| UnknownRole(text.to_owned()))
    }
}

/// A text that names no role.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no role; there are client and admin")]
pub struct UnknownRole(String);

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

    /// Whether it is a key, not a session.
    pub fn is_key(&self) -> bool {
        self.0.starts_with(KeyId::PREFIX)
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
