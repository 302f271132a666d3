//! What the registry knows, for people.

use std::{collections::HashMap, fmt::Write, path::Path};

use plaudit::registry::{Aliases, Kind, Lineage, PromotionRecord, Serving, VersionId, VersionRecord, VersionState};

/// Unix seconds as a time.
pub(super) fn time(seconds: i64) -> String {
    jiff::Timestamp::from_second(seconds).map_or_else(|_| seconds.to_string(), |time| time.to_string())
}

/// A line a version.
pub(super) fn versions(records: &[VersionRecord], aliases: &HashMap<Kind, Aliases>) -> String {
    let width = records.iter().map(|record| record.version.as_str().len()).max().unwrap_or_default();
    let line = |record: &VersionRecord| {
        let VersionRecord { kind, version, created, lineage, .. } = record;
        let state = state(record, aliases.get(kind));
        format!("{kind:<9}  {:width$}  {state:<9}  {}  {}\n", version.as_str(), time(*created), lineage.published_by)
    };
    records.iter().map(line).collect()
}

fn state(record: &VersionRecord, aliases: Option<&Aliases>) -> &'static str {
    let is = |named: fn(&Aliases) -> &Option<VersionId>| {
        aliases.is_some_and(|aliases| named(aliases).as_ref() == Some(&record.version))
    };
    match record.state {
        VersionState::Retired => "retired",
        VersionState::Ready if is(|aliases| &aliases.champion) => "champion",
        VersionState::Ready if is(|aliases| &aliases.candidate) => "candidate",
        VersionState::Ready => "ready",
    }
}

/// All of a version.
pub(super) fn version(record: &VersionRecord, folder: &Path) -> Result<String, std::fmt::Error> {
    let VersionRecord { kind, version, manifest, bytes, signed_by, created, retired, lineage, .. } = record;
    let mut text = format!("{kind} {version}\n");
    writeln!(text, "  published     {} by {}", time(*created), lineage.published_by)?;
    match retired {
        Some(when) => writeln!(text, "  retired       {}", time(*when))?,
        None => writeln!(text, "  folder        {}", folder.display())?,
    }
    writeln!(text, "  manifest      {manifest}")?;
    writeln!(text, "  bytes         {bytes}, shared ones too")?;
    writeln!(text, "  signed by     {}", signed_by.as_deref().unwrap_or("-"))?;
    text.push_str(&origin(lineage));
    Ok(text)
}

/// Where a version comes from.
fn origin(lineage: &Lineage) -> String {
    let Lineage { parent, events, events_digest, training, evidence, .. } = lineage;
    let parent = parent.as_ref().map_or("-", VersionId::as_str);
    let events = events.map_or_else(|| "-".to_owned(), |range| format!("{} to {}", range.first, range.last));
    let digest = events_digest.as_deref().unwrap_or("-");
    format!(
        "  trained from  {parent}\n  on events     {events}\n  their hash    {digest}\n  training      {training}\n  evidence      {evidence}\n"
    )
}

/// A line of the log.
pub(super) fn entry(entry: &PromotionRecord) -> String {
    let PromotionRecord { sequence, kind, action, version, previous, actor, reason, created } = entry;
    let text = |version: &Option<VersionId>| version.as_ref().map_or_else(|| "none".to_owned(), ToString::to_string);
    let (version, previous, when) = (text(version), text(previous), time(*created));
    format!("{sequence:>6}  {when}  {kind} {} {previous} -> {version}  {actor}: {reason}", action.name())
}

/// What a server served, and where it comes from.
pub(super) fn serving(serving: &Serving) -> String {
    let Serving { kind, role, version, server, since, until, lost, lineage } = serving;
    let until = match until {
        None => "now".to_owned(),
        Some(until) if *lost => format!("{} at the latest (the server ended without a word)", time(*until)),
        Some(until) => time(*until),
    };
    // A name for each start: its beginning tells servers apart.
    const SHOWN: usize = 12;
    let server: String = server.chars().take(SHOWN).collect();
    let lines = format!("{kind} {version}, {}, by server {server} from {} to {until}\n", role.name(), time(*since));
    lines + &lineage.as_ref().map_or_else(|| "  it was never published: nothing is known of it\n".to_owned(), origin)
}
