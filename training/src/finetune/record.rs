//! What a run is: written down when it begins, compared when it goes on, and carried by the tuned pack.

use std::{fs, path::Path};

use plaudit::{
    pack::{Pack, PackLineage},
    pipeline::schedule::SchedulerKind,
};
use serde_json::{Value, json};

use super::{Finetune, FinetuneError, data::Data};

/// What a run was begun with, in its directory.
const BEGUN: &str = "begun.json";
/// What must not change between two legs. Rate, steps and rhythm may.
const FIXED: [&str; 16] = [
    "parent",
    "data_sha256",
    "objective",
    "signal",
    "pretraining_weight",
    "pretraining_share",
    "prompt_drop",
    "anchor",
    "balance",
    "guidance",
    "timesteps",
    "selection",
    "validation_share",
    "rows",
    "micro_batches",
    "seed",
];

/// Everything that decides the result, without paths and times: equal runs have equal records.
fn record(settings: &Finetune, pack: &Pack, data: &Data) -> Value {
    json!({
        "parent": pack.version(),
        "data_sha256": data.sha256,
        "pictures": data.scored.len(),
        "votes": data.votes.len(),
        "pretraining_pictures": data.pretraining.len(),
        "objective": settings.objective,
        "signal": settings.signal,
        "reward": data.reward,
        "pretraining_weight": settings.pretraining_weight,
        "pretraining_share": settings.pretraining_share,
        "prompt_drop": settings.prompt_drop,
        "anchor": settings.gamma(),
        "balance": settings.balance,
        "guidance": settings.guidance,
        "timesteps": settings.timesteps,
        "selection": settings.selection,
        "validation_share": settings.validation_share,
        "steps": settings.steps,
        "rows": settings.rows,
        "micro_batches": settings.micro_batches,
        "rate": settings.rate,
        "warmup": settings.warmup,
        "weight_decay": settings.weight_decay,
        "average": settings.average,
        "scheduler": settings.scheduler.map(SchedulerKind::name),
        "seed": settings.seed,
    })
}

/// What the tuned pack says of itself.
pub(super) fn lineage(settings: &Finetune, pack: &Pack, data: &Data) -> PackLineage {
    let (events, events_sha256) = data.events.clone().unzip();
    PackLineage {
        parent: pack.version(),
        events,
        events_sha256,
        data_sha256: data.sha256.clone(),
        training: record(settings, pack, data),
    }
}

/// Writes the record into the run's directory, or compares with what is there.
pub(super) fn begin(settings: &Finetune, pack: &Pack, data: &Data, directory: &Path) -> Result<(), FinetuneError> {
    fs::create_dir_all(directory).map_err(FinetuneError::io("create", directory))?;
    let path = directory.join(BEGUN);
    let now = record(settings, pack, data);
    if !path.exists() {
        let aside = path.with_extension("new");
        fs::write(&aside, format!("{now:#}\n")).map_err(FinetuneError::io("write", &aside))?;
        return fs::rename(&aside, &path).map_err(FinetuneError::io("rename to", &path));
    }
    let text = fs::read(&path).map_err(FinetuneError::io("read", &path))?;
    let before: Value =
        serde_json::from_slice(&text).map_err(|error| FinetuneError::content(&path, error.to_string()))?;
    // Through text, as the one on disk came: numbers of another width are equal then.
    let now: Value = serde_json::from_str(&now.to_string()).unwrap_or_default();
    let differs = FIXED.into_iter().find(|field| before[*field] != now[*field]);
    differs.map_or(Ok(()), |field| {
        let (before, now) = (before[field].to_string(), now[field].to_string());
        Err(FinetuneError::Begun { path: directory.to_owned(), field: field.to_owned(), before, now })
    })
}
