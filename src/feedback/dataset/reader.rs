//! Reading a dataset that may come from anywhere.

use std::{
    fs,
    path::{Path, PathBuf},
};

use image::RgbImage;

use super::{
    DATA, DatasetError, DatasetLimits, ExportFacts, FACTS, Format, Place, Row, RowsDigest, files, jsonl::Lines,
    parquet, picture,
};

/// A row, where it stands, and its picture's bytes where the file of rows has them.
type Read = (Place, Row, Option<Vec<u8>>);

/// The most bytes of `export.json`; it has a few hundred.
const FACTS_BYTES: u64 = 1 << 20;

/// A row with its picture.
#[derive(Debug, Clone, PartialEq)]
pub struct Entry {
    /// The vote.
    pub row: Row,
    /// The picture's file: PNG, JPEG or WebP of allowed size, not decoded. `None` where the row names no picture.
    pub image: Option<Vec<u8>>,
    /// Where it stands.
    pub place: Place,
}

impl Entry {
    /// The picture, RGB of 8 bits.
    ///
    /// # Errors
    /// The row has none, or it is damaged.
    pub fn picture(&self, limits: &DatasetLimits) -> Result<RgbImage, DatasetError> {
        let bytes = self.image.as_deref().ok_or_else(|| DatasetError::row(&self.place, "the row names no picture"))?;
        picture::decode(bytes, limits).map_err(|reason| DatasetError::row(&self.place, reason))
    }
}

/// A directory of votes, or one file of them.
#[derive(Debug, Clone)]
pub struct Reader {
    /// Where the files of rows lie, and what their `file_name`s are relative to.
    folder: PathBuf,
    format: Format,
    names: Vec<String>,
    facts: Option<ExportFacts>,
    limits: DatasetLimits,
}

impl Reader {
    /// Finds the files of rows: those of one kind, `*.jsonl` or `*.parquet`, in `data/`, else in the directory itself; or
    /// the one file that is named. Rows are not read yet.
    ///
    /// # Errors
    /// There are none, or of both kinds; links; `export.json` is damaged.
    pub fn open(path: &Path, limits: &DatasetLimits) -> Result<Self, DatasetError> {
        if path.is_file() {
            return Self::of_file(path, limits);
        }
        let data = path.join(DATA);
        let below = fs::symlink_metadata(&data);
        if below.as_ref().is_ok_and(|facts| facts.is_symlink()) {
            return Err(DatasetError::file(data, "is a symbolic link; datasets hold files of their own: copy it"));
        }
        let facts = Self::read_facts(path)?;
        for folder in [data, path.to_owned()] {
            let (lines, columns) = (Self::list(&folder, "jsonl")?, Self::list(&folder, "parquet")?);
            let (format, names) = match (lines.is_empty(), columns.is_empty()) {
                (true, true) => continue,
                (false, true) => (Format::JsonLines, lines),
                (true, false) => (Format::Parquet, columns),
                (false, false) => {
                    return Err(DatasetError::file(folder, "has both .jsonl and .parquet files; name one of them"));
                }
            };
            return Ok(Self { folder, format, names, facts, limits: limits.clone() });
        }
        Err(DatasetError::file(path, "is no dataset: there is no .jsonl or .parquet file in it, or in its data/"))
    }

    fn of_file(path: &Path, limits: &DatasetLimits) -> Result<Self, DatasetError> {
        let extension = path.extension().and_then(|extension| extension.to_str());
        let format = match extension {
            Some("jsonl") => Format::JsonLines,
            Some("parquet") => Format::Parquet,
            _ => return Err(DatasetError::file(path, "is neither .jsonl nor .parquet")),
        };
        let name = path.file_name().and_then(|name| name.to_str());
        let name = name.ok_or_else(|| DatasetError::file(path, "its name is not UTF-8"))?.to_owned();
        let folder = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
        Ok(Self { folder: folder.to_owned(), format, names: vec![name], facts: None, limits: limits.clone() })
    }

    fn list(folder: &Path, extension: &str) -> Result<Vec<String>, DatasetError> {
        if !folder.is_dir() {
            return Ok(Vec::new());
        }
        let mut names = Vec::new();
        for entry in fs::read_dir(folder).map_err(DatasetError::io(folder))? {
            let name = entry.map_err(DatasetError::io(folder))?.file_name();
            let ours = Path::new(&name).extension().is_some_and(|found| found == extension);
            names.extend(name.to_str().filter(|_| ours).map(str::to_owned));
        }
        names.sort();
        Ok(names)
    }

    fn read_facts(folder: &Path) -> Result<Option<ExportFacts>, DatasetError> {
        let path = folder.join(FACTS);
        if fs::symlink_metadata(&path).is_err() {
            return Ok(None);
        }
        let bytes = files::read(folder, FACTS, FACTS_BYTES).map_err(|reason| DatasetError::file(&path, reason))?;
        serde_json::from_slice(&bytes).map(Some).map_err(|error| DatasetError::file(path, error))
    }

    /// How the rows are written.
    pub fn format(&self) -> Format {
        self.format
    }

    /// What the writer says of the whole, where it does.
    pub fn facts(&self) -> Option<&ExportFacts> {
        self.facts.as_ref()
    }

    /// Rows with their pictures, in the order of the files; at the end they are compared with [`Reader::facts`]. A row
    /// that is wrong is an error, and those after it follow; after a damaged file nothing does.
    pub fn entries(&self) -> Entries<'_> {
        let facts = self.facts.clone().filter(|facts| facts.version == ExportFacts::VERSION);
        Entries { reader: self, file: 0, rows: Source::Nothing, count: 0, digest: Some(RowsDigest::default()), facts }
    }

    fn entry(&self, place: Place, row: Row, image: Option<Vec<u8>>) -> Result<Entry, DatasetError> {
        let wrong = |reason: String| DatasetError::row(&place, reason);
        row.check().map_err(wrong)?;
        let image = match (image, &row.file_name) {
            (Some(bytes), _) => Some(bytes),
            (None, Some(name)) => Some(files::read(&self.folder, name, self.limits.max_image_bytes).map_err(wrong)?),
            (None, None) => None,
        };
        if let Some(bytes) = &image {
            picture::check(bytes, &self.limits).map_err(wrong)?;
            if let Some(told) = &row.image_sha256
                && *told != picture::digest(bytes)
            {
                return Err(wrong("the picture is another one: its SHA-256 is not image_sha256".into()));
            }
        }
        Ok(Entry { row, image, place })
    }
}

/// The file that is being read.
enum Source {
    Nothing,
    Lines(Lines),
    Parquet(Box<parquet::Rows>),
}

/// See [`Reader::entries`].
pub struct Entries<'a> {
    reader: &'a Reader,
    /// The next file.
    file: usize,
    rows: Source,
    count: u64,
    /// `None` once the end was told, or a row could not be read.
    digest: Option<RowsDigest>,
    facts: Option<ExportFacts>,
}

impl Entries<'_> {
    fn open_next(&mut self) -> Option<Result<(), DatasetError>> {
        let Reader { folder, format, names, limits, .. } = self.reader;
        let name = names.get(self.file)?;
        self.file += 1;
        let opened = match format {
            Format::JsonLines => Lines::open(folder, name, limits).map(Source::Lines),
            Format::Parquet => parquet::Rows::open(folder, name, limits).map(Box::new).map(Source::Parquet),
        };
        Some(opened.map(|rows| self.rows = rows))
    }

    fn step(&mut self) -> Option<Result<Read, DatasetError>> {
        loop {
            let found = match &mut self.rows {
                Source::Nothing => None,
                Source::Lines(lines) => lines.next().map(|line| line.map(|(place, row)| (place, row, None))),
                Source::Parquet(rows) => rows.next(),
            };
            if found.is_some() {
                return found;
            }
            if let Err(error) = self.open_next()? {
                return Some(Err(error));
            }
        }
    }

    /// Compares what was read with what the writer wrote.
    fn end(&mut self) -> Option<Result<Entry, DatasetError>> {
        let (digest, facts) = (self.digest.take()?, self.facts.take()?);
        let reason = if facts.rows != self.count {
            format!("says {} rows, but there are {}", facts.rows, self.count)
        } else if facts.rows_sha256 != digest.finish() {
            "says another SHA-256 over the rows than they have".to_owned()
        } else {
            return None;
        };
        let file = self.reader.folder.parent().unwrap_or(&self.reader.folder).join(FACTS);
        Some(Err(DatasetError::file(file, format!("{reason}; remove the file if the rows were changed on purpose"))))
    }
}

impl Iterator for Entries<'_> {
    type Item = Result<Entry, DatasetError>;

    fn next(&mut self) -> Option<Self::Item> {
        let Some(found) = self.step() else { return self.end() };
        let read = found.and_then(|(place, row, image)| {
            self.count += 1;
            if let Some(digest) = &mut self.digest {
                digest.add(&row).map_err(|error| DatasetError::row(&place, error))?;
            }
            self.reader.entry(place, row, image)
        });
        if read.is_err() {
            self.digest = None;
        }
        if matches!(read, Err(DatasetError::File { .. } | DatasetError::Io { .. })) {
            (self.rows, self.file) = (Source::Nothing, usize::MAX);
        }
        Some(read)
    }
}
