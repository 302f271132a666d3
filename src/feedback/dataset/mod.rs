//! Votes as a directory that `datasets.load_dataset` of Hugging Face reads, with pictures.
//!
//! ```text
//! DIR/README.md                  the card: what it is, how many, how collected, columns, licence
//! DIR/export.json                how many rows, of which events, the SHA-256 over them
//! DIR/data/metadata.jsonl        JSON Lines: a row a vote; `file_name` names its picture, relative to `data/`
//! DIR/data/images/<sha256>.png   pictures by their content
//! DIR/data/train-00000.parquet   or Parquet: the same rows, their pictures in the column `image` {bytes, path}
//! ```
//!
//! [`Writer`] writes both, whole or not at all; [`Reader`] reads both, whoever wrote them, and trusts neither paths nor
//! pictures. A [`Row`] survives both formats unchanged.

mod captions;
mod card;
mod columns;
mod csv;
mod error;
mod facts;
mod files;
mod jsonl;
mod limits;
mod parquet;
pub(crate) mod picture;
mod reader;
mod row;
mod writer;

pub use captions::{Captioned, CaptionedPicture};
pub use card::{Card, DEFAULT_LICENCE};
pub use csv::{CsvVote, csv_votes};
pub use error::{DatasetError, Place};
pub use facts::{ExportFacts, RowsDigest};
pub use limits::DatasetLimits;
pub use reader::{Entries, Entry, Reader};
pub use row::{Rating, Row};
pub use writer::{Format, Writer};

/// Where rows and pictures lie below the directory.
const DATA: &str = "data";
/// The file of facts about the whole.
const FACTS: &str = "export.json";
/// The card.
const CARD: &str = "README.md";
