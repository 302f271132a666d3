//! `export.json`: what exactly a dataset holds, so that a trainer can write down what it saw.

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::{Row, picture::hex};

/// Facts about all rows of a dataset.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ExportFacts {
    /// Layout of this file: 1.
    pub version: u32,
    /// How many rows.
    pub rows: u64,
    /// How many different pictures.
    pub images: u64,
    /// The first place in the event log that was looked at.
    pub from_sequence: i64,
    /// The last one.
    pub to_sequence: i64,
    /// [`RowsDigest`] of all rows, whatever the format.
    pub rows_sha256: String,
    /// When it was written, Unix seconds.
    pub created: i64,
    /// `plaudit` and its version.
    pub producer: String,
}

impl ExportFacts {
    /// The layout that is written.
    pub const VERSION: u32 = 1;
}

/// SHA-256 over rows in their order: each as its JSON object, in the order of [`Row`]'s fields, and a line feed. It is what
/// `sha256sum data/metadata.jsonl` says of an export in JSON Lines. Pictures are in it by their own digests.
#[derive(Debug, Clone, Default)]
pub struct RowsDigest {
    hasher: Sha256,
}

impl RowsDigest {
    /// Adds a row; gives back its line.
    pub fn add(&mut self, row: &Row) -> serde_json::Result<String> {
        let mut line = serde_json::to_string(row)?;
        line.push('\n');
        self.hasher.update(line.as_bytes());
        Ok(line)
    }

    /// The digest in lower-case hexadecimal digits.
    pub fn finish(self) -> String {
        hex(&self.hasher.finalize())
    }
}
