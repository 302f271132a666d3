//! The database file: one connection that writes, a few that read.

use std::{path::Path, time::Duration};

use anyhow::Context;
use sqlx::{
    Connection, Sqlite, SqliteConnection, Transaction,
    migrate::Migrator,
    sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePool, SqlitePoolOptions, SqliteSynchronous},
};

static MIGRATIONS: Migrator = sqlx::migrate!("src/store/migrations");

/// How long a writer waits for another process (`plaudit keys`) to finish.
const BUSY: Duration = Duration::from_secs(5);
/// SQLite has one writer; more connections would only contend for its lock.
const WRITERS: u32 = 1;
/// Reads are short; each connection has a thread of its own.
const READERS: u32 = 4;

/// Connections to `plaudit.db`.
#[derive(Debug)]
pub(super) struct Database {
    pub(super) writer: SqlitePool,
    pub(super) readers: SqlitePool,
}

impl Database {
    /// Opens or makes the file and brings its schema up to date. What is committed survives a power cut (`synchronous =
    /// FULL`).
    pub(super) async fn open(path: &Path) -> anyhow::Result<Self> {
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
        MIGRATIONS.run(&writer).await.with_context(|| {
            format!("cannot bring {} up to date; was it written by a newer plaudit?", path.display())
        })?;
        let readers = SqlitePoolOptions::new()
            .max_connections(READERS)
            .connect_with(options.pragma("query_only", "on"))
            .await
            .with_context(|| format!("cannot read {}", path.display()))?;
        Ok(Self { writer, readers })
    }

    /// A transaction that may write. It takes the write lock at once: taking it later fails where another process wrote
    /// between.
    pub(super) async fn begin(&self) -> sqlx::Result<Transaction<'static, Sqlite>> {
        self.writer.begin_with("BEGIN IMMEDIATE").await
    }

    pub(super) async fn close(&self) {
        self.readers.close().await;
        self.writer.close().await;
    }
}

/// Whether a connection can be used again. Where SQLite itself rolls back, as it does on a full disk, sqlx goes on
/// counting the transaction and begins no other one on this connection, ever.
async fn usable(connection: &mut SqliteConnection) -> sqlx::Result<bool> {
    // A rollback may still be on its way; this comes after it.
    connection.ping().await?;
    Ok(!connection.is_in_transaction())
}
