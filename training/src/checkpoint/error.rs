//! What can go wrong with checkpoints.

use std::path::PathBuf;

/// Why a checkpoint cannot be written or read.
#[derive(Debug, thiserror::Error)]
pub enum CheckpointError {
    /// The file system refused.
    #[error("cannot {action} {path}: {source}; is the run directory writable and the disk not full?")]
    Io {
        /// What was tried.
        action: &'static str,
        /// File or directory.
        path: PathBuf,
        /// The system's answer.
        source: std::io::Error,
    },
    /// The weights file cannot be made.
    #[error("cannot write {path}: {source}")]
    Tensors {
        /// The file.
        path: PathBuf,
        /// The library's answer.
        source: safetensors::SafeTensorError,
    },
    /// There are checkpoints, and none is whole.
    #[error("no checkpoint in {directory} can be read: {}; move the run directory aside to start anew", .reasons.join("; "))]
    NoneWhole {
        /// Where they were looked for.
        directory: PathBuf,
        /// What is wrong with each.
        reasons: Vec<String>,
    },
    /// The checkpoint is of another run.
    #[error(
        "the checkpoint of step {step} was made with another {what}: {detail}; use the same, or another run directory"
    )]
    Foreign {
        /// The checkpoint's step.
        step: u64,
        /// What is another.
        what: &'static str,
        /// How they differ.
        detail: String,
    },
}
