//! ONNX graphs as values: read, edit, print, write; weights live beside the graph in one safetensors file.
//!
//! [`Model`] owns plain Rust data, never protobuf messages, so an edit is an edit of vectors and maps.

mod graph;
mod tensor;

pub use graph::{Attribute, Dim, Graph, Model, Node, ValueInfo};
pub use tensor::{Bytes, DType, Tensor};
