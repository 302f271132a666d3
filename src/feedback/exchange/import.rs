//! From files into the store: everything is looked at before anything is written.

use std::path::Path;

use serde_json::json;
use sha2::{Digest, Sha256};

use crate::{
    domain::{ImageId, Owner, Rater, Rating},
    feedback::dataset::{self, CsvVote, DatasetError, DatasetLimits, Entry, Place, Reader, Row, csv_votes, picture},
    jobs::ImageFormat,
    store::{Imported, ImportedPicture, ImportedVote, Store},
};

/// Votes of one transaction: a server that is running waits no longer than for these.
const BATCH: usize = 64;
/// Faults that are told one by one.
const TOLD: usize = 20;

/// How votes are imported.
#[derive(Debug, Clone, Default)]
pub struct ImportSettings {
    /// The owner of all of them, whatever the file says.
    pub owner: Option<Owner>,
    /// What their origin is called, where the file does not say.
    pub origin: String,
    /// Limits of the files.
    pub limits: DatasetLimits,
}

/// What came of the votes of a file.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ImportSummary {
    /// Votes that are in the log now.
    pub added: u64,
    /// Votes that were here already.
    pub known: u64,
    /// Votes of raters, or on pictures, that were erased here.
    pub erased: u64,
    /// Rows of raters who passed over the picture.
    pub skipped: u64,
}

/// Why nothing was imported.
#[derive(Debug, thiserror::Error)]
pub enum ImportError {
    /// What is wrong with the files, row by row.
    #[error("nothing was imported; {} at fault:\n{}", count(.0.len()), told(.0))]
    Files(Vec<DatasetError>),
    /// The store failed. What was imported before stays; importing again adds the rest.
    #[error(transparent)]
    Store(#[from] anyhow::Error),
}

fn count(faults: usize) -> String {
    if faults == 1 { "one row or file is".into() } else { format!("{faults} rows or files are") }
}

fn told(faults: &[DatasetError]) -> String {
    let more = faults.len().saturating_sub(TOLD);
    let rest = (more > 0).then(|| format!("and {more} more"));
    faults.iter().take(TOLD).map(ToString::to_string).chain(rest).collect::<Vec<_>>().join("\n")
}

/// Adds the votes of a dataset, or of one `.jsonl`, `.parquet` or `.csv` file, to the log. Votes that are here already, or
/// that a later one of the same rater replaced, are passed over: importing twice adds nothing.
///
/// # Errors
/// [`ImportError::Files`]: something in the files is wrong, and nothing was imported.
pub async fn import(store: &Store, path: &Path, settings: &ImportSettings) -> Result<ImportSummary, ImportError> {
    let mut faults = Vec::new();
    let mut rows = 0_u64;
    let source = Source::open(path, &settings.limits).map_err(|error| ImportError::Files(vec![error]))?;
    for vote in source.votes(settings)? {
        rows += 1;
        match vote {
            Ok((_, None)) => {}
            Err(error) => faults.push(error),
            Ok((place, Some(vote))) => {
                if let Err(reason) = store.importable(&vote).await? {
                    faults.push(DatasetError::Row { place, reason });
                }
            }
        }
    }
    if !faults.is_empty() {
        return Err(ImportError::Files(faults));
    }
    let mut summary = ImportSummary::default();
    let mut batch = Vec::new();
    for vote in source.votes(settings)? {
        match vote.map_err(|error| ImportError::Files(vec![error]))?.1 {
            Some(vote) => batch.push(vote),
            None => summary.skipped += 1,
        }
        if batch.len() == BATCH {
            write(store, &mut batch, &mut summary).await?;
        }
    }
    write(store, &mut batch, &mut summary).await?;
    tracing::info!(rows, added = summary.added, "votes were imported");
    Ok(summary)
}

async fn write(store: &Store, batch: &mut Vec<ImportedVote>, summary: &mut ImportSummary) -> Result<(), ImportError> {
    for done in store.import_votes(&std::mem::take(batch)).await? {
        match done {
            Imported::Added => summary.added += 1,
            Imported::Known => summary.known += 1,
            Imported::Erased => summary.erased += 1,
        }
    }
    Ok(())
}

enum Source<'a> {
    Dataset(Reader),
    Csv(&'a Path),
}

/// A vote with its place; `None`: the rater passed over the picture.
type Found = Result<(Place, Option<ImportedVote>), DatasetError>;

impl<'a> Source<'a> {
    fn open(path: &'a Path, limits: &DatasetLimits) -> Result<Self, DatasetError> {
        if path.extension().is_some_and(|extension| extension == "csv") {
            return Ok(Self::Csv(path));
        }
        Reader::open(path, limits).map(Self::Dataset)
    }

    fn votes<'b>(&'b self, settings: &'b ImportSettings) -> Result<Box<dyn Iterator<Item = Found> + 'b>, ImportError> {
        Ok(match self {
            Self::Dataset(reader) => Box::new(reader.entries().map(|entry| of_entry(entry?, settings))),
            Self::Csv(path) => {
                let votes = csv_votes(path, &settings.limits).map_err(|error| ImportError::Files(vec![error]))?;
                Box::new(votes.into_iter().map(|vote| of_csv(vote?, settings)))
            }
        })
    }
}

fn of_csv(vote: CsvVote, settings: &ImportSettings) -> Found {
    let CsvVote { image_id, rater, rating, created, place } = vote;
    let wrong = |reason: String| DatasetError::Row { place: place.clone(), reason };
    let image = image_id.parse().map_err(|error| wrong(format!("image_id: {error}")))?;
    let rater: Rater = rater.parse().map_err(|error| wrong(format!("rater: {error}")))?;
    let vote = ImportedVote {
        image,
        owner: settings.owner.clone(),
        rater,
        rating: thumb(rating),
        // Without a time it is older than whatever the rater did here: it fills gaps and replaces nothing.
        created: created.unwrap_or_default(),
        feedback: None,
        body: json!({"context": {}, "reasons": [], "comment": null, "origin": {"name": settings.origin}}),
        picture: None,
    };
    Ok((place, Some(vote)))
}

fn of_entry(entry: Entry, settings: &ImportSettings) -> Found {
    let Entry { row, image: bytes, place } = entry;
    let wrong = |reason: String| DatasetError::Row { place: place.clone(), reason };
    let Some(rating) = row.rating else { return Ok((place, None)) };
    let rater: Rater = row.rater.parse().map_err(|error| wrong(format!("rater: {error}")))?;
    let body = body(&row, settings);
    let picture = bytes.map(|bytes| brought(bytes, &row, &settings.limits)).transpose().map_err(wrong)?;
    let vote = ImportedVote {
        image: row.image_id.parse().unwrap_or_else(|_| foreign(&row.image_id, settings)),
        owner: settings.owner.clone().or_else(|| row.owner.clone().map(Owner::from_stored)),
        rater,
        rating: thumb(rating),
        created: row.created,
        feedback: row.feedback_id.as_deref().and_then(|name| name.parse().ok()),
        body,
        picture,
    };
    Ok((place, Some(vote)))
}

fn thumb(rating: dataset::Rating) -> Rating {
    match rating {
        dataset::Rating::Up => Rating::Up,
        dataset::Rating::Down => Rating::Down,
    }
}

fn body(row: &Row, settings: &ImportSettings) -> serde_json::Value {
    let origin = row.origin.as_deref().unwrap_or(&settings.origin);
    json!({
        "context": {
            "surface": row.surface, "position": row.position, "dwell_ms": row.dwell_ms,
            "reward_visible": row.reward_visible,
        },
        "reasons": row.reasons, "comment": null,
        "model_version": row.model_version,
        "parameters": parameters(row),
        "candidate": {
            "reward": row.reward, "rank": row.rank, "propensity": row.propensity, "reward_version": row.reward_version,
        },
        "labels": {"split": row.split, "category": row.category, "truth": row.truth},
        "origin": {
            "name": origin, "image_id": row.image_id, "sequence": row.sequence, "feedback_id": row.feedback_id,
        },
    })
}

fn parameters(row: &Row) -> serde_json::Value {
    json!({"prompt": row.prompt, "negative_prompt": row.negative_prompt, "seed": row.seed})
}

fn brought(bytes: Vec<u8>, row: &Row, limits: &DatasetLimits) -> Result<ImportedPicture, String> {
    let head = picture::check(&bytes, limits)?;
    let format = match head.format {
        image::ImageFormat::Png => ImageFormat::Png,
        image::ImageFormat::WebP => ImageFormat::Webp,
        _ => ImageFormat::Jpeg,
    };
    Ok(ImportedPicture {
        bytes: bytes.into(),
        format,
        width: head.width,
        height: head.height,
        seed: row.seed,
        model_version: row.model_version.clone(),
        parameters: parameters(row),
    })
}

/// A name that this store can give to a picture of a name from elsewhere: the same one each time.
fn foreign(image: &str, settings: &ImportSettings) -> ImageId {
    let digest = Sha256::new().chain_update(&settings.origin).chain_update([0]).chain_update(image).finalize();
    let mut bits = [0; 16];
    bits.copy_from_slice(&digest[..16]);
    ImageId::from_bits(bits)
}
