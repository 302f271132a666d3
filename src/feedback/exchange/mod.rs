//! Votes between a store and files.

mod export;
mod import;

pub use export::{Exported, export_dataset, export_lines};
pub use import::{ImportError, ImportSettings, ImportSummary, import};
