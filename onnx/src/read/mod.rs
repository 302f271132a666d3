//! Reading: `model.onnx` and the files its external data lies in become a [`Model`]; whatever a [`Model`] cannot hold
//! is refused by name, all of it at once.

mod attribute;
mod graph;
mod tensor;
#[cfg(test)]
mod tests;

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use prost::Message;

use crate::{Model, Problems, external, external::Directory, proto};

/// The oldest IR version that names its operator sets.
const FIRST_IR: i64 = 3;
/// The newest IR version that `proto/onnx.proto` describes; a later one may hold fields we would drop.
const LAST_IR: i64 = proto::Version::IrVersion as i64;

/// Why a model could not be read.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// The file itself could not be opened.
    #[error("cannot open the model: {0}")]
    Open(String),
    /// Not a protobuf message of ONNX.
    #[error("{path}: not an ONNX model, or a damaged one: {source}", path = path.display())]
    Decode {
        /// The file; empty for bytes in memory.
        path: PathBuf,
        /// What the decoder says.
        source: prost::DecodeError,
    },
    /// A message of ONNX with something wrong or unsupported in it.
    #[error("{path}: {count} problem(s){problems}", path = path.display(), count = problems.len())]
    Invalid {
        /// The file; empty for bytes in memory.
        path: PathBuf,
        /// All problems of the file.
        problems: Problems,
    },
}

impl Model {
    /// Reads `path`, mapping external data (of any layout, safetensors or plain) instead of copying it.
    ///
    /// # Errors
    /// Anything that is not a self-contained model: symbolic or hard links, external data outside the model's
    /// directory or of another length than shape and element type say, unknown external-data keys, functions, sparse
    /// initializers, element types outside [`crate::DType`], nodes out of order. All problems are reported together.
    pub fn read(path: &Path) -> Result<Self, ReadError> {
        let map = external::map_file(path).map_err(ReadError::Open)?;
        let root = path.parent().unwrap_or(Path::new(""));
        decode(&map, path, Some(Directory::new(root)))
    }

    /// Reads a model whose tensors are all embedded.
    ///
    /// # Errors
    /// As [`Model::read`]; external data is refused, since bytes have no directory.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, ReadError> {
        decode(bytes, Path::new(""), None)
    }
}

fn decode(bytes: &[u8], path: &Path, directory: Option<Directory>) -> Result<Model, ReadError> {
    let message =
        proto::ModelProto::decode(bytes).map_err(|source| ReadError::Decode { path: path.to_owned(), source })?;
    let mut reader = Reader { directory, problems: Problems::default() };
    let model = reader.model(message);
    crate::check::model(&model, &mut reader.problems);
    reader.problems.none_or(model).map_err(|problems| ReadError::Invalid { path: path.to_owned(), problems })
}

/// Turns messages into values and keeps what it could not turn.
struct Reader {
    directory: Option<Directory>,
    problems: Problems,
}

impl Reader {
    fn model(&mut self, message: proto::ModelProto) -> Model {
        let ir_version = message.ir_version.unwrap_or(0);
        if !(FIRST_IR..=LAST_IR).contains(&ir_version) {
            self.problems.add("model", format!("IR version {ir_version}; {FIRST_IR} to {LAST_IR} are supported"));
        }
        for function in &message.functions {
            let name = function.name.as_deref().unwrap_or("");
            self.problems.add(format!("function `{name}`"), "model functions are unsupported: inline them on export");
        }
        if !message.training_info.is_empty() {
            self.problems.add("model", "training information is unsupported");
        }
        let opsets: BTreeMap<String, i64> = message
            .opset_import
            .into_iter()
            .map(|entry| (default_domain(entry.domain.unwrap_or_default()), entry.version.unwrap_or(0)))
            .collect();
        let graph = match message.graph {
            Some(graph) => self.graph(graph, ""),
            None => {
                self.problems.add("model", "has no graph");
                crate::Graph::default()
            }
        };
        let pair =
            |entry: proto::StringStringEntryProto| (entry.key.unwrap_or_default(), entry.value.unwrap_or_default());
        Model { ir_version, opsets, graph, metadata: message.metadata_props.into_iter().map(pair).collect() }
    }
}

/// ONNX's own domain has two names; we keep the empty one.
fn default_domain(domain: String) -> String {
    if domain == "ai.onnx" { String::new() } else { domain }
}
