//! Rows as lines of JSON.

use std::{
    fs::File,
    io::{BufRead, BufReader, Read},
    path::{Path, PathBuf},
};

use super::{DatasetError, DatasetLimits, Place, Row, files};

/// The rows of a file, in its order. After a line that is too long or cannot be read there is nothing more.
#[derive(Debug)]
pub(super) struct Lines {
    place: Place,
    source: Option<BufReader<File>>,
    limit: u64,
}

impl Lines {
    /// Opens a file below `folder`.
    pub(super) fn open(folder: &Path, name: &str, limits: &DatasetLimits) -> Result<Self, DatasetError> {
        let file = files::open(folder, name, u64::MAX).map_err(|reason| DatasetError::file(folder, reason))?;
        Ok(Self::over(folder.join(name), file, limits))
    }

    /// Reads a file that is open.
    pub(super) fn over(path: PathBuf, file: File, limits: &DatasetLimits) -> Self {
        let place = Place { file: path, row: Some(0), unit: "line" };
        Self { place, source: Some(BufReader::new(file)), limit: limits.max_line_bytes }
    }

    /// The next line that is not empty, without its line feed.
    pub(super) fn next_line(&mut self) -> Option<Result<(Place, String), DatasetError>> {
        loop {
            let mut bytes = Vec::new();
            let source = self.source.as_mut()?;
            self.place.row = self.place.row.map(|row| row + 1);
            let read = source.by_ref().take(self.limit + 1).read_until(b'\n', &mut bytes);
            if let Err(error) = read {
                self.source = None;
                return Some(Err(DatasetError::io(&self.place.file)(error)));
            }
            if bytes.is_empty() {
                self.source = None;
                return None;
            }
            if bytes.len() as u64 > self.limit {
                self.source = None;
                let reason = format!("the line has more than {} bytes", self.limit);
                return Some(Err(DatasetError::row(&self.place, reason)));
            }
            let Ok(text) = String::from_utf8(bytes) else {
                return Some(Err(DatasetError::row(&self.place, "the line is not UTF-8")));
            };
            let line = text.trim_end_matches(['\n', '\r']);
            if !line.trim().is_empty() {
                return Some(Ok((self.place.clone(), line.to_owned())));
            }
        }
    }
}

impl Iterator for Lines {
    type Item = Result<(Place, Row), DatasetError>;

    fn next(&mut self) -> Option<Self::Item> {
        let line = self.next_line()?;
        Some(line.and_then(|(place, line)| {
            let row = serde_json::from_str(&line).map_err(|error| DatasetError::row(&place, said(&error)))?;
            Ok((place, row))
        }))
    }
}

/// What serde_json says, without its own line number: the place has it.
fn said(error: &serde_json::Error) -> String {
    let text = error.to_string();
    let cut = text.rfind(" at line ").unwrap_or(text.len());
    format!("{} (column {})", &text[..cut], error.column())
}
