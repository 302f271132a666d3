//! `plaudit-train data`.

use std::path::PathBuf;

use clap::Subcommand;
use plaudit_training::finetune::{Import, import};

/// Data sets that do not come from votes.
#[derive(clap::Args)]
pub(crate) struct Data {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    Import(ImportArguments),
}

/// Import captioned pictures as the pre-training set of `finetune`.
///
/// SOURCE is a folder with .parquet files (columns image and text, caption or prompt, as Hugging Face has them), with metadata.jsonl, or
/// with pictures and a .txt of the same name beside each; or one such file. Pictures are cut to their middle square at the pack's size.
#[derive(clap::Args)]
struct ImportArguments {
    /// Where the pictures are.
    source: PathBuf,
    /// The pack whose size they get.
    #[arg(long, value_name = "PACK_DIR", default_value = "onnx/packs/miniature")]
    pack: PathBuf,
    /// The set to write; must not be there yet.
    #[arg(short, long, value_name = "DIR", default_value = "data/pretraining")]
    output: PathBuf,
    /// Leave out pictures smaller than the pack's size, instead of enlarging them.
    #[arg(long)]
    no_small: bool,
    /// Pictures at most.
    #[arg(long, value_name = "N")]
    most: Option<usize>,
    /// Leave out pictures that cannot be used, instead of stopping at the first; import.json lists why.
    #[arg(long)]
    skip_faulty: bool,
}

impl Data {
    /// Imports and says what came of it.
    pub(crate) fn run(self) -> anyhow::Result<()> {
        let Command::Import(chosen) = self.command;
        let settings = Import {
            source: chosen.source,
            pack: chosen.pack,
            out: chosen.output,
            no_small: chosen.no_small,
            most: chosen.most,
            skip_faulty: chosen.skip_faulty,
            show: true,
        };
        let made = import(&settings)?;
        println!("{} pictures of {side}×{side} pixels", made.pictures, side = made.side);
        let out = settings.out.display();
        eprintln!(
            "{out} is there; left out: {} repeated, {} too small, {} faulty.\nNext: plaudit-train finetune --pretraining {out} --dataset DATASET",
            made.repeated, made.small, made.faulty
        );
        Ok(())
    }
}
