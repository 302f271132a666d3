//! `plaudit feedback import`.

use std::path::PathBuf;

use clap::Args;
use plaudit::{
    domain::Owner,
    feedback::{
        dataset::DatasetLimits,
        exchange::{ImportSettings, import},
    },
    store::Store,
};

#[derive(Debug, Args)]
#[command(after_help = "\
Every row is looked at first; where one is wrong, nothing is imported. Importing twice adds nothing.

Examples:
  plaudit feedback import votes/
  plaudit feedback import --owner import --origin study-3 study.parquet
  plaudit feedback import thumbs.csv        (image_id,rater,rating[,created])")]
pub(super) struct Arguments {
    /// A dataset's directory, or one .jsonl, .parquet or .csv file
    #[arg(value_name = "PATH")]
    path: PathBuf,
    /// Under whom all raters are known, whatever the file says: say it for files of others
    #[arg(long, value_name = "OWNER")]
    owner: Option<String>,
    /// What the votes' origin is called; by default the path's last name
    #[arg(long, value_name = "NAME")]
    origin: Option<String>,
    #[command(flatten)]
    limits: DatasetLimits,
}

pub(super) async fn run(store: &Store, arguments: Arguments) -> anyhow::Result<()> {
    let Arguments { path, owner, origin, limits } = arguments;
    let name = path.file_name().map_or_else(|| "import".to_owned(), |name| name.to_string_lossy().into_owned());
    let owner = owner.map(Owner::from_stored);
    let settings = ImportSettings { owner, origin: origin.unwrap_or(name), limits };
    let done = import(store, &path, &settings).await?;
    eprintln!("{} votes added, {} known already", done.added, done.known);
    if done.erased > 0 {
        eprintln!("{} votes were passed over: their raters or pictures were erased here", done.erased);
    }
    if done.skipped > 0 {
        eprintln!("{} rows have no vote: their raters passed over the picture", done.skipped);
    }
    Ok(())
}
