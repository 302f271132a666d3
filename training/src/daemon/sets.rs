//! The votes of a round in three sets: all, those that the generator may learn from, those that rewards are compared on.
//!
//! A prompt's part follows from its meaning and the seed alone, so what is measured on in one round was never learned from in another.

use std::{collections::HashSet, path::Path};

use plaudit::feedback::dataset::{Card, DatasetError, DatasetLimits, ExportFacts, Format, Reader, Row, Writer};

use crate::{collect::Part, reward::part_of};

/// Folders of a round.
pub(super) const VOTES: &str = "votes";
pub(super) const LEARNED: &str = "learned";
pub(super) const GOLDEN: &str = "golden";

/// Divides `votes/` into `learned/` and `golden/`, as far as they are not there.
pub(super) fn divide(folder: &Path, seed: u64) -> Result<ExportFacts, DatasetError> {
    let reader = Reader::open(&folder.join(VOTES), &DatasetLimits::default())?;
    let facts = reader.facts().cloned();
    let facts = facts
        .ok_or_else(|| DatasetError::File { file: folder.join(VOTES), reason: "has no export.json".to_owned() })?;
    let measured = |row: &Row| {
        let part = part_of(&row.prompt, seed);
        matches!(part, Part::Test | Part::HeldOut).then_some(part)
    };
    copy(&reader, &folder.join(GOLDEN), &facts, "Votes that nothing learns from.", |row| {
        measured(&row).map(|part| Row { split: Some(part.word().to_owned()), ..row })
    })?;
    copy(&reader, &folder.join(LEARNED), &facts, "Votes that the generator may learn from.", |row| {
        measured(&row).is_none().then_some(row)
    })?;
    Ok(facts)
}

/// Every prompt of a set once, in the order of the votes.
pub(super) fn prompts(place: &Path) -> Result<Vec<String>, DatasetError> {
    let reader = Reader::open(place, &DatasetLimits::default())?;
    let (mut seen, mut prompts) = (HashSet::new(), Vec::new());
    for entry in reader.entries() {
        // A line is a prompt where these are read.
        let prompt = entry?.row.prompt.split_whitespace().collect::<Vec<_>>().join(" ");
        if !prompt.is_empty() && seen.insert(prompt.clone()) {
            prompts.push(prompt);
        }
    }
    Ok(prompts)
}

/// The rows that `keep` lets through.
fn copy(
    reader: &Reader,
    place: &Path,
    facts: &ExportFacts,
    collected: &str,
    keep: impl Fn(Row) -> Option<Row>,
) -> Result<(), DatasetError> {
    if place.exists() {
        return Ok(());
    }
    let mut writer =
        Writer::create(place, Format::JsonLines, Card { collected: collected.to_owned(), ..Card::default() })?;
    for entry in reader.entries() {
        let entry = entry?;
        if let (Some(row), Some(image)) = (keep(entry.row), entry.image) {
            writer.push(row, &image)?;
        }
    }
    writer.finish(facts.from_sequence, facts.to_sequence).map(drop)
}
