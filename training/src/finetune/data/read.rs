//! The sets on disk: datasets of votes, collections that nobody voted on, and captioned pictures.

use std::{collections::HashMap, fs, path::Path};

use plaudit::feedback::dataset::{Captioned, DatasetLimits, Rating, Reader};
use sha2::{Digest, Sha256};

use super::{Gatherer, Vote};
use crate::{
    checkpoint::hex,
    collect::{Drawn, Part},
    finetune::FinetuneError,
};

/// What `collect` writes beside the pictures that nobody voted on yet.
const DRAWN: &str = "drawn.jsonl";
/// Parts that gates measure on: a generator must not learn from them.
const MEASURED: [Part; 2] = [Part::Test, Part::HeldOut];

impl Gatherer {
    /// Voted pictures. Skipped and quarantined rows are no votes, but their pictures count.
    pub(super) fn labelled(&mut self, folder: &Path) -> Result<(), FinetuneError> {
        let limits = DatasetLimits::default();
        let reader = Reader::open(folder, &limits)?;
        self.data.events =
            reader.facts().map(|facts| ((facts.from_sequence, facts.to_sequence), facts.rows_sha256.clone()));
        let mut known: HashMap<String, usize> = HashMap::new();
        let mut left_out = 0;
        for entry in reader.entries() {
            let entry = entry?;
            let fault = |fault: &str| FinetuneError::content(&entry.place.file, format!("{}: {fault}", entry.place));
            if measured(entry.row.split.as_deref()).map_err(|error| fault(&error))? {
                left_out += 1;
                continue;
            }
            let bytes = entry.image.as_deref().ok_or_else(|| fault("the row names no picture"))?;
            let number = match known.get(&entry.row.image_id) {
                Some(&number) => number,
                None => {
                    let picture = self.picture(digest(bytes), bytes, &entry.row.prompt, self.rewarded)?;
                    let number = self.data.scored.len();
                    self.data.scored.push(picture);
                    known.insert(entry.row.image_id.clone(), number);
                    number
                }
            };
            let rating = entry.row.rating.filter(|_| entry.row.quarantined != Some(true));
            self.data.votes.extend(rating.map(|rating| Vote {
                picture: number,
                good: rating == Rating::Up,
                weight: entry.row.weight.map_or(1.0, |weight| weight as f32),
            }));
        }
        if left_out > 0 {
            tracing::info!(
                "{}: {left_out} votes of the parts test and held_out are left to the gate",
                folder.display()
            );
        }
        Ok(())
    }

    /// Pictures whose votes, if any, do not count.
    pub(super) fn unlabelled(&mut self, folder: &Path) -> Result<(), FinetuneError> {
        if folder.join(DRAWN).is_file() {
            return self.collection(folder);
        }
        // A dataset of votes knows its raters; whatever else has pictures and captions is captioned pictures.
        let limits = DatasetLimits::default();
        if is_dataset(folder, &limits) {
            let mut known = std::collections::HashSet::new();
            for entry in Reader::open(folder, &limits)?.entries() {
                let entry = entry?;
                let Some(bytes) = entry.image.as_deref() else { continue };
                let away = measured(entry.row.split.as_deref()).unwrap_or(false);
                if !away && known.insert(entry.row.image_id.clone()) {
                    let picture = self.picture(digest(bytes), bytes, &entry.row.prompt, self.rewarded)?;
                    self.data.scored.push(picture);
                }
            }
            return Ok(());
        }
        for pair in Captioned::open(folder, &limits)? {
            let pair = pair?;
            let picture = self.picture(digest(&pair.image), &pair.image, &pair.caption, self.rewarded)?;
            self.data.scored.push(picture);
        }
        Ok(())
    }

    /// What `collect` drew and nobody voted on.
    fn collection(&mut self, folder: &Path) -> Result<(), FinetuneError> {
        let path = folder.join(DRAWN);
        let text = fs::read_to_string(&path).map_err(FinetuneError::io("read", &path))?;
        for (number, line) in text.lines().enumerate() {
            let fault =
                |error: serde_json::Error| FinetuneError::content(&path, format!("line {}: {error}", number + 1));
            let drawn: Drawn = serde_json::from_str(line).map_err(fault)?;
            if drawn.ask.part.is_some_and(|part| MEASURED.contains(&part)) {
                continue;
            }
            let file = folder.join(&drawn.file_name);
            let bytes = fs::read(&file).map_err(FinetuneError::io("read", &file))?;
            let picture = self.picture(digest(&bytes), &bytes, &drawn.ask.prompt, self.rewarded)?;
            self.data.scored.push(picture);
        }
        Ok(())
    }

    /// Captioned pictures.
    pub(super) fn pretraining(&mut self, folder: &Path) -> Result<(), FinetuneError> {
        for pair in Captioned::open(folder, &DatasetLimits::default())? {
            let pair = pair?;
            let picture = self.picture(digest(&pair.image), &pair.image, &pair.caption, false)?;
            self.data.pretraining.push(picture);
        }
        Ok(())
    }
}

fn is_dataset(folder: &Path, limits: &DatasetLimits) -> bool {
    Reader::open(folder, limits).is_ok_and(|reader| reader.entries().next().is_some_and(|first| first.is_ok()))
}

/// Whether a row belongs to a part that is measured on.
fn measured(split: Option<&str>) -> Result<bool, String> {
    let Some(word) = split else { return Ok(false) };
    let known = || Part::ALL.map(Part::word).join(", ");
    let part = Part::from_word(word).ok_or_else(|| format!("split is `{word}`; the parts are {}", known()))?;
    Ok(MEASURED.contains(&part))
}

fn digest(bytes: &[u8]) -> String {
    hex(&Sha256::digest(bytes))
}
