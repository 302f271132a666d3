//! ONNX graphs as values: read, edit, print, write; weights live beside the graph in one safetensors file.
//!
//! [`Model`] owns plain Rust data, never protobuf messages, so an edit is an edit of vectors and maps.

mod check;
mod dtype;
pub mod edit;
pub mod expr;
mod external;
mod graph;
mod problem;
mod proto;
mod read;
mod tensor;
mod text;
mod walk;
mod write;

pub use graph::{Attribute, Dim, Graph, Model, Node, ValueInfo};
pub use problem::{Problem, Problems};
pub use read::ReadError;
pub use tensor::{Bytes, DType, MappedFile, Tensor};
pub use write::{EMBED_BELOW, ExternalRange, MODEL_FILE, WEIGHTS_FILE, WriteError};
