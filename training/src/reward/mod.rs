//! Learns from votes how likely a thumbs-up is: a small head over the pack's frozen CLIP (Lee et al. 2023, §4.2), calibrated on held-out votes.
//!
//! ```text
//! DATA/embeddings/            points of pictures and texts, computed once
//! DATA/<variant>-<seed>/      a training run: checkpoints, metrics, curve, looks at held-out votes, best weights
//! DATA/report.json .md        figures; figure3.svg, calibration.svg beside them
//! OUT/                        the reward pack
//! ```
//!
//! A run that was killed goes on: what is embedded and trained is not done again.

mod calibrate;
pub(crate) mod data;
mod embed;
mod error;
pub(crate) mod evaluate;
mod export;
mod fit;
mod head;
mod plot;
mod report;
mod score;
mod split;
mod table;
mod variant;

use std::path::PathBuf;

pub use calibrate::Calibration;
pub use error::RewardError;
pub use fit::Recipe;
pub use head::{HeadShape, Objective};
use plaudit::pack::Pack;
pub use variant::Variant;

use data::Data;
use embed::Embedded;
use fit::Bench;
use split::Split;
pub(crate) use split::part_of;

/// What to learn from, how, and where it goes.
#[derive(Debug, Clone)]
pub struct Training {
    /// The pack whose CLIP is used.
    pub pack: PathBuf,
    /// The dataset of votes.
    pub dataset: PathBuf,
    /// Runs, caches and the report.
    pub data: PathBuf,
    /// The reward pack; must not be there yet.
    pub out: PathBuf,
    /// Its name.
    pub name: String,
    /// Width of both hidden layers; 0 chooses by the embedding's width.
    pub hidden: usize,
    /// Whether the product of both embeddings is fed beside them.
    pub product: bool,
    /// The loss.
    pub objective: Objective,
    /// Steps at most.
    pub steps: u64,
    /// Highest learning rate.
    pub rate: f32,
    /// AdamW's decay.
    pub weight_decay: f32,
    /// Steps between looks at held-out votes.
    pub look_every: u64,
    /// Looks without gain after which a run ends.
    pub patience: usize,
    /// Seed of the split and of the pack's own run.
    pub seed: u64,
    /// Runs of each variant, with seeds from `seed` on.
    pub seeds: u64,
    /// Whether the ablations are trained too.
    pub ablations: bool,
    /// Whether raters are held out as prompts are, where rows name no part. It leaves out the votes whose rater and prompt fall into
    /// different parts, more than half of them; what it tells is how the reward does on raters that it never met.
    pub deal_raters: bool,
    /// Threads of the runtime; 0 means one for each core.
    pub threads: usize,
}

impl Default for Training {
    /// The recipe of `plaudit-train reward`; pack, dataset and places are still to be named.
    fn default() -> Self {
        Self {
            pack: PathBuf::new(),
            dataset: PathBuf::new(),
            data: PathBuf::new(),
            out: PathBuf::new(),
            name: "miniature-reward".to_owned(),
            hidden: 0,
            product: false,
            objective: Objective { batch: 128, prompts: 10, auxiliary: 0.5, temperature: 2.0 },
            steps: 3000,
            rate: 2e-4,
            weight_decay: 0.1,
            look_every: 20,
            patience: 25,
            seed: 0,
            seeds: 3,
            ablations: true,
            deal_raters: true,
            threads: 0,
        }
    }
}

/// Trains, calibrates, measures, and writes the reward pack; returns its version.
///
/// # Errors
/// A pack without a CLIP, votes too few or with parts that leak, a run directory of other votes, a full disk.
pub fn reward(training: &Training) -> Result<String, RewardError> {
    export::refuse_occupied(&training.out)?;
    let pack = Pack::open(&training.pack)?;
    let data = Data::read(&training.dataset)?;
    let split = Split::of(&data, training.seed, training.deal_raters)?;
    split.require_votes(&data)?;
    let embedded = Embedded::of(training, &data, &split, &pack)?;
    let bench = Bench { data: &data, split: &split, embedded: &embedded, threads: training.threads };
    let trained = variant::train(training, &bench)?;
    let report = report::measure(training, &bench, &trained)?;
    report.write(&training.data)?;
    export::pack(training, &pack, &trained[0], &report)
}
