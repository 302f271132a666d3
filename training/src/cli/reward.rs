//! `plaudit-train reward`.

use std::path::PathBuf;

use clap::builder::RangedU64ValueParser;
use plaudit_training::reward::{Objective, Training};

/// Learn a reward from votes, calibrate and measure it, and write it as a reward pack.
///
/// Run again, it goes on where it stopped. DATA/report.md says how far the reward can be trusted.
#[derive(clap::Args)]
pub(crate) struct Reward {
    /// The pack whose frozen CLIP is used.
    #[arg(long, default_value = "onnx/packs/miniature")]
    pack: PathBuf,
    /// The dataset of votes, as `collect` or `plaudit feedback export` writes it.
    #[arg(long, default_value = "data/collect/dataset")]
    dataset: PathBuf,
    /// Where embeddings, runs and the report go.
    #[arg(long, default_value = "data/reward")]
    data: PathBuf,
    /// The reward pack to write; must not be there yet.
    #[arg(long, default_value = "data/reward/pack")]
    out: PathBuf,
    /// Its name.
    #[arg(long, default_value = "miniature-reward")]
    name: String,
    /// Width of both hidden layers; 0 means 256 for embeddings narrower than 512, and the paper's 1,024 for others.
    #[arg(long, default_value_t = 0)]
    hidden: usize,
    /// Feed the elementwise product of both embeddings beside them, and add its sum, CLIP's cosine, to the logit. Helped with a thousand
    /// votes, and no more with seven thousand.
    #[arg(long, default_value_t = false, action = clap::ArgAction::Set)]
    product: bool,
    /// Votes of a step.
    #[arg(long, default_value_t = 128, value_parser = RangedU64ValueParser::<usize>::new().range(1..))]
    batch: usize,
    /// Weight of prompt classification.
    #[arg(long, default_value_t = 0.5)]
    lambda: f32,
    /// Temperature of prompt classification.
    #[arg(long, default_value_t = 2.0)]
    temperature: f32,
    /// Prompts that a good picture's own is chosen from.
    #[arg(long, default_value_t = 10, value_parser = RangedU64ValueParser::<usize>::new().range(2..))]
    choices: usize,
    /// Steps at most.
    #[arg(long, default_value_t = 3000, value_parser = clap::value_parser!(u64).range(1..))]
    steps: u64,
    /// Highest learning rate.
    #[arg(long, default_value_t = 2e-4)]
    rate: f32,
    /// AdamW's weight decay.
    #[arg(long, default_value_t = 0.1)]
    weight_decay: f32,
    /// Steps between looks at held-out votes, and between checkpoints.
    #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u64).range(1..))]
    look_every: u64,
    /// Looks without gain after which a run ends.
    #[arg(long, default_value_t = 25, value_parser = RangedU64ValueParser::<usize>::new().range(1..))]
    patience: usize,
    /// Seed of the split and of the pack's own run.
    #[arg(long, default_value_t = 0)]
    seed: u64,
    /// Runs of each variant for the report's figures, with seeds from the seed on.
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u64).range(1..))]
    seeds: u64,
    /// Also train without prompt classification, from half the pictures, and with other features, for the report.
    #[arg(long, default_value_t = true, action = clap::ArgAction::Set)]
    ablations: bool,
    /// Threads; 0 means one for each core.
    #[arg(long, default_value_t = 0)]
    threads: usize,
}

impl Reward {
    pub(crate) fn training(self) -> Training {
        Training {
            pack: self.pack,
            dataset: self.dataset,
            data: self.data,
            out: self.out,
            name: self.name,
            hidden: self.hidden,
            product: self.product,
            objective: Objective {
                batch: self.batch,
                prompts: self.choices,
                auxiliary: self.lambda,
                temperature: self.temperature,
            },
            steps: self.steps,
            rate: self.rate,
            weight_decay: self.weight_decay,
            look_every: self.look_every,
            patience: self.patience,
            seed: self.seed,
            seeds: self.seeds,
            ablations: self.ablations,
            deal_raters: true,
            threads: self.threads,
        }
    }
}
