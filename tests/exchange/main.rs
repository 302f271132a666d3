//! Votes between a store and files, beside a server that holds the store: export, import, figures, erasure.
#![allow(missing_docs)]

mod erasing;
mod exporting;
mod harness;
mod importing;
