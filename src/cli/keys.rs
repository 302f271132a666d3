//! `plaudit keys`: who may ask.

use std::path::PathBuf;

use anyhow::ensure;
use clap::{Args, Subcommand};
use plaudit::{
    domain::{KeyId, Role},
    store::{KeyRecord, Store, StoreSettings},
};

/// What `plaudit keys` is told.
#[derive(Debug, Args)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    command: Command,

    /// The server's file of settings; by default plaudit.toml where it is there
    #[arg(long, env = "PLAUDIT_CONFIG", value_name = "FILE", global = true)]
    config: Option<PathBuf>,

    /// The server's directory
    #[arg(long, env = "PLAUDIT_DATA", default_value = "./data", value_name = "DIR", global = true)]
    data: PathBuf,

    #[command(flatten)]
    store: StoreSettings,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Make a key and print it, once
    Create {
        /// What you call its holder
        name: String,
        /// client: generate, and see what is its own; admin: everything
        #[arg(long, default_value = "client")]
        role: Role,
    },
    /// Show all keys, the oldest first; never the keys themselves
    List,
    /// Take a key back
    Revoke {
        /// Its public name, as `plaudit keys list` shows it
        id: KeyId,
    },
}

/// Does it, beside a server that may be running.
pub(crate) fn run(arguments: Arguments) -> anyhow::Result<()> {
    tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(async {
        let store = Store::attach_with(&arguments.data, &arguments.store).await?;
        let done = act(&store, arguments.command).await;
        store.close().await;
        done
    })
}

async fn act(store: &Store, command: Command) -> anyhow::Result<()> {
    match command {
        Command::Create { name, role } => {
            let (record, key) = store.create_key(&name, role).await?;
            eprintln!("{} ({}, {}); keep it safe, it is shown this once:", record.id, record.name, record.role.name());
            println!("{key}");
        }
        Command::List => {
            let keys = store.list_keys().await?;
            keys.iter().map(line).for_each(|line| println!("{line}"));
            if keys.is_empty() {
                eprintln!("there are no keys; `plaudit keys create NAME` makes one");
            }
        }
        Command::Revoke { id } => {
            ensure!(
                store.revoke_key(id).await?,
                "there is no key {id}; `plaudit keys list` shows those that there are"
            );
            eprintln!("{id} is revoked");
        }
    }
    Ok(())
}

fn line(key: &KeyRecord) -> String {
    let time = |seconds| jiff::Timestamp::from_second(seconds).map_or_else(|_| "?".to_owned(), |time| time.to_string());
    let state = key.revoked.map_or_else(|| "valid".to_owned(), |when| format!("revoked {}", time(when)));
    format!("{}  {:6}  {}  {state}  {}", key.id, key.role.name(), time(key.created), key.name)
}
