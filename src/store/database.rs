//! The database: a SQLite file under `--data`, or PostgreSQL by URL.

use std::{path::Path, time::Duration};

use anyhow::{Context, ensure};
use sqlx::{
    Connection, PgPool, Postgres, Sqlite, SqliteConnection,
    migrate::Migrator,
    postgres::{PgConnectOptions, PgPoolOptions},
    sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePool, SqlitePoolOptions, SqliteSynchronous},
};

use super::{
    DatabaseUrl, now,
    sql::{On, query, query_scalar},
};

static SQLITE: Migrator = sqlx::migrate!("src/store/migrations/sqlite");
static POSTGRES: Migrator = sqlx::migrate!("src/store/migrations/postgres");

/// How long a writer waits for another process (`plaudit keys`) to finish.
const BUSY: Duration = Duration::from_secs(5);
/// SQLite has one writer; more connections would only contend for its lock.
const WRITERS: u32 = 1;
/// Reads are short; each connection has a thread of its own.
const READERS: u32 = 4;

/// Connections to one of the databases.
#[derive(Debug)]
pub(super) enum Pool {
    Sqlite(SqlitePool),
    Postgres(PgPool),
}

impl<'c> From<&'c Pool> for On<'c> {
    fn from(pool: &'c Pool) -> Self {
        match pool {
            Pool::Sqlite(pool) => Self::SqlitePool(pool),
            Pool::Postgres(pool) => Self::PostgresPool(pool),
        }
    }
}

impl Pool {
    async fn close(&self) {
        match self {
            Self::Sqlite(pool) => pool.close().await,
            Self::Postgres(pool) => pool.close().await,
        }
    }
}

/// The database of a store.
#[derive(Debug)]
pub(super) struct Database {
    pub(super) writer: Pool,
    /// PostgreSQL has one pool for both.
    pub(super) readers: Pool,
}

impl Database {
    /// Opens or makes the file and brings its schema up to date. What is committed survives a power cut (`synchronous =
    /// FULL`).
    pub(super) async fn sqlite(path: &Path) -> anyhow::Result<Self> {
        let options = SqliteConnectOptions::new()
            .filename(path)
            .create_if_missing(true)
            .journal_mode(SqliteJournalMode::Wal)
            .synchronous(SqliteSynchronous::Full)
            .foreign_keys(true)
            .busy_timeout(BUSY);
        let writer = SqlitePoolOptions::new()
            .max_connections(WRITERS)
            .after_release(|connection, _| Box::pin(usable(connection)))
            .connect_with(options.clone())
            .await
            .with_context(|| format!("cannot open {}", path.display()))?;
        SQLITE.run(&writer).await.with_context(|| {
            format!("cannot bring {} up to date; was it written by a newer plaudit?", path.display())
        })?;
        let readers = SqlitePoolOptions::new()
            .max_connections(READERS)
            .connect_with(options.pragma("query_only", "on"))
            .await
            .with_context(|| format!("cannot read {}", path.display()))?;
        Ok(Self { writer: Pool::Sqlite(writer), readers: Pool::Sqlite(readers) })
    }

    /// Connects and brings the schema up to date; of several servers that start at once, one does. No message tells the
    /// password.
    pub(super) async fn postgres(url: &DatabaseUrl, connections: u32) -> anyhow::Result<Self> {
        let known = ["postgres://", "postgresql://"].iter().any(|scheme| url.expose().starts_with(scheme));
        ensure!(known, "--store-database is no URL of a PostgreSQL database; it begins with postgres://");
        let options: PgConnectOptions = url.expose().parse().context("--store-database cannot be read")?;
        let place = describe(&options);
        let pool = PgPoolOptions::new()
            .max_connections(connections)
            .connect_with(options.application_name("plaudit"))
            .await
            .with_context(|| format!("cannot connect to {place}; is --store-database right, and does it run?"))?;
        POSTGRES
            .run(&pool)
            .await
            .with_context(|| format!("cannot bring {place} up to date; was it written by a newer plaudit?"))?;
        Ok(Self { writer: Pool::Postgres(pool.clone()), readers: Pool::Postgres(pool) })
    }

    /// Whether other servers may use it at the same time.
    pub(super) fn is_shared(&self) -> bool {
        matches!(self.writer, Pool::Postgres(_))
    }

    /// A transaction that may write. SQLite's takes the write lock at once: taking it later fails where another process
    /// wrote between.
    pub(super) async fn begin(&self) -> sqlx::Result<Transaction> {
        Ok(match &self.writer {
            Pool::Sqlite(pool) => Transaction::Sqlite(pool.begin_with("BEGIN IMMEDIATE").await?),
            Pool::Postgres(pool) => Transaction::Postgres(pool.begin().await?),
        })
    }

    /// A transaction that reads one state, whatever others write meanwhile.
    pub(super) async fn snapshot(&self) -> sqlx::Result<Transaction> {
        const READING: &str = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY";
        Ok(match &self.readers {
            Pool::Sqlite(pool) => Transaction::Sqlite(pool.begin().await?),
            Pool::Postgres(pool) => Transaction::Postgres(pool.begin_with(READING).await?),
        })
    }

    pub(super) async fn close(&self) {
        self.readers.close().await;
        self.writer.close().await;
    }
}

/// A transaction; dropped without [`Transaction::commit`] it never was.
#[derive(Debug)]
pub(super) enum Transaction {
    Sqlite(sqlx::Transaction<'static, Sqlite>),
    Postgres(sqlx::Transaction<'static, Postgres>),
}

impl<'c> From<&'c mut Transaction> for On<'c> {
    fn from(transaction: &'c mut Transaction) -> Self {
        match transaction {
            Transaction::Sqlite(transaction) => Self::Sqlite(transaction),
            Transaction::Postgres(transaction) => Self::Postgres(transaction),
        }
    }
}

/// What transactions of several servers wait for each other about, until they end. The numbers are PostgreSQL's advisory
/// locks; all of one database's servers know them, so they never change.
#[derive(Debug, Clone, Copy)]
#[repr(i64)]
pub(super) enum Lock {
    /// Who adds to the event log.
    Events,
    /// Blobs: shared by who adds rows that name them, exclusive for who removes some.
    Blobs,
    /// Who removes jobs.
    Sweep,
    /// Who publishes, promotes, removes or begins to serve versions.
    Versions,
}

impl Lock {
    /// The number of PostgreSQL's advisory lock.
    fn number(self) -> i64 {
        match self {
            Self::Events => 0x706c_6175_6469_0001,
            Self::Blobs => 0x706c_6175_6469_0002,
            Self::Sweep => 0x706c_6175_6469_0003,
            Self::Versions => 0x706c_6175_6469_0004,
        }
    }
}

impl Transaction {
    /// Waits until no other transaction has the lock. A transaction of SQLite's is alone already.
    pub(super) async fn lock(&mut self, lock: Lock) -> sqlx::Result<()> {
        self.advise("SELECT pg_advisory_xact_lock($1)", lock).await
    }

    /// Waits until no other transaction has the lock for itself.
    pub(super) async fn share(&mut self, lock: Lock) -> sqlx::Result<()> {
        self.advise("SELECT pg_advisory_xact_lock_shared($1)", lock).await
    }

    async fn advise(&mut self, sql: &'static str, lock: Lock) -> sqlx::Result<()> {
        match self {
            Self::Sqlite(_) => Ok(()),
            Self::Postgres(_) => query(sql).bind(lock.number()).execute(self).await.map(drop),
        }
    }

    /// Unix seconds by the database's clock, the same for all its servers.
    pub(super) async fn now(&mut self) -> sqlx::Result<i64> {
        const CLOCK: &str = "SELECT CAST(EXTRACT(EPOCH FROM clock_timestamp()) AS BIGINT)";
        match self {
            Self::Sqlite(_) => Ok(now()),
            Self::Postgres(_) => query_scalar(CLOCK).fetch_one(self).await,
        }
    }

    pub(super) async fn commit(self) -> sqlx::Result<()> {
        match self {
            Self::Sqlite(transaction) => transaction.commit().await,
            Self::Postgres(transaction) => transaction.commit().await,
        }
    }
}

/// Where a database is, without user and password.
fn describe(options: &PgConnectOptions) -> String {
    let name = options.get_database().unwrap_or_default();
    match options.get_socket() {
        Some(socket) => format!("the PostgreSQL database {name:?} under {}", socket.display()),
        None => format!("the PostgreSQL database {name:?} at {}:{}", options.get_host(), options.get_port()),
    }
}

/// Whether a connection can be used again. Where SQLite itself rolls back, as it does on a full disk, sqlx goes on
/// counting the transaction and begins no other one on this connection, ever.
async fn usable(connection: &mut SqliteConnection) -> sqlx::Result<bool> {
    // A rollback may still be on its way; this comes after it.
    connection.ping().await?;
    Ok(!connection.is_in_transaction())
}
