//! `plaudit-train collect`.

use std::path::PathBuf;

use clap::builder::RangedU64ValueParser;
use plaudit::feedback::dataset::Format;
use plaudit_training::{
    collect::{Collection, Prompts, Voters},
    miniature::rate::RaterSettings,
};

/// Draw prompts several times each and collect votes on the pictures: a dataset for `reward`.
///
/// Run again, it goes on where it stopped; with more prompts, behind the last of the run before.
#[derive(clap::Args)]
pub(crate) struct Collect {
    /// The pack that draws, with its own scheduler, guidance and the default steps.
    #[arg(long, default_value = "onnx/packs/miniature")]
    pack: PathBuf,
    /// The directory of pictures and, below it, the dataset.
    #[arg(long, default_value = "data/collect")]
    out: PathBuf,
    /// Prompts from the miniature world's grammar.
    #[arg(long, default_value_t = 1000, value_parser = RangedU64ValueParser::<usize>::new().range(1..))]
    prompts: usize,
    /// Share of the prompts that are about held-out objects (mug, moon, boat); they become a part of their own.
    #[arg(long, default_value_t = 0.2, value_parser = share)]
    held_out: f64,
    /// Prompts from a file instead, one a line.
    #[arg(long, conflicts_with_all = ["prompts", "held_out"])]
    prompts_file: Option<PathBuf>,
    /// Pictures of each prompt.
    #[arg(long, default_value_t = 8, value_parser = RangedU64ValueParser::<usize>::new().range(1..))]
    images: usize,
    /// Simulated raters in all. Each belongs to one part of the dataset and votes there only.
    #[arg(long, default_value_t = 40, value_parser = RangedU64ValueParser::<usize>::new().range(1..))]
    raters: usize,
    /// Votes on each picture, by different raters; 0 draws the pictures only, to be shown to people.
    #[arg(long, default_value_t = 2)]
    votes_per_image: usize,
    /// Share of simulated votes that are turned round.
    #[arg(long, default_value_t = 0.1, value_parser = rate)]
    error_rate: f32,
    /// Share of pictures that a simulated rater skips.
    #[arg(long, default_value_t = 0.05, value_parser = rate)]
    skip_rate: f32,
    /// How often a simulated rater forgives a picture whose only fault is one object too many or too few.
    #[arg(long, default_value_t = 0.0, value_parser = rate)]
    leniency: f32,
    /// People's votes instead: a CSV file with the columns image_id (or the picture's file name), rater, and rating (up or down).
    #[arg(long, value_name = "FILE", conflicts_with_all = ["raters", "votes_per_image", "error_rate", "skip_rate", "leniency"])]
    votes: Option<PathBuf>,
    /// How the dataset is written.
    #[arg(long, value_enum, default_value_t = Format::JsonLines)]
    format: Format,
    /// Seed of prompts, pictures and raters.
    #[arg(long, default_value_t = 0)]
    seed: u64,
    /// Threads; 0 means one for each core.
    #[arg(long, default_value_t = 0)]
    threads: usize,
}

impl Collect {
    pub(crate) fn collection(self) -> Collection {
        let settings =
            RaterSettings { error_rate: self.error_rate, skip_rate: self.skip_rate, leniency: self.leniency };
        let voters = match (self.votes, self.votes_per_image) {
            (Some(file), _) => Voters::People(file),
            (None, 0) => Voters::Nobody,
            (None, votes) => Voters::Simulated { raters: self.raters, votes, settings },
        };
        let grammar = Prompts::Grammar { amount: self.prompts, held_out: self.held_out };
        Collection {
            pack: self.pack,
            out: self.out,
            prompts: self.prompts_file.map_or(grammar, Prompts::File),
            images: self.images,
            format: self.format,
            voters,
            seed: self.seed,
            threads: self.threads,
        }
    }
}

/// A number from 0 to 1.
pub(crate) fn share(text: &str) -> Result<f64, String> {
    let number = text.parse::<f64>().map_err(|_| "not a number".to_owned())?;
    (0.0..=1.0)
        .contains(&number)
        .then_some(number)
        .ok_or_else(|| "give a share from 0 to 1, for example 0.2".to_owned())
}

fn rate(text: &str) -> Result<f32, String> {
    share(text).map(|number| number as f32)
}
