//! `plaudit registry`: versions, beside a server that may be running.

mod promote;
mod publish;
mod read;
mod text;
mod trial;

use std::{path::PathBuf, time::Duration};

use clap::{Args, Subcommand};
use plaudit::{
    registry::{Registry, RegistrySettings, VersionId, new_key, sign},
    store::{Store, StoreSettings},
};

/// What `plaudit registry` is told.
#[derive(Debug, Args)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    command: Command,

    /// The server's file of settings; by default plaudit.toml where it is there
    #[arg(long, env = "PLAUDIT_CONFIG", value_name = "FILE", global = true)]
    config: Option<PathBuf>,

    /// The server's directory; the server may be running
    #[arg(long, env = "PLAUDIT_DATA", default_value = "./data", value_name = "DIR", global = true)]
    data: PathBuf,

    #[command(flatten)]
    store: StoreSettings,

    #[command(flatten)]
    registry: RegistrySettings,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Show versions, the newest first, and which are champion and candidate
    List(read::List),
    /// Show a version: where it comes from, what speaks for it
    Show(read::Show),
    /// Show what was promoted and rolled back, by whom and why
    Log(read::Log),
    /// Copy a pack or a reward pack into the registry; nothing is promoted
    Publish(publish::Arguments),
    /// Make a version champion, after checking its hashes and golden outputs; servers follow within a second
    Promote(promote::Promote),
    /// Make the champion before champion again
    Rollback(promote::Rollback),
    /// Try a version beside the champion, for a share of those who ask
    Try(trial::Try),
    /// End the trial that goes on; the champion serves everybody again
    EndTrial(trial::End),
    /// Show trials, the newest first, and how they ended
    Trials(trial::Trials),
    /// Remove the files of versions that nothing holds
    Gc(Gc),
    /// Tell what was served at a time, and what it was trained on
    ServedAt(read::ServedAt),
    /// Sign a version: writes manifest.sig beside its manifest
    Sign {
        /// The version's folder
        version_dir: PathBuf,
        /// The private key's file
        #[arg(long, value_name = "FILE")]
        key: PathBuf,
    },
    /// Make a private key, and print the public one for --registry-trusted-keys
    NewKey {
        /// The new file
        file: PathBuf,
    },
}

#[derive(Debug, Args)]
struct Gc {
    /// Champions before the present one that can still be gone back to
    #[arg(long, default_value_t = 3, value_name = "VERSIONS")]
    keep: usize,
    /// Seconds since the publication within which nothing is removed
    #[arg(long, default_value_t = 7 * 24 * 3600, value_name = "SECONDS")]
    min_age: u64,
    /// Say what would be removed, and remove nothing
    #[arg(long)]
    dry_run: bool,
}

/// Does it.
pub(crate) fn run(arguments: Arguments) -> anyhow::Result<()> {
    match &arguments.command {
        Command::Sign { version_dir, key } => {
            eprintln!("{} is signed by {}", version_dir.display(), sign(version_dir, key)?);
            return Ok(());
        }
        Command::NewKey { file } => {
            println!("{}", new_key(file)?);
            eprintln!("{} is the private key: keep it safe, and not on the server", file.display());
            return Ok(());
        }
        _ => {}
    }
    tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(async {
        let store = Store::attach_with(&arguments.data, &arguments.store).await?;
        let registry = Registry::open(store.clone(), arguments.registry.clone()).await?;
        let done = act(&store, &registry, arguments.command).await;
        store.close().await;
        done
    })
}

async fn act(store: &Store, registry: &Registry, command: Command) -> anyhow::Result<()> {
    match command {
        Command::List(arguments) => read::list(registry, arguments).await,
        Command::Show(arguments) => read::show(registry, arguments).await,
        Command::Log(arguments) => read::log(registry, arguments).await,
        Command::Publish(arguments) => publish::run(registry, arguments).await,
        Command::Promote(arguments) => promote::promote(registry, arguments).await,
        Command::Rollback(arguments) => promote::rollback(registry, arguments).await,
        Command::ServedAt(arguments) => read::served_at(registry, arguments).await,
        Command::Try(arguments) => trial::begin(store, registry, arguments).await,
        Command::EndTrial(arguments) => trial::end(store, registry, arguments).await,
        Command::Trials(arguments) => trial::list(store, &arguments).await,
        Command::Gc(arguments) => gc(registry, arguments).await,
        Command::Sign { .. } | Command::NewKey { .. } => Ok(()),
    }
}

async fn gc(registry: &Registry, arguments: Gc) -> anyhow::Result<()> {
    let Gc { keep, min_age, dry_run } = arguments;
    let removed = registry.gc(keep, Duration::from_secs(min_age), dry_run).await?;
    removed.iter().for_each(|version| println!("{version}"));
    match (removed.len(), dry_run) {
        (0, _) => eprintln!("nothing can be removed: every version is held, or younger than {min_age} s"),
        (count, true) => eprintln!("{count} versions would be removed"),
        (count, false) => eprintln!("{count} versions are retired: their files are gone, what is known of them stays"),
    }
    Ok(())
}

/// The user's name, where nobody says who acts.
fn actor(named: Option<String>) -> String {
    named.or_else(|| std::env::var("USER").ok()).filter(|name| !name.is_empty()).unwrap_or_else(|| "operator".into())
}

/// A version, or none.
#[derive(Debug, Clone)]
struct Expected(Option<VersionId>);

impl std::str::FromStr for Expected {
    type Err = plaudit::domain::VersionIdError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text == "none" { Ok(Self(None)) } else { text.parse().map(|version| Self(Some(version))) }
    }
}
