//! Captioned pictures as a pre-training set: what a tuned model is held to what it knows with (the paper used 625 thousand of LAION).
//!
//! ```text
//! OUT/metadata.jsonl            {"file_name": …, "text": …} a line: Hugging Face's image folder, which fine-tuning reads
//! OUT/images/<sha256>.png       pictures, cut to their middle square at the pack's size
//! OUT/import.json               how many, from where, what was left out
//! ```

use std::{
    collections::HashSet,
    fs,
    path::{Path, PathBuf},
};

use image::ImageFormat;
use indicatif::ProgressBar;
use plaudit::{
    feedback::dataset::{Captioned, CaptionedPicture, DatasetError, DatasetLimits},
    pack::Pack,
};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::{FinetuneError, data::fitted};
use crate::checkpoint::hex;

const METADATA: &str = "metadata.jsonl";
const IMAGES: &str = "images";
const FACTS: &str = "import.json";
/// Faults that are listed; the others are counted.
const LISTED: usize = 20;

/// What to import, for which pack, and where it goes.
#[derive(Debug, Clone, PartialEq)]
pub struct Import {
    /// A folder of pictures with captions, or one file of them (see [`Captioned`]).
    pub source: PathBuf,
    /// The pack whose size pictures get.
    pub pack: PathBuf,
    /// The set; must not be there yet.
    pub out: PathBuf,
    /// Pictures smaller than the pack's size on a side are left out; otherwise they are enlarged.
    pub no_small: bool,
    /// Pictures at most; `None`: all.
    pub most: Option<usize>,
    /// Whether pictures that cannot be used are left out; otherwise the first stops the import.
    pub skip_faulty: bool,
    /// Whether to show a bar.
    pub show: bool,
}

/// What was imported.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Imported {
    /// Where from.
    pub source: String,
    /// Width and height in pixels.
    pub side: u32,
    /// Pictures.
    pub pictures: usize,
    /// Pictures that were there twice with the same caption.
    pub repeated: usize,
    /// Pictures that were too small.
    pub small: usize,
    /// Pictures that could not be used.
    pub faulty: usize,
    /// What was wrong with the first of them.
    pub faults: Vec<String>,
    /// SHA-256 of `metadata.jsonl`.
    pub metadata_sha256: String,
}

/// Imports; the set appears whole or not at all.
///
/// # Errors
/// A source without captioned pictures, a picture that cannot be used, a place that is taken, a full disk.
pub fn import(settings: &Import) -> Result<Imported, FinetuneError> {
    let out = &settings.out;
    if fs::symlink_metadata(out).is_ok() {
        return Err(FinetuneError::There { path: out.clone() });
    }
    let side = Pack::open(&settings.pack)?.size() as u32;
    let beside = out.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    fs::create_dir_all(beside).map_err(FinetuneError::io("create", beside))?;
    let staging = tempfile::Builder::new().prefix(".importing-").tempdir_in(beside);
    let staging = staging.map_err(FinetuneError::io("write", beside))?;
    let images = staging.path().join(IMAGES);
    fs::create_dir_all(&images).map_err(FinetuneError::io("create", &images))?;
    let mut importer = Importer {
        settings,
        side,
        images,
        known: HashSet::new(),
        lines: String::new(),
        facts: Imported { source: settings.source.display().to_string(), side, ..Imported::default() },
    };
    importer.all()?;
    let facts = importer.finish(staging.path())?;
    super::export::place(staging, out)?;
    Ok(facts)
}

struct Importer<'a> {
    settings: &'a Import,
    side: u32,
    images: PathBuf,
    known: HashSet<(String, String)>,
    lines: String,
    facts: Imported,
}

impl Importer<'_> {
    fn all(&mut self) -> Result<(), FinetuneError> {
        let bar = if self.settings.show { ProgressBar::new_spinner() } else { ProgressBar::hidden() };
        for pair in Captioned::open(&self.settings.source, &DatasetLimits::default())? {
            if self.settings.most.is_some_and(|most| self.facts.pictures >= most) {
                break;
            }
            match pair.and_then(|pair| Ok((pair.picture(&DatasetLimits::default())?, pair))) {
                Ok((picture, pair)) => self.one(&picture, &pair)?,
                Err(error) => self.fault(error)?,
            }
            bar.set_message(format!("{} pictures", self.facts.pictures));
            bar.inc(1);
        }
        bar.finish_and_clear();
        Ok(())
    }

    fn one(&mut self, picture: &image::RgbImage, pair: &CaptionedPicture) -> Result<(), FinetuneError> {
        if self.settings.no_small && picture.width().min(picture.height()) < self.side {
            self.facts.small += 1;
            return Ok(());
        }
        let mut bytes = std::io::Cursor::new(Vec::new());
        let encoded = fitted(picture, self.side).write_to(&mut bytes, ImageFormat::Png);
        encoded.map_err(|source| FinetuneError::Picture { path: pair.place.file.clone(), source })?;
        let name = format!("{IMAGES}/{}.png", hex(&Sha256::digest(bytes.get_ref())));
        if !self.known.insert((name.clone(), pair.caption.clone())) {
            self.facts.repeated += 1;
            return Ok(());
        }
        let path = self.images.with_file_name("").join(&name);
        fs::write(&path, bytes.get_ref()).map_err(FinetuneError::io("write", &path))?;
        let line = serde_json::json!({"file_name": name, "text": pair.caption});
        self.lines.push_str(&format!("{line}\n"));
        self.facts.pictures += 1;
        Ok(())
    }

    /// A row that is wrong may be left out; a file that is damaged may not.
    fn fault(&mut self, error: DatasetError) -> Result<(), FinetuneError> {
        if !(self.settings.skip_faulty && matches!(error, DatasetError::Row { .. })) {
            return Err(error.into());
        }
        self.facts.faulty += 1;
        if self.facts.faults.len() < LISTED {
            self.facts.faults.push(error.to_string());
        }
        Ok(())
    }

    fn finish(mut self, folder: &Path) -> Result<Imported, FinetuneError> {
        if self.facts.pictures == 0 {
            let fault = format!("{} has no picture that can be used", self.settings.source.display());
            return Err(FinetuneError::Few {
                fault,
                remedy: "see what is wrong with the first by leaving out --skip-faulty and --no-small",
            });
        }
        self.facts.metadata_sha256 = hex(&Sha256::digest(&self.lines));
        let path = folder.join(METADATA);
        fs::write(&path, &self.lines).map_err(FinetuneError::io("write", &path))?;
        let path = folder.join(FACTS);
        let text = serde_json::to_string_pretty(&self.facts).unwrap_or_default() + "\n";
        fs::write(&path, text).map_err(FinetuneError::io("write", &path))?;
        Ok(self.facts)
    }
}
