//! The gate: it lets an equal candidate pass, and finds regressions that were planted.

mod generators;
mod harness;
mod planted;
mod rewards;
mod table;
