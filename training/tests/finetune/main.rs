//! Fine-tuning: the formulas against PyTorch, the runs, and what leaves them.

mod exports;
mod harness;
mod imports;
mod objectives;
mod runs;
#[cfg(target_os = "linux")]
mod sd15;
