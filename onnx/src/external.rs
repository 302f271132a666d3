//! External data: the files beside a model, mapped once each, and nothing outside its directory.

use std::{
    collections::HashMap,
    fs::{self, File},
    path::{Component, Path, PathBuf},
    sync::Arc,
};

use memmap2::Mmap;

use crate::{Bytes, tensor::MappedFile};

/// The directory of a model; the only place its external data may be in.
pub(crate) struct Directory {
    root: PathBuf,
    files: HashMap<String, Result<Arc<MappedFile>, String>>,
}

impl Directory {
    pub(crate) fn new(root: &Path) -> Self {
        Self { root: root.to_owned(), files: HashMap::new() }
    }

    /// A range of the file at `location`, relative to the directory; the fault in words otherwise.
    pub(crate) fn bytes(&mut self, location: &str, offset: usize, length: usize) -> Result<Bytes, String> {
        let root = &self.root;
        let map = self.files.entry(location.to_owned()).or_insert_with(|| open(root, location)).clone()?;
        match offset.checked_add(length) {
            Some(end) if end <= map.len() => Ok(Bytes::Mapped { map, offset, length }),
            _ => Err(format!(
                "bytes {offset} + {length} lie beyond the end of `{location}` ({} bytes): the file is cut or foreign",
                map.len()
            )),
        }
    }
}

fn open(root: &Path, location: &str) -> Result<Arc<MappedFile>, String> {
    let relative = Path::new(location);
    let inside = relative.components().all(|part| matches!(part, Component::Normal(_)));
    if location.is_empty() || !inside {
        return Err(format!("`{location}` leaves the model's directory; external data must lie inside it"));
    }
    let mut path = root.to_owned();
    for part in relative.components() {
        path.push(part);
        refuse_link(&path)?;
    }
    map_file(&path)
}

/// Maps a regular file that has no second name: data that somebody can change under another name would change served
/// weights silently.
pub(crate) fn map_file(path: &Path) -> Result<Arc<MappedFile>, String> {
    let fault = |error: std::io::Error| format!("`{}`: {error}", path.display());
    refuse_link(path)?;
    let file = File::open(path).map_err(fault)?;
    let facts = file.metadata().map_err(fault)?;
    if !facts.is_file() {
        return Err(format!("`{}` is not a regular file", path.display()));
    }
    #[cfg(unix)]
    if std::os::unix::fs::MetadataExt::nlink(&facts) > 1 {
        return Err(format!("`{}` is a hard link to a file elsewhere; copy the data", path.display()));
    }
    // SAFETY: a model's files are immutable by contract (written aside, then renamed into place), and the checks above
    // refuse the links by which they could be reached under another name.
    unsafe { Mmap::map(&file) }.map(|map| Arc::new(MappedFile::new(map, path))).map_err(fault)
}

fn refuse_link(path: &Path) -> Result<(), String> {
    let facts = fs::symlink_metadata(path).map_err(|error| format!("`{}`: {error}", path.display()))?;
    if facts.is_symlink() {
        return Err(format!("`{}` is a symbolic link; copy the data", path.display()));
    }
    Ok(())
}
