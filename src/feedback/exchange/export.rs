//! From the store into files.

use std::{
    io::Write,
    path::Path,
    time::{SystemTime, UNIX_EPOCH},
};

use crate::{
    feedback::dataset::{Card, ExportFacts, Format, RowsDigest, Writer},
    store::{ExportScope, Store},
};

/// What was exported.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Exported {
    /// As in `export.json`.
    pub facts: ExportFacts,
    /// Votes that were left out because their pictures are not kept.
    pub without_picture: u64,
}

/// Writes votes with their pictures as a dataset, whole or not at all. `most`: the share of all weight that one rater may
/// have.
///
/// # Errors
/// The store cannot be read, the place is taken, the disk is full.
pub async fn export_dataset(
    store: &Store,
    scope: &ExportScope,
    most: f64,
    place: &Path,
    format: Format,
    card: Card,
) -> anyhow::Result<Exported> {
    let mut writer = Writer::create(place, format, card)?;
    let found = store.votes_to_export(scope, most).await?;
    let mut without_picture = 0;
    for vote in found.votes {
        let picture = match &vote.blob {
            Some(blob) => store.exported_picture(blob).await?,
            None => None,
        };
        match picture {
            Some(bytes) => writer.push(vote.row, &bytes)?,
            None => without_picture += 1,
        }
    }
    let facts = writer.finish(scope.after + 1, found.to_sequence)?;
    Ok(Exported { facts, without_picture })
}

/// Writes votes without their pictures, a line of JSON each.
///
/// # Errors
/// The store cannot be read, nobody reads what is written.
pub async fn export_lines(
    store: &Store,
    scope: &ExportScope,
    most: f64,
    out: &mut impl Write,
) -> anyhow::Result<ExportFacts> {
    let found = store.votes_to_export(scope, most).await?;
    let mut digest = RowsDigest::default();
    let mut images = std::collections::HashSet::new();
    let rows = found.votes.len() as u64;
    for vote in found.votes {
        out.write_all(digest.add(&vote.row)?.as_bytes())?;
        images.insert(vote.row.image_sha256);
    }
    out.flush()?;
    Ok(ExportFacts {
        version: ExportFacts::VERSION,
        rows,
        images: images.len() as u64,
        from_sequence: scope.after + 1,
        to_sequence: found.to_sequence,
        rows_sha256: digest.finish(),
        created: SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs() as i64),
        producer: ExportFacts::PRODUCER.to_owned(),
    })
}
