//! One database and one place for blobs: jobs, keys, pictures, votes, events.
//!
//! Under `--data`: `LOCK` (one server a directory), `plaudit.db` (SQLite), `ballast` (room for when the disk is full),
//! `secrets/` (nobody else may read it), `blobs/` (bytes by the SHA-256 of their content) and `staging/` (what is being
//! written). [`StoreSettings`] names PostgreSQL and S3 in the place of the database and of `blobs/`; several servers may
//! share them (docs/store.md). A blob is written before the row that names it and removed after, so a crash leaves at most a
//! blob that nobody names; the next start removes it.

mod ballast;
mod blobs;
mod database;
mod events;
mod facts;
mod feedback_erase;
mod feedback_export;
mod feedback_import;
mod feedback_stats;
mod hold;
mod images;
mod jobs;
mod keys;
mod lock;
mod rounds;
mod secrets;
mod servers;
mod settings;
mod space;
mod sql;
mod sweep;
mod trials;
mod versions;
mod versions_promote;
mod versions_serve;
mod votes;
mod votes_raters;
mod votes_read;
mod votes_write;

use std::{
    fs::File,
    path::{Path, PathBuf},
    str::FromStr,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{SystemTime, UNIX_EPOCH},
};

use anyhow::{Context, anyhow};
use tokio::sync::RwLock;

use ballast::Ballast;
use blobs::Blobs;
use database::Database;
pub use events::{EventRecord, NewEvent};
pub use feedback_erase::{Erasure, Tombstone};
pub use feedback_export::{ExportScope, ExportedVote, ExportedVotes};
pub use feedback_import::{Imported, ImportedPicture, ImportedVote};
pub use feedback_stats::{Thumbs, VoteStats};
pub use images::ImageRecord;
pub use jobs::{Ending, Found, JobRecord, KeyTaken, NewJob};
pub use keys::KeyRecord;
pub use settings::{DatabaseUrl, StoreSettings};
pub use space::{Full, free_bytes, is_full};
pub use sweep::Swept;
pub(crate) use versions_promote::Rollback;
pub use votes::{Act, Ballot, Cast, CastError, NewFeedback, Once, Receipt};
pub use votes_raters::Candidate;
pub use votes_read::{Subject, VoteFilter, VoteRecord};

/// The state of a server under its `--data` directory. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Store {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    data: PathBuf,
    database: Database,
    blobs: Blobs,
    ballast: Ballast,
    /// Shared by who adds rows that name blobs, exclusive for who removes blobs: a blob must not go while a new row is
    /// to name it.
    blob_use: RwLock<()>,
    /// Bytes of all pictures, those that jobs start from too; equal content counts as often as it is named. Where servers
    /// share the database they are counted there.
    used: AtomicU64,
    /// This start of this server.
    server: String,
    /// The start before, on the same directory: it is over.
    predecessor: Option<String>,
    lease: u32,
    /// Bytes of pictures that are kept because they were voted on; another process may change them.
    voted: AtomicU64,
    session_secret: [u8; secrets::SECRET_BYTES],
    feedback_secret: [u8; secrets::SECRET_BYTES],
    /// To the task that writes votes.
    ballots: votes::Ballots,
    /// `None` for those who only came for the keys.
    _lock: Option<File>,
}

impl Store {
    /// Opens or makes the state under a directory, all of it.
    ///
    /// # Errors
    /// See [`Store::open_with`].
    pub async fn open(data: &Path) -> anyhow::Result<Self> {
        Self::open_with(data, &StoreSettings::default()).await
    }

    /// Opens or makes the state under a directory and where the settings say: takes the directory's lock, migrates the
    /// database.
    ///
    /// # Errors
    /// Another server holds the lock, or something cannot be used; the message says what to do.
    pub async fn open_with(data: &Path, settings: &StoreSettings) -> anyhow::Result<Self> {
        prepare(data)?;
        let lock = lock::take(data)?;
        let store = Self::assemble(data, settings, Some(lock)).await?;
        if store.database().is_shared() {
            // A bucket may be large, and others use it already.
            tokio::spawn(store.clone().remove_orphans_aside());
        } else {
            store.remove_orphans().await.context("cannot remove blobs that nobody names")?;
        }
        Ok(store)
    }

    /// Opens the state beside the server that may be running on it, all of it under a directory.
    ///
    /// # Errors
    /// If the directory cannot be used.
    pub async fn attach(data: &Path) -> anyhow::Result<Self> {
        Self::attach_with(data, &StoreSettings::default()).await
    }

    /// Opens the state beside the servers that may be running on it, to manage its keys or its votes.
    ///
    /// # Errors
    /// If the directory, the database or the place of pictures cannot be used.
    pub async fn attach_with(data: &Path, settings: &StoreSettings) -> anyhow::Result<Self> {
        prepare(data)?;
        Self::assemble(data, settings, None).await
    }

    async fn assemble(data: &Path, settings: &StoreSettings, lock: Option<File>) -> anyhow::Result<Self> {
        let database = match &settings.database {
            None => Database::sqlite(&data.join("plaudit.db")).await?,
            Some(url) => Database::postgres(url, settings.connections).await?,
        };
        let blobs = Blobs::open(data, settings.blobs.as_deref(), lock.is_some())?;
        if database.is_shared() || settings.blobs.is_some() {
            facts::claim(&database, &blobs).await?;
        }
        let session_secret = secrets::agreed(data, &database, "session", "signs all browsers out").await?;
        let feedback_secret =
            secrets::agreed(data, &database, "feedback", "makes all tokens for votes invalid").await?;
        let used = if database.is_shared() { 0 } else { space::used_bytes(&database).await? };
        let (server, predecessor) = servers::names(data, database.is_shared() && lock.is_some())?;
        let (ballots, waiting) = votes::queue();
        let inner = Inner {
            data: data.to_owned(),
            database,
            blobs,
            ballast: Ballast::under(data),
            blob_use: RwLock::new(()),
            used: AtomicU64::new(used),
            server,
            predecessor,
            lease: settings.lease,
            voted: AtomicU64::new(0),
            session_secret,
            feedback_secret,
            ballots,
            _lock: lock,
        };
        let inner = Arc::new(inner);
        votes::serve(&inner, waiting);
        let store = Self { inner };
        store.recount_voted().await?;
        Ok(store)
    }

    /// The directory.
    pub fn data(&self) -> &Path {
        &self.inner.data
    }

    /// The key that session cookies are made with; the same after a restart.
    pub fn session_secret(&self) -> &[u8; 32] {
        &self.inner.session_secret
    }

    /// The key that tokens for votes are made with; the same after a restart.
    pub fn feedback_secret(&self) -> &[u8; 32] {
        &self.inner.feedback_secret
    }

    /// Bytes that pictures take, those that jobs start from too.
    ///
    /// # Errors
    /// If the database has to be asked and cannot be read.
    pub async fn used_bytes(&self) -> anyhow::Result<u64> {
        match self.database().is_shared() {
            true => space::used_bytes(self.database()).await,
            false => Ok(self.inner.used.load(Ordering::Relaxed)),
        }
    }

    /// Whether the database is a file of this server's own: no other server uses it.
    pub fn is_alone(&self) -> bool {
        !self.database().is_shared()
    }

    /// Whether the database answers.
    ///
    /// # Errors
    /// If it does not; the message says why.
    pub async fn check(&self) -> anyhow::Result<()> {
        sql::query_scalar::<i64>("SELECT CAST(1 AS BIGINT)").fetch_one(&self.database().readers).await.map(drop)?;
        Ok(())
    }

    /// Waits until everything is on the disk and closes the database. Other clones of this store cannot be used any
    /// more.
    pub async fn close(&self) {
        self.resign().await;
        self.database().close().await;
        // Clones may be held for a moment longer by threads that end; the directory is free now.
        if let Some(lock) = &self.inner._lock {
            let _ = lock.unlock();
        }
    }

    fn database(&self) -> &Database {
        &self.inner.database
    }

    fn ballast(&self) -> &Ballast {
        &self.inner.ballast
    }

    fn blobs(&self) -> &Blobs {
        &self.inner.blobs
    }

    /// Whether something that grows is under the directory.
    fn is_local(&self) -> bool {
        self.is_alone() || matches!(self.inner.blobs, Blobs::Folder(_))
    }

    /// This start of this server, as rows of jobs tell whose they are.
    pub(crate) fn server(&self) -> &str {
        &self.inner.server
    }

    fn count_bytes(&self, bytes: u64) {
        if self.is_alone() {
            self.inner.used.fetch_add(bytes, Ordering::Relaxed);
        }
    }

    fn uncount_bytes(&self, bytes: u64) {
        if self.is_alone() {
            self.inner.used.fetch_sub(bytes, Ordering::Relaxed);
        }
    }
}

fn prepare(data: &Path) -> anyhow::Result<()> {
    secrets::private_folder(data)
        .with_context(|| format!("cannot make {}; choose another directory with --data", data.display()))
}

/// Unix seconds.
pub(crate) fn now() -> i64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs() as i64)
}

/// A value of the database that this program wrote as text.
fn parsed<T: FromStr>(text: &str) -> anyhow::Result<T>
where
    T::Err: std::fmt::Display,
{
    text.parse().map_err(|error| anyhow!("the database holds a value that this version does not know: {error}"))
}
