//! `plaudit registry list | show | log | served-at`.

use std::collections::HashMap;

use clap::Args;
use plaudit::registry::{Kind, Registry, VersionId};
use serde_json::json;

use super::text;

#[derive(Debug, Args)]
pub(super) struct List {
    /// generator or reward; by default both
    kind: Option<Kind>,
    /// Versions that are shown at most
    #[arg(long, default_value_t = 100, value_name = "VERSIONS")]
    most: usize,
    /// Everything, as JSON
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Args)]
pub(super) struct Show {
    /// generator or reward
    kind: Kind,
    /// The version
    version: VersionId,
    /// Everything, as JSON
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Args)]
pub(super) struct Log {
    /// generator or reward; by default both
    kind: Option<Kind>,
    /// Only entries after this sequence
    #[arg(long, default_value_t = 0, value_name = "SEQUENCE")]
    after: i64,
    /// Entries that are shown at most
    #[arg(long, default_value_t = 1000, value_name = "ENTRIES")]
    most: usize,
    /// Everything, as JSON
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  plaudit registry served-at 2026-03-01T12:00:00Z
  plaudit registry served-at 1772366400 --json")]
pub(super) struct ServedAt {
    /// Unix seconds, or a time such as 2026-03-01T12:00:00Z
    #[arg(value_parser = time)]
    time: i64,
    /// Everything, as JSON
    #[arg(long)]
    json: bool,
}

pub(super) async fn list(registry: &Registry, arguments: List) -> anyhow::Result<()> {
    let versions = registry.versions(arguments.kind, arguments.most, None).await?;
    let mut aliases = HashMap::new();
    for kind in Kind::ALL {
        aliases.insert(kind, registry.aliases(kind).await?);
    }
    if arguments.json {
        println!("{}", serde_json::to_string_pretty(&json!({"versions": versions, "aliases": aliases}))?);
    } else {
        print!("{}", text::versions(&versions, &aliases));
        if versions.is_empty() {
            eprintln!("there are no versions; `plaudit registry publish` makes one of a pack");
        }
    }
    Ok(())
}

pub(super) async fn show(registry: &Registry, arguments: Show) -> anyhow::Result<()> {
    let record = registry.version(arguments.kind, &arguments.version).await?;
    match arguments.json {
        true => println!("{}", serde_json::to_string_pretty(&record)?),
        false => print!("{}", text::version(&record, &registry.folder(arguments.kind, &arguments.version))?),
    }
    Ok(())
}

pub(super) async fn log(registry: &Registry, arguments: Log) -> anyhow::Result<()> {
    let entries = registry.promotions(arguments.kind, arguments.after, arguments.most).await?;
    match arguments.json {
        true => println!("{}", serde_json::to_string_pretty(&entries)?),
        false => entries.iter().map(text::entry).for_each(|line| println!("{line}")),
    }
    Ok(())
}

pub(super) async fn served_at(registry: &Registry, arguments: ServedAt) -> anyhow::Result<()> {
    let servings = registry.served_at(arguments.time).await?;
    if arguments.json {
        println!("{}", serde_json::to_string_pretty(&servings)?);
        return Ok(());
    }
    servings.iter().map(text::serving).for_each(|lines| print!("{lines}"));
    if servings.is_empty() {
        eprintln!("nothing was served at {}", text::time(arguments.time));
    }
    Ok(())
}

fn time(text: &str) -> Result<i64, String> {
    let seconds = text.parse().ok().or_else(|| Some(text.parse::<jiff::Timestamp>().ok()?.as_second()));
    seconds.ok_or_else(|| "it must be Unix seconds, or a time such as 2026-03-01T12:00:00Z".to_owned())
}
