//! Writing a dataset: into a directory beside its place, which becomes it at the end.

use std::{
    collections::HashSet,
    fs::{self, File},
    io::{self, BufWriter, Write},
    path::{Path, PathBuf},
    time::{SystemTime, UNIX_EPOCH},
};

use tempfile::TempDir;

use super::{
    CARD, Card, DATA, DatasetError, DatasetLimits, ExportFacts, FACTS, Row, RowsDigest, parquet::Shards, picture,
};

/// Where pictures lie below `data/`.
const IMAGES: &str = "images";
/// The file of rows in JSON Lines. The name is the one by which `datasets` joins rows and pictures (`imagefolder`).
const METADATA: &str = "metadata.jsonl";

/// How rows are written.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum Format {
    /// JSON Lines, pictures as files beside them
    #[default]
    #[value(name = "jsonl")]
    JsonLines,
    /// Parquet, pictures inside
    Parquet,
}

/// Writes a dataset. Until [`Writer::finish`] nothing is at its place; dropped before, it leaves nothing behind.
#[derive(Debug)]
pub struct Writer {
    place: PathBuf,
    staging: TempDir,
    format: Format,
    card: Card,
    rows: Rows,
    images: HashSet<String>,
    count: u64,
    digest: RowsDigest,
}

#[derive(Debug)]
enum Rows {
    Lines(BufWriter<File>),
    Parquet(Shards),
}

impl Writer {
    /// Begins a dataset that will lie at `place`.
    ///
    /// # Errors
    /// Something is there, an empty directory excepted (a link is something); its parent cannot be written.
    pub fn create(place: &Path, format: Format, card: Card) -> Result<Self, DatasetError> {
        refuse_occupied(place)?;
        let parent = place.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
        fs::create_dir_all(parent).map_err(DatasetError::io(parent))?;
        let staging = tempfile::Builder::new().prefix(".plaudit-dataset-").tempdir_in(parent);
        let staging = staging.map_err(DatasetError::io(parent))?;
        let data = staging.path().join(DATA);
        fs::create_dir(&data).map_err(DatasetError::io(&data))?;
        let rows = match format {
            Format::JsonLines => {
                let images = data.join(IMAGES);
                fs::create_dir(&images).map_err(DatasetError::io(&images))?;
                let path = data.join(METADATA);
                Rows::Lines(BufWriter::new(File::create_new(&path).map_err(DatasetError::io(&path))?))
            }
            Format::Parquet => Rows::Parquet(Shards::create(&data)),
        };
        let (images, digest) = (HashSet::new(), RowsDigest::default());
        Ok(Self { place: place.to_owned(), staging, format, card, rows, images, count: 0, digest })
    }

    /// Adds a row with its picture's file (PNG, JPEG or WebP). `file_name` and `image_sha256` are set from the bytes; equal
    /// pictures are one file.
    ///
    /// # Errors
    /// A row whose values are wrong, bytes that are no picture, a full disk.
    pub fn push(&mut self, mut row: Row, image: &[u8]) -> Result<(), DatasetError> {
        let wrong = |reason| DatasetError::file(format!("row {}", self.count + 1), reason);
        row.check().map_err(wrong)?;
        let kind = picture::check(image, &DatasetLimits::default()).map_err(wrong)?;
        let digest = picture::digest(image);
        let name = format!("{IMAGES}/{digest}.{}", picture::extension(kind).unwrap_or_default());
        let new = self.images.insert(digest.clone());
        row.image_sha256 = Some(digest);
        row.file_name = Some(name.clone());
        let line = self.digest.add(&row).map_err(|error| DatasetError::file(METADATA, error))?;
        self.count += 1;
        match &mut self.rows {
            Rows::Lines(lines) => {
                if new {
                    let path = self.staging.path().join(DATA).join(&name);
                    write_new(&path, image)?;
                }
                lines.write_all(line.as_bytes()).map_err(DatasetError::io(METADATA))
            }
            Rows::Parquet(shards) => shards.push(row, image.to_vec()),
        }
    }

    /// Writes card and `export.json`, brings everything to the disk and moves it to its place. `from_sequence` and
    /// `to_sequence`: the places of the event log that were looked at.
    ///
    /// # Errors
    /// A full disk, or something came to the place meanwhile.
    pub fn finish(self, from_sequence: i64, to_sequence: i64) -> Result<ExportFacts, DatasetError> {
        let Self { place, staging, format, card, rows, images, count, digest } = self;
        match rows {
            Rows::Lines(lines) => {
                lines.into_inner().map(drop).map_err(|error| DatasetError::io(METADATA)(error.into_error()))?;
            }
            Rows::Parquet(shards) => shards.finish()?,
        }
        let facts = ExportFacts {
            version: ExportFacts::VERSION,
            rows: count,
            images: images.len() as u64,
            from_sequence,
            to_sequence,
            rows_sha256: digest.finish(),
            created: SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs() as i64),
            producer: concat!("plaudit ", env!("CARGO_PKG_VERSION")).to_owned(),
        };
        let folder = staging.path();
        write_new(&folder.join(CARD), card.text(format, &facts).as_bytes())?;
        let mut text = serde_json::to_vec_pretty(&facts).map_err(|error| DatasetError::file(FACTS, error))?;
        text.push(b'\n');
        write_new(&folder.join(FACTS), &text)?;
        sync(folder).map_err(DatasetError::io(folder))?;
        refuse_occupied(&place)?;
        open_to_group(folder).map_err(DatasetError::io(folder))?;
        // Takes the place of an empty directory, and of nothing else.
        fs::rename(folder, &place).map_err(DatasetError::io(&place))?;
        let _moved = staging.keep();
        if let Some(parent) = place.parent().filter(|parent| !parent.as_os_str().is_empty()) {
            File::open(parent).and_then(|parent| parent.sync_all()).map_err(DatasetError::io(parent))?;
        }
        Ok(facts)
    }
}

fn refuse_occupied(place: &Path) -> Result<(), DatasetError> {
    let Ok(facts) = fs::symlink_metadata(place) else { return Ok(()) };
    let empty = facts.is_dir() && fs::read_dir(place).is_ok_and(|mut entries| entries.next().is_none());
    if empty { Ok(()) } else { Err(DatasetError::Exists(place.to_owned())) }
}

fn write_new(path: &Path, bytes: &[u8]) -> Result<(), DatasetError> {
    File::create_new(path).and_then(|mut file| file.write_all(bytes)).map_err(DatasetError::io(path))
}

/// Everything below a folder, and the folders, on the disk.
fn sync(folder: &Path) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() { sync(&path)? } else { File::open(&path)?.sync_all()? }
    }
    File::open(folder)?.sync_all()
}

/// A temporary directory is its maker's alone; a dataset has the rights of any new directory.
#[cfg(unix)]
fn open_to_group(folder: &Path) -> io::Result<()> {
    use std::os::unix::fs::PermissionsExt;
    /// Of a directory that `mkdir` makes under the usual umask.
    const MODE: u32 = 0o755;
    fs::set_permissions(folder, fs::Permissions::from_mode(MODE))
}

#[cfg(not(unix))]
fn open_to_group(_: &Path) -> io::Result<()> {
    Ok(())
}
