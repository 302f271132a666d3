//! Captioned pictures from elsewhere: what a generator is held to what it knows with.
//!
//! ```text
//! DIR/*.parquet or DIR/data/*.parquet    columns `image` {bytes, path} and a caption: Hugging Face's layout
//! DIR/metadata.jsonl (or in data/)       {"file_name": …, "text": …} a line: Hugging Face's image folder
//! DIR/name.png and DIR/name.txt          a picture, and its caption beside it
//! ```
//!
//! A caption is called `text`, `caption` or `prompt`. Neither paths nor pictures are trusted.

use std::{
    fs,
    path::{Path, PathBuf},
};

use serde_json::Value;

use super::{DATA, DatasetError, DatasetLimits, Place, files, jsonl::Lines, parquet, picture};

/// What a caption's field is called, the first that is there.
pub(super) const CAPTIONS: [&str; 3] = ["text", "caption", "prompt"];
const METADATA: &str = "metadata.jsonl";
const EXTENSIONS: [&str; 4] = ["png", "jpg", "jpeg", "webp"];
/// Bytes of a caption's own file at most; captions are cut at 77 tokens anyway.
const CAPTION_BYTES: u64 = 1 << 16;

/// A picture and what it shows.
#[derive(Debug, Clone, PartialEq)]
pub struct CaptionedPicture {
    /// The picture's file: PNG, JPEG or WebP of allowed size, not decoded.
    pub image: Vec<u8>,
    /// What it shows.
    pub caption: String,
    /// Where it stands.
    pub place: Place,
}

impl CaptionedPicture {
    /// The picture, RGB of 8 bits.
    ///
    /// # Errors
    /// It is damaged.
    pub fn picture(&self, limits: &DatasetLimits) -> Result<image::RgbImage, DatasetError> {
        picture::decode(&self.image, limits).map_err(|reason| DatasetError::row(&self.place, reason))
    }
}

/// Captioned pictures, one after another, in the order of files and rows. A row that is wrong is an error, and those after it follow.
pub struct Captioned {
    folder: PathBuf,
    limits: DatasetLimits,
    /// Files that are still to be opened, the next one last.
    files: Vec<String>,
    open: Source,
}

enum Source {
    Nothing,
    Lines(Lines),
    Parquet(Box<parquet::Rows>),
}

type Item = Result<CaptionedPicture, DatasetError>;

impl Captioned {
    /// Finds the files, in the first of the forms above that `path` has.
    ///
    /// # Errors
    /// There are none.
    pub fn open(path: &Path, limits: &DatasetLimits) -> Result<Self, DatasetError> {
        let of = |folder: &Path, mut files: Vec<String>| {
            files.reverse();
            Self { folder: folder.to_owned(), limits: limits.clone(), files, open: Source::Nothing }
        };
        if let (true, Some(folder), Some(name)) =
            (path.is_file(), path.parent(), path.file_name().and_then(|n| n.to_str()))
        {
            let folder = if folder.as_os_str().is_empty() { Path::new(".") } else { folder };
            return Ok(of(folder, vec![name.to_owned()]));
        }
        for folder in [path.join(DATA), path.to_owned()] {
            for wanted in [&["parquet"][..], &["jsonl"], &EXTENSIONS] {
                let mut found = list(&folder, wanted)?;
                if wanted == ["jsonl"] {
                    found.retain(|name| name == METADATA);
                }
                if !found.is_empty() {
                    return Ok(of(&folder, found));
                }
            }
        }
        let forms = "there is neither a .parquet file nor metadata.jsonl nor a picture in it, or in its data/";
        Err(DatasetError::file(path, format!("has no captioned pictures: {forms}")))
    }

    /// Opens the next file, or reads it where it is a picture.
    fn advance(&mut self) -> Option<Option<Item>> {
        let name = self.files.pop()?;
        let opened = match Path::new(&name).extension().and_then(|extension| extension.to_str()) {
            Some("parquet") => parquet::Rows::with_columns(&self.folder, &name, &self.limits, &CAPTIONS)
                .map(|rows| Source::Parquet(Box::new(rows))),
            Some("jsonl") => Lines::open(&self.folder, &name, &self.limits).map(Source::Lines),
            _ => return Some(Some(self.beside(&name))),
        };
        Some(opened.map(|source| self.open = source).err().map(Err))
    }

    /// A picture with its caption in a text file of the same name.
    fn beside(&self, name: &str) -> Item {
        let place = Place { file: self.folder.join(name), row: None, unit: "file" };
        let text = Path::new(name).with_extension("txt");
        let text = text.to_str().unwrap_or_default();
        let wrong = |reason: String| DatasetError::row(&place, reason);
        let caption = files::read(&self.folder, text, CAPTION_BYTES).map_err(wrong)?;
        let caption = String::from_utf8(caption).map_err(|_| wrong(format!("{text} is not UTF-8")))?;
        let image = files::read(&self.folder, name, self.limits.max_image_bytes).map_err(wrong)?;
        self.checked(place.clone(), image, caption.trim())
    }

    fn line(&self, place: Place, line: &str) -> Item {
        let wrong = |reason: String| DatasetError::row(&place, reason);
        let row: Value = serde_json::from_str(line).map_err(|error| wrong(error.to_string()))?;
        let name = row["file_name"].as_str().ok_or_else(|| wrong("file_name is missing".to_owned()))?;
        let caption = CAPTIONS.iter().find_map(|field| row[*field].as_str());
        let caption = caption.ok_or_else(|| wrong(format!("has none of {}", CAPTIONS.join(", "))))?;
        let image = files::read(&self.folder, name, self.limits.max_image_bytes).map_err(wrong)?;
        self.checked(place.clone(), image, caption)
    }

    fn checked(&self, place: Place, image: Vec<u8>, caption: &str) -> Item {
        let wrong = |reason: String| DatasetError::row(&place, reason);
        picture::check(&image, &self.limits).map_err(wrong)?;
        if caption.is_empty() {
            return Err(wrong("the caption is empty".to_owned()));
        }
        Ok(CaptionedPicture { image, caption: caption.to_owned(), place })
    }
}

impl Iterator for Captioned {
    type Item = Item;

    fn next(&mut self) -> Option<Item> {
        loop {
            let found = match &mut self.open {
                Source::Nothing => None,
                Source::Lines(lines) => match lines.next_line() {
                    None => None,
                    Some(Err(error)) => return Some(Err(error)),
                    Some(Ok((place, line))) => return Some(self.line(place, &line)),
                },
                Source::Parquet(rows) => rows.next_captioned(&CAPTIONS),
            };
            match found {
                Some(Err(error)) => return Some(Err(error)),
                Some(Ok((place, caption, image))) => return Some(self.checked(place, image, &caption)),
                None => self.open = Source::Nothing,
            }
            if let Some(item) = self.advance()? {
                return Some(item);
            }
        }
    }
}

fn list(folder: &Path, extensions: &[&str]) -> Result<Vec<String>, DatasetError> {
    if !folder.is_dir() {
        return Ok(Vec::new());
    }
    let mut names = Vec::new();
    for entry in fs::read_dir(folder).map_err(DatasetError::io(folder))? {
        let name = entry.map_err(DatasetError::io(folder))?.file_name();
        let fits = |extension: &str| extensions.contains(&extension.to_lowercase().as_str());
        let ours = Path::new(&name).extension().and_then(|extension| extension.to_str()).is_some_and(fits);
        names.extend(name.to_str().filter(|_| ours).map(str::to_owned));
    }
    names.sort();
    Ok(names)
}
