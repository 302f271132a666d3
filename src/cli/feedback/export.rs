//! `plaudit feedback export`.

use std::{io::BufWriter, path::PathBuf};

use anyhow::{Context, bail, ensure};
use clap::Args;
use plaudit::{
    feedback::{
        dataset::{Card, DEFAULT_LICENCE, Format},
        exchange::{export_dataset, export_lines},
    },
    store::{ExportScope, Store},
};

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  plaudit feedback export -o votes
  plaudit feedback export --format parquet -o votes --licence cc-by-4.0
  plaudit feedback export --since 1200 --rater ann -o - | jq .prompt")]
pub(super) struct Arguments {
    /// The directory to make; - writes JSON Lines to standard output, without pictures
    #[arg(short, long, value_name = "DIR")]
    output: PathBuf,
    /// How rows are written
    #[arg(long, value_enum, default_value_t)]
    format: Format,
    /// Only votes after this place in the event log, such as an earlier export's to_sequence
    #[arg(long, default_value_t = 0, value_name = "SEQUENCE")]
    since: i64,
    /// Only this rater's votes
    #[arg(long, value_name = "NAME")]
    rater: Option<String>,
    /// The licence that the card names, as Hugging Face writes it
    #[arg(long, default_value = DEFAULT_LICENCE, value_name = "LICENCE")]
    licence: String,
    /// The heading of the card
    #[arg(long, value_name = "TEXT")]
    title: Option<String>,
    /// What the card says of how pictures and votes were collected
    #[arg(long, value_name = "TEXT")]
    collected: Option<String>,
    /// Share of all weight that one rater's votes may have
    #[arg(long, env = "PLAUDIT_FEEDBACK_RATER_SHARE", default_value_t = 0.05, value_name = "FRACTION")]
    rater_share: f64,
}

pub(super) async fn run(store: &Store, arguments: Arguments) -> anyhow::Result<()> {
    let Arguments { output, format, since, rater, licence, title, collected, rater_share } = arguments;
    ensure!(rater_share > 0.0 && rater_share <= 1.0, "--rater-share is above 0 and at most 1");
    let scope = ExportScope { after: since, rater };
    if output.as_os_str() == "-" {
        if format == Format::Parquet {
            bail!("Parquet cannot be written to standard output; name a directory, or use --format jsonl");
        }
        let mut out = BufWriter::new(std::io::stdout().lock());
        let facts = export_lines(store, &scope, rater_share, &mut out).await.context("cannot write the votes")?;
        eprintln!("{} votes, events {} to {}", facts.rows, facts.from_sequence, facts.to_sequence);
        return Ok(());
    }
    let plain = Card::default();
    let card = Card { title: title.unwrap_or(plain.title), collected: collected.unwrap_or(plain.collected), licence };
    let done = export_dataset(store, &scope, rater_share, &output, format, card).await?;
    let facts = done.facts;
    eprintln!(
        "{}: {} votes on {} pictures, events {} to {}, SHA-256 over the rows {}",
        output.display(),
        facts.rows,
        facts.images,
        facts.from_sequence,
        facts.to_sequence,
        facts.rows_sha256
    );
    if done.without_picture > 0 {
        eprintln!("{} votes were left out: their pictures are not kept", done.without_picture);
    }
    Ok(())
}
