//! From a prompt to pictures: tokenize, encode the text, denoise, decode, encode.

pub mod noise;
pub mod schedule;
pub mod tokenize;
