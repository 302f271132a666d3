//! Where the state of a server is kept.

use std::{convert::Infallible, fmt, str::FromStr};

/// By default everything is under `--data`; these name a database and a place for pictures that several servers share.
#[derive(Debug, Clone, PartialEq, clap::Args)]
#[command(next_help_heading = "Store")]
pub struct StoreSettings {
    /// PostgreSQL database of jobs, keys, votes and events, such as postgres://USER:PASSWORD@HOST/NAME; by default a SQLite
    /// file under --data. A command line can be read by others on the machine: name it in the environment or the file
    #[arg(
        id = "store.database",
        long = "store-database",
        env = "PLAUDIT_STORE_DATABASE",
        hide_env_values = true,
        global = true,
        value_name = "URL"
    )]
    pub database: Option<DatabaseUrl>,
    /// Where pictures are: s3://BUCKET/PREFIX (keys, region and endpoint by the usual AWS_ variables) or a directory; by
    /// default blobs/ under --data
    #[arg(
        id = "store.blobs",
        long = "store-blobs",
        env = "PLAUDIT_STORE_BLOBS",
        global = true,
        value_name = "URL_OR_DIR"
    )]
    pub blobs: Option<String>,
    /// Connections to PostgreSQL at a time; each takes some megabytes there
    #[arg(
        id = "store.connections",
        long = "store-connections",
        env = "PLAUDIT_STORE_CONNECTIONS",
        default_value_t = Self::CONNECTIONS,
        value_parser = clap::value_parser!(u32).range(2..),
        global = true,
        value_name = "CONNECTIONS"
    )]
    pub connections: u32,
    /// Seconds without a sign of life after which other servers on the same PostgreSQL database take over a server's kept jobs
    #[arg(
        id = "store.lease",
        long = "store-lease",
        env = "PLAUDIT_STORE_LEASE",
        default_value_t = Self::LEASE,
        value_parser = clap::value_parser!(u32).range(2..),
        global = true,
        value_name = "SECONDS"
    )]
    pub lease: u32,
}

impl StoreSettings {
    /// A picture's insertion holds one while it is sent to S3; more than this are rarely on their way at a time.
    const CONNECTIONS: u32 = 10;
    /// Longer than a failover of the database takes, shorter than people wait for a picture.
    const LEASE: u32 = 30;
}

impl Default for StoreSettings {
    fn default() -> Self {
        Self { database: None, blobs: None, connections: Self::CONNECTIONS, lease: Self::LEASE }
    }
}

/// URL of a database. It may hold a password: it is never printed. Reading it never fails, since clap would quote it; the
/// store refuses what it cannot use.
#[derive(Clone, PartialEq, Eq)]
pub struct DatabaseUrl(String);

impl DatabaseUrl {
    /// All of it, the password too.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl FromStr for DatabaseUrl {
    type Err = Infallible;

    fn from_str(text: &str) -> Result<Self, Infallible> {
        Ok(Self(text.to_owned()))
    }
}

impl fmt::Debug for DatabaseUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("DatabaseUrl(***)")
    }
}
