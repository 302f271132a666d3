//! Random weights for an export that was written without (`onnx/export.py --no-weights`): gigabytes that need not travel.

use std::{
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result};
use clap::Args;
use plaudit_training::init;

#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// The export: folders with model.onnx and init.json, tokenizer, scheduler.
    export: PathBuf,
    /// Where the whole export is written; must not exist.
    out: PathBuf,
    #[arg(long, default_value_t = 0)]
    seed: u64,
}

pub(crate) fn run(arguments: &Arguments) -> Result<()> {
    fs::create_dir(&arguments.out).with_context(|| format!("cannot make {}", arguments.out.display()))?;
    copy(&arguments.export, &arguments.out, arguments.seed)
}

fn copy(from: &Path, to: &Path, seed: u64) -> Result<()> {
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from).with_context(|| format!("cannot read {}", from.display()))? {
        let (path, target) = entry.map(|entry| (entry.path(), to.join(entry.file_name())))?;
        let rules = path.with_file_name("init.json");
        if path.is_dir() {
            copy(&path, &target, seed)?;
        } else if path.extension().is_some_and(|kind| kind == "onnx") && rules.is_file() {
            let made = init::materialise(&path, &rules, seed, to)?;
            println!("{}", made.display());
        } else {
            fs::copy(&path, &target)?;
        }
    }
    Ok(())
}
