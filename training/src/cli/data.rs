//! `plaudit-train data`.

use std::path::PathBuf;

use anyhow::Context;
use clap::Subcommand;
use plaudit_training::{
    finetune::{Import, import},
    miniature::album,
};

/// Data sets that do not come from votes.
#[derive(clap::Args)]
pub(crate) struct Data {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    Draw(DrawArguments),
    Import(ImportArguments),
}

/// Draw captioned scenes of the miniature world: the pre-training set of `finetune` for the bundled pack.
#[derive(clap::Args)]
struct DrawArguments {
    /// Pictures.
    #[arg(long, value_name = "N", default_value_t = 2000)]
    pictures: usize,
    /// Seed of scenes and poses.
    #[arg(long, default_value_t = 0)]
    seed: u64,
    /// The set to write; must not be there yet.
    #[arg(short, long, value_name = "DIR", default_value = "data/pretraining")]
    output: PathBuf,
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
    /// Does it and says what came of it.
    pub(crate) fn run(self) -> anyhow::Result<()> {
        match self.command {
            Command::Draw(chosen) => chosen.run(),
            Command::Import(chosen) => chosen.run(),
        }
    }
}

impl DrawArguments {
    fn run(self) -> anyhow::Result<()> {
        let out = self.output.display();
        album(&self.output, self.pictures, self.seed).with_context(|| format!("cannot write {out}"))?;
        println!("{} pictures", self.pictures);
        eprintln!("{out} is there.\nNext: plaudit-train finetune --pretraining {out} --dataset DATASET");
        Ok(())
    }
}

impl ImportArguments {
    fn run(self) -> anyhow::Result<()> {
        let settings = Import {
            source: self.source,
            pack: self.pack,
            out: self.output,
            no_small: self.no_small,
            most: self.most,
            skip_faulty: self.skip_faulty,
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
