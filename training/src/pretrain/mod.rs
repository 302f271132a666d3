//! Builds the miniature pack from nothing.

pub mod tokenizer;
