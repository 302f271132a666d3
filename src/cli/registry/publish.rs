//! `plaudit registry publish`.

use std::path::{Path, PathBuf};

use anyhow::Context;
use clap::Args;
use plaudit::registry::{EventRange, Kind, Lineage, Registry, VersionId};
use serde_json::Value;

use super::actor;

#[derive(Debug, Args)]
#[command(after_help = "\
Publishing the same once more changes nothing. What is written down of a version is written once.

Examples:
  plaudit registry publish generator onnx/packs/miniature
  plaudit registry publish generator runs/7/pack --parent miniature@0123456789ab --events 1..2048 --evidence gate.json")]
pub(super) struct Arguments {
    /// generator or reward
    kind: Kind,
    /// The pack or reward pack
    dir: PathBuf,
    /// The version that it was trained from
    #[arg(long, value_name = "VERSION")]
    parent: Option<VersionId>,
    /// The events that it was trained on, both ends included
    #[arg(long, value_name = "FIRST..LAST", value_parser = range)]
    events: Option<EventRange>,
    /// SHA-256 of what was read of those events, as the dataset's export.json has it
    #[arg(long, value_name = "HASH")]
    events_digest: Option<String>,
    /// A JSON file: how it was trained
    #[arg(long, value_name = "FILE")]
    training: Option<PathBuf>,
    /// A JSON file: why it may be promoted
    #[arg(long, value_name = "FILE")]
    evidence: Option<PathBuf>,
    /// Who; by default the user's name
    #[arg(long, value_name = "NAME")]
    actor: Option<String>,
    /// The version's row, as JSON
    #[arg(long)]
    json: bool,
}

pub(super) async fn run(registry: &Registry, arguments: Arguments) -> anyhow::Result<()> {
    let Arguments { kind, dir, parent, events, events_digest, training, evidence, actor: named, json } = arguments;
    let (training, evidence) = (read(training.as_deref())?, read(evidence.as_deref())?);
    let lineage = Lineage { parent, events, events_digest, training, evidence, published_by: actor(named) };
    let record = registry.publish(kind, &dir, lineage).await?;
    match json {
        true => println!("{}", serde_json::to_string_pretty(&record)?),
        false => println!("{}", record.version),
    }
    eprintln!("{} is published as {} {}", dir.display(), record.kind, record.version);
    Ok(())
}

fn read(path: Option<&Path>) -> anyhow::Result<Value> {
    let Some(path) = path else { return Ok(Value::Null) };
    let text = std::fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
    serde_json::from_str(&text).with_context(|| format!("{} is not JSON", path.display()))
}

fn range(text: &str) -> Result<EventRange, String> {
    let ends = text.split_once("..").and_then(|(first, last)| Some((first.parse().ok()?, last.parse().ok()?)));
    let sound = ends.filter(|(first, last)| 0 <= *first && first <= last);
    sound.map(|(first, last)| EventRange { first, last }).ok_or_else(|| "it must be such as 1..2048".to_owned())
}
