//! Scoring: CLIP against transformers, reward packs that are refused, and the queue.
#![allow(missing_docs, unreachable_pub)]

#[path = "../common/mod.rs"]
mod common;
mod harness;
#[allow(dead_code)] // other tests use the rest
#[path = "../common/rewards.rs"]
mod made;
#[allow(dead_code)] // other tests use the rest
#[path = "../common/packs.rs"]
mod packs;
mod parity;
mod queue;
mod rewards;
