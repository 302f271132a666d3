//! Every row against finite differences, whole models against PyTorch.
//!
//! Rows are compared in double precision, to a relative error of 1e-8, wherever ONNX Runtime has a double kernel. Where it has
//! none the case is in single precision, and the bar is rounding's: 2e-5 of the adjoint identity for an operator that is linear,
//! 2e-3 of a directional derivative for one that is not. LayerNormalization is double but for its statistics: 2e-7. Which rows
//! have no double case is a list under test (`rows::only_these_rows_have_no_case_in_double_precision`). Whole models, in single
//! precision, must come within 1e-4 of PyTorch's double precision autograd.

mod cases;
mod census;
mod driver;
mod harness;
mod models;
mod rows;
