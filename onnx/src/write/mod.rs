//! Writing: a graph without weights, `model.onnx`, beside its weights, `model.safetensors`.

mod encode;
mod weights;

use std::{
    fs::{self, File, Permissions},
    io::{self, Write},
    path::{Path, PathBuf},
};

use prost::Message;

use crate::{Model, Tensor};

/// The graph's file name.
pub const MODEL_FILE: &str = "model.onnx";
/// The weights' file name.
pub const WEIGHTS_FILE: &str = "model.safetensors";

/// Integers and scalars of fewer bytes stay in the graph: axes and shapes, whose values ONNX Runtime wants to see when it
/// infers shapes, and which are no weights.
pub const EMBED_BELOW: usize = 1024;

/// What protobuf can hold.
const PROTOBUF_LIMIT: usize = i32::MAX as usize;

/// Why a model could not be written.
#[derive(Debug, thiserror::Error)]
pub enum WriteError {
    /// The directory already holds a model; nothing is ever overwritten in place.
    #[error("{} exists; write into a fresh directory", path.display())]
    Exists {
        /// The file in the way.
        path: PathBuf,
    },
    /// The file system refused.
    #[error("cannot write {}: {source}", path.display())]
    Io {
        /// What was being written.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// The graph alone is past protobuf's limit.
    #[error(
        "the graph without its weights takes {bytes} bytes, past protobuf's {PROTOBUF_LIMIT}: make large constants initializers"
    )]
    TooLarge {
        /// Its size.
        bytes: usize,
    },
    /// A tensor's bytes are not what its shape and element type say.
    #[error("initializer `{name}` has {bytes} bytes; its shape and element type take {expected}")]
    Tensor {
        /// The initializer.
        name: String,
        /// Bytes it has.
        bytes: usize,
        /// Bytes it should have.
        expected: usize,
    },
}

/// Where a tensor lies outside the graph's file: the values of ONNX's external-data keys.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExternalRange {
    /// File, relative to the model's directory.
    pub location: String,
    /// First byte in that file.
    pub offset: usize,
    /// Number of bytes.
    pub length: usize,
}

impl Model {
    /// The model as one ONNX message with every tensor embedded. Deterministic: equal models give equal bytes.
    pub fn to_bytes(&self) -> Vec<u8> {
        self.to_bytes_with(|_, _| None)
    }

    /// The model with those initializers external for which `range` names a place; the caller keeps their bytes there.
    pub fn to_bytes_with(&self, range: impl Fn(&str, &Tensor) -> Option<ExternalRange>) -> Vec<u8> {
        encode::model(self, &range).encode_to_vec()
    }

    /// Writes [`MODEL_FILE`] and [`WEIGHTS_FILE`] into `directory`, made if need be. All weights, whatever their size, and
    /// other initializers of at least [`EMBED_BELOW`] bytes go to the weights, where the graph points to them by offset.
    ///
    /// Atomic: both files are written aside, flushed to the disk and renamed, the graph last, so a directory with a
    /// [`MODEL_FILE`] holds a whole model whenever the power fails.
    ///
    /// # Errors
    /// [`WriteError::Exists`] if the directory holds a model already; otherwise as the variants say.
    pub fn write(&self, directory: &Path) -> Result<(), WriteError> {
        self.write_pair(directory, MODEL_FILE, WEIGHTS_FILE)
    }

    /// As [`Model::write`] under names of the caller's, for directories that hold several models.
    ///
    /// # Errors
    /// As [`Model::write`].
    pub fn write_pair(&self, directory: &Path, model: &str, weights_file: &str) -> Result<(), WriteError> {
        fs::create_dir_all(directory).map_err(|source| WriteError::Io { path: directory.to_owned(), source })?;
        let target = directory.join(model);
        if fs::symlink_metadata(&target).is_ok() {
            return Err(WriteError::Exists { path: target });
        }
        let weights = weights::Layout::new(self.graph.external_initializers(), weights_file)?;
        let graph = self.to_bytes_with(|name, _| weights.range(name));
        if graph.len() > PROTOBUF_LIMIT {
            return Err(WriteError::TooLarge { bytes: graph.len() });
        }
        write_file(directory, weights_file, |file| weights.write(file))?;
        write_file(directory, model, |file| file.write_all(&graph))?;
        sync_directory(directory)
    }
}

/// Writes `directory/name` aside and renames it into place once it is on the disk.
fn write_file(
    directory: &Path,
    name: &str,
    fill: impl FnOnce(&mut io::BufWriter<&File>) -> io::Result<()>,
) -> Result<(), WriteError> {
    let path = directory.join(name);
    let fault = |source| WriteError::Io { path: path.clone(), source };
    let aside = create_aside(directory, name).map_err(fault)?;
    let mut buffered = io::BufWriter::with_capacity(1 << 20, aside.as_file());
    fill(&mut buffered).and_then(|()| buffered.flush()).map_err(fault)?;
    drop(buffered);
    aside.as_file().sync_all().map_err(fault)?;
    aside.persist(&path).map_err(|error| fault(error.error))?;
    Ok(())
}

/// A temporary file readable by whoever the process's umask lets read, unlike a private one.
fn create_aside(directory: &Path, name: &str) -> io::Result<tempfile::NamedTempFile> {
    let prefix = format!(".{name}.");
    let mut builder = tempfile::Builder::new();
    builder.prefix(&prefix);
    #[cfg(unix)]
    builder.permissions(<Permissions as std::os::unix::fs::PermissionsExt>::from_mode(0o666));
    builder.tempfile_in(directory)
}

fn sync_directory(directory: &Path) -> Result<(), WriteError> {
    // Only a Unix directory can be opened and flushed as a file.
    #[cfg(unix)]
    File::open(directory)
        .and_then(|handle| handle.sync_all())
        .map_err(|source| WriteError::Io { path: directory.to_owned(), source })?;
    Ok(())
}
