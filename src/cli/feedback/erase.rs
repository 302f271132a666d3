//! `plaudit feedback erase`.

use clap::Args;
use plaudit::{
    domain::ImageId,
    store::{Erasure, Store},
};

#[derive(Debug, Args)]
#[command(after_help = "\
This cannot be undone. The log keeps a tombstone that tells which places of the log were erased, not whose.
Datasets that were exported before are files of yours: export them anew.

Examples:
  plaudit feedback erase --rater ann
  plaudit feedback erase --image img_0123456789abcdef0123456789abcdef")]
#[group(required = true, multiple = false)]
pub(super) struct Arguments {
    /// Everything that the rater of this name did
    #[arg(long, value_name = "NAME")]
    rater: Option<String>,
    /// The picture with all votes on it
    #[arg(long, value_name = "ID")]
    image: Option<ImageId>,
}

pub(super) async fn run(store: &Store, arguments: Arguments) -> anyhow::Result<()> {
    let what = match (arguments.rater, arguments.image) {
        (Some(rater), _) => Erasure::Rater(rater),
        (None, Some(image)) => Erasure::Image(image),
        (None, None) => anyhow::bail!("say what is to be erased: --rater NAME or --image ID"),
    };
    let done = store.erase(&what).await?;
    let Some(tombstone) = done.sequence else {
        eprintln!("there was nothing to erase");
        return Ok(());
    };
    eprintln!(
        "{} votes, {} events and {} pictures are erased; tombstone {tombstone}",
        done.votes, done.events, done.images
    );
    if let Some(range) = done.range {
        eprintln!(
            "versions that were trained on any of events {} to {} may have learned from them",
            range.start(),
            range.end()
        );
    }
    Ok(())
}
