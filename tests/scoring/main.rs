//! Scoring: CLIP against transformers, reward packs that are refused, and the queue.
#![allow(missing_docs, unreachable_pub)]

#[path = "../common/mod.rs"]
mod common;
mod harness;
mod parity;
mod rewards;
