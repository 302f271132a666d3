//! The messages of `proto/onnx.proto`, generated; `tests/generated.rs` keeps the two together.

#![allow(missing_docs, unreachable_pub, clippy::all)]

include!("onnx.rs");
