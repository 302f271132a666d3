//! Fine-tunes a pack's denoiser on scored pictures and votes (Lee et al. 2023, §4.3, and what came after), and leaves a pack that can be published.
//!
//! ```text
//! DATA/cache/                 latents, text embeddings and rewards, computed once (see `cache`)
//! DATA/run/                   checkpoints, metrics.jsonl, curve.svg, looks.jsonl, sheets/, validation.jsonl, begun.json
//! DATA/exports/               the tuned UNet for others: diffusers/, and after a LoRA run lora/
//! OUT/                        the tuned pack, whole or not there
//! ```
//!
//! A run that was killed goes on where its last checkpoint stands and ends with the same bytes. The formulas are in [`objective`](Objective).

mod batch;
pub(crate) mod cache;
mod data;
mod deck;
mod error;
mod estimate;
mod export;
mod forward;
mod graph;
mod import;
mod kto;
mod latent_reward;
mod look;
mod noising;
mod objective;
mod pull;
mod record;
mod rollout;
mod settings;
mod source;
mod train;
mod validation;
mod watch;

use std::path::PathBuf;

use plaudit::pack::Pack;

pub use error::FinetuneError;
pub use graph::{
    ANCHOR, BASELINE, GUIDANCE, KTO_SLOPE, KTO_WEIGHT, MIX, NOISE, PREDICTION, REFERENCE, Shape, WEIGHT, current_graph,
    forward_graph, objective_graph,
};
pub use import::{Import, Imported, import};
pub use objective::{Kto, LatentReward, Objective, effective_size};
pub use settings::{Finetune, Signal};

/// What a finished run left.
#[derive(Debug, Clone, PartialEq)]
pub struct Tuned {
    /// The tuned pack; `plaudit registry publish generator` takes it as it is.
    pub pack: PathBuf,
    /// Its version, `name@` and twelve digits.
    pub version: String,
    /// Version of the pack that was tuned.
    pub parent: String,
    /// Steps done, over all legs.
    pub steps: u64,
    /// Seconds of training, over all legs.
    pub seconds: f64,
    /// SHA-256 over everything that was learned from: pictures, prompts, votes and rewards.
    pub data_sha256: String,
    /// First and last event of the labelled dataset, where its `export.json` says.
    pub events: Option<(i64, i64)>,
    /// Files for other programs: diffusers' UNet, LoRA files.
    pub exports: Vec<PathBuf>,
    /// Mean reward of the sample sheet's pictures before the first step and after the last; `None` where no sheet was asked for or there is no reward.
    pub rewards: Option<(f64, f64)>,
    /// The last loss on prompts that were not learned from, less the parent's, and the parent's; `None` where none were kept back.
    pub validation: Option<(f64, f64)>,
}

/// Fine-tunes, exports and verifies. Blocks; shows a bar, or lines where there is no terminal.
///
/// The same settings, data and seed give the same pack, byte for byte, on one machine and number of threads.
///
/// # Errors
/// Settings or data that cannot be used (all refusals say what to change), too little memory or time, divergence (the last good
/// checkpoint stays), a leg that ended before the last step ([`FinetuneError::Unfinished`]: call again to go on), a full disk.
pub fn finetune(settings: &Finetune) -> Result<Tuned, FinetuneError> {
    settings.check()?;
    export::refuse_occupied(&settings.out, None)?;
    let pack = Pack::open(&settings.pack)?;
    let settings = &settings.resolved(&pack);
    settings.scheduled(&pack)?;
    let data = data::Data::gather(settings, &pack)?;
    let lineage = record::lineage(settings, &pack, &data);
    export::refuse_occupied(&settings.out, Some(&lineage))?;
    record::begin(settings, &pack, &data, &train::directory(settings))?;
    let trained = train::train(settings, &pack, &data)?;
    let exported = export::export(settings, &pack, &trained.trainer, lineage)?;
    Ok(Tuned {
        pack: settings.out.clone(),
        version: exported.version,
        parent: pack.version(),
        steps: trained.trainer.steps(),
        seconds: trained.trainer.seconds(),
        data_sha256: data.sha256,
        events: data.events.map(|(range, _)| range),
        exports: exported.files,
        rewards: trained.rewards,
        validation: trained.validation,
    })
}
