//! Votes as datasets: both formats, what other programs read and write, what is refused.
#![allow(missing_docs)]

#[path = "../common/mod.rs"]
mod common;
mod damage;
mod harness;
mod paths;
mod peers;
mod round_trip;
