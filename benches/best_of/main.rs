//! Best-of-N on miniature: what the pick is worth over N, and what leaving candidates out early saves and costs.
//!
//! ```sh
//! cargo bench -p plaudit-training --bench best_of -- --output runs/best_of
//! ```
//!
//! Draws every prompt's candidates in full, in few steps, and their early estimates; the reward chooses, the report judge
//! (which no reward, gate or training ever saw) says whether the choice is right. What is drawn stays in
//! `pictures`, and what is said of it in `candidates.jsonl`: a run that was stopped goes on, and without the latter everything
//! is judged anew. Writes `report.json`, `report.md` and `best_of.svg`.

mod page;
mod picks;
mod table;
mod world;

use std::path::PathBuf;

use anyhow::Result;
use clap::Parser;

/// Draw, choose, compare.
#[derive(Debug, Parser)]
pub(crate) struct Arguments {
    /// Where results go, and where a run goes on.
    #[arg(short, long, default_value = "runs/best_of")]
    output: PathBuf,
    /// Prompts.
    #[arg(long, default_value_t = 400)]
    prompts: usize,
    /// Candidates of each prompt; a power of two.
    #[arg(long, default_value_t = 32, value_parser = clap::builder::RangedU64ValueParser::<usize>::new().range(1..))]
    candidates: usize,
    /// Steps of quick looks at those that may be pruned, one or more.
    #[arg(long, value_delimiter = ',', default_values_t = [4, 8])]
    previews: Vec<usize>,
    /// Calls after which the clean picture is estimated, one or more.
    #[arg(long, value_delimiter = ',', default_values_t = [6, 10])]
    estimates: Vec<usize>,
    /// The pack.
    #[arg(long, default_value = "onnx/packs/miniature")]
    pack: PathBuf,
    /// The reward; by default the pack's own.
    #[arg(long)]
    reward: Option<PathBuf>,
    /// Threads; 0: one for each core.
    #[arg(long, default_value_t = 0)]
    threads: usize,
    /// Of the prompts.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// What `cargo bench` adds.
    #[arg(long, hide = true)]
    bench: bool,
}

fn main() -> Result<()> {
    std::env::set_current_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/.."))?;
    let arguments = Arguments::parse();
    let prompts = world::draw(&arguments)?;
    page::write(&arguments, &prompts)
}
