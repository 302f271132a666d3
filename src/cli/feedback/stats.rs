//! `plaudit feedback stats`.

use clap::Args;
use plaudit::store::{Store, Thumbs, VoteStats};

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  plaudit feedback stats
  plaudit feedback stats --json | jq .agreement")]
pub(super) struct Arguments {
    /// Everything, as JSON
    #[arg(long)]
    json: bool,
    /// Raters and days that are shown
    #[arg(long, default_value_t = 20, value_name = "ROWS")]
    most: usize,
}

pub(super) async fn run(store: &Store, arguments: Arguments) -> anyhow::Result<()> {
    let stats = store.vote_stats().await?;
    if arguments.json {
        println!("{}", serde_json::to_string_pretty(&stats)?);
    } else {
        print!("{}", text(&stats, arguments.most));
    }
    Ok(())
}

fn text(stats: &VoteStats, most: usize) -> String {
    let agreement = stats.agreement.map_or_else(|| "-".to_owned(), |share| format!("{:.1} %", 100.0 * share));
    let mut text = format!(
        "votes        {}  ({} up, {} down, {} in quarantine, {} taken back)\npictures     {}\nraters       {}\n\
         agreement    {agreement}  of {} pairs of raters of one picture\nlog          to {}\n",
        stats.votes,
        stats.up,
        stats.down,
        stats.quarantined,
        stats.taken_back,
        stats.images,
        stats.raters,
        stats.pairs,
        stats.to_sequence
    );
    let recent = stats.by_day.len().saturating_sub(most);
    let tables = [
        ("model version", &stats.model_versions[..]),
        ("rater", &stats.by_rater[..stats.by_rater.len().min(most)]),
        ("day (UTC)", &stats.by_day[recent..]),
    ];
    tables.into_iter().filter(|(_, rows)| !rows.is_empty()).for_each(|(name, rows)| text.push_str(&table(name, rows)));
    text
}

fn table(name: &str, rows: &[Thumbs]) -> String {
    let width = rows.iter().map(|row| row.name.chars().count()).chain([name.len()]).max().unwrap_or_default();
    let mut text = format!("\n{name:width$}  {:>8}  {:>8}  {:>6}  {:>11}\n", "up", "down", "up %", "quarantined");
    for Thumbs { name, up, down, quarantined } in rows {
        let share = 100.0 * *up as f64 / (up + down).max(1) as f64;
        text.push_str(&format!("{name:width$}  {up:>8}  {down:>8}  {share:>6.1}  {quarantined:>11}\n"));
    }
    text
}
