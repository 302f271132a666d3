//! Every row against finite differences, whole models against PyTorch.

mod cases;
mod driver;
mod harness;
mod models;
mod rows;
