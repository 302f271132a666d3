//! `metrics.jsonl`: one line a step, the same bytes however often a run was interrupted.

use std::{
    fs::{File, OpenOptions},
    io::{Read, Seek, SeekFrom, Write},
    path::{Path, PathBuf},
};

use indexmap::IndexMap;
use serde::{Deserialize, Serialize};

/// One step. No field depends on the clock, so that an interrupted run's file equals an uninterrupted one's.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Line {
    /// The step, counted from 1.
    pub step: u64,
    /// Mean loss over the step's micro-batches.
    pub loss: f32,
    /// L2 norm of the mean gradient before clipping.
    pub grad_norm: f32,
    /// Learning rate of the step.
    pub learning_rate: f32,
    /// The graph's other scalar outputs, means over micro-batches.
    #[serde(flatten)]
    pub extra: IndexMap<String, f32>,
}

/// Why metrics cannot be kept.
#[derive(Debug, thiserror::Error)]
pub enum MetricsError {
    /// The file system refused.
    #[error("cannot {action} {path}: {source}; is the run directory writable and the disk not full?")]
    Io {
        /// What was tried.
        action: &'static str,
        /// The file.
        path: PathBuf,
        /// The system's answer.
        source: std::io::Error,
    },
    /// The file is shorter than the checkpoint says, or holds something else.
    #[error("{path} is not the file this run wrote ({reason}); move the run directory aside and start anew")]
    Foreign {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
}

/// The open file.
#[derive(Debug)]
pub struct Metrics {
    path: PathBuf,
    file: File,
    bytes: u64,
}

impl Metrics {
    /// Opens `path`, cut to its first `keep` bytes (what was there at the checkpoint), and returns it with the lines kept.
    ///
    /// # Errors
    /// If the file cannot be opened, is shorter than `keep`, or a kept line is none.
    pub fn open(path: &Path, keep: u64) -> Result<(Self, Vec<Line>), MetricsError> {
        let error = |action| move |source| MetricsError::Io { action, path: path.to_owned(), source };
        let mut options = OpenOptions::new();
        let mut file = options.read(true).write(true).create(true).truncate(false).open(path).map_err(error("open"))?;
        let mut text = String::new();
        (&file).take(keep).read_to_string(&mut text).map_err(error("read"))?;
        let foreign = |reason: String| MetricsError::Foreign { path: path.to_owned(), reason };
        if text.len() as u64 != keep {
            return Err(foreign(format!("{} bytes instead of at least {keep}", text.len())));
        }
        let parse = |line: &str| serde_json::from_str(line).map_err(|error| foreign(format!("{error} in {line:?}")));
        let lines = text.lines().map(parse).collect::<Result<_, _>>()?;
        file.set_len(keep).and_then(|()| file.seek(SeekFrom::Start(keep))).map_err(error("cut"))?;
        Ok((Self { path: path.to_owned(), file, bytes: keep }, lines))
    }

    /// Appends a line.
    ///
    /// # Errors
    /// If it cannot be written.
    pub fn write(&mut self, line: &Line) -> Result<(), MetricsError> {
        let to_text = |source: serde_json::Error| self.error("write", source.into());
        let mut text = serde_json::to_string(line).map_err(to_text)?;
        text.push('\n');
        self.file.write_all(text.as_bytes()).map_err(|source| self.error("write", source))?;
        self.bytes += text.len() as u64;
        Ok(())
    }

    /// Makes everything written durable and returns the file's length in bytes; a checkpoint remembers it.
    ///
    /// # Errors
    /// If the disk refuses.
    pub fn sync(&mut self) -> Result<u64, MetricsError> {
        self.file.sync_data().map_err(|source| self.error("sync", source))?;
        Ok(self.bytes)
    }

    fn error(&self, action: &'static str, source: std::io::Error) -> MetricsError {
        MetricsError::Io { action, path: self.path.clone(), source }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(step: u64) -> Line {
        let extra = IndexMap::from([("kl".to_owned(), 0.1)]);
        Line { step, loss: 1.0 / step as f32, grad_norm: 0.25, learning_rate: 1e-3, extra }
    }

    #[test]
    fn a_line_reads_back_as_it_was_written() {
        let text = serde_json::to_string(&line(3)).unwrap();
        insta::assert_snapshot!(text, @r#"{"step":3,"loss":0.33333334,"grad_norm":0.25,"learning_rate":0.001,"kl":0.1}"#);
        assert_eq!(serde_json::from_str::<Line>(&text).unwrap(), line(3));
    }

    #[test]
    fn lines_after_the_checkpoint_are_cut_even_half_written_ones() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("metrics.jsonl");
        let (mut metrics, _) = Metrics::open(&path, 0).unwrap();
        metrics.write(&line(1)).unwrap();
        let kept = metrics.sync().unwrap();
        metrics.write(&line(2)).unwrap();
        OpenOptions::new().append(true).open(&path).unwrap().write_all(b"{\"step\":3,").unwrap();
        let (mut metrics, lines) = Metrics::open(&path, kept).unwrap();
        assert_eq!(lines, [line(1)]);
        metrics.write(&line(2)).unwrap();
        let whole = metrics.sync().unwrap();
        assert_eq!(Metrics::open(&path, whole).unwrap().1, [line(1), line(2)]);
    }

    #[test]
    fn a_file_shorter_than_the_checkpoint_says_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let error = Metrics::open(&folder.path().join("metrics.jsonl"), 10).unwrap_err();
        assert!(matches!(error, MetricsError::Foreign { .. }), "{error}");
    }
}
