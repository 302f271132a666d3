//! The HTTP API over the bundled pack, as clients meet it.
#![allow(missing_docs, unreachable_pub)]

mod best_of;
mod compat;
mod document;
mod edits;
mod generations;
mod harness;
mod jobs;
mod owners;
mod protocol;
mod scoring;
mod stopping;
mod traces;
mod versions;
