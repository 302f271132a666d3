//! One database and one folder of blobs: jobs, keys, pictures, events.
//!
//! Under `--data`: `LOCK` (one server a directory), `plaudit.db` (SQLite), `ballast` (room for when the disk is full),
//! `secrets/` (nobody else may read it), `blobs/` (bytes by the SHA-256 of their content) and `staging/` (what is being written). A blob is written before
//! the row that names it and removed after, so a crash leaves at most a blob that nobody names; the next start removes
//! it.

mod ballast;
mod blobs;
mod database;
mod events;
mod feedback_erase;
mod feedback_export;
mod feedback_import;
mod feedback_stats;
mod images;
mod jobs;
mod keys;
mod lock;
mod secrets;
mod space;
mod sweep;
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
use bytes::Bytes;
use tokio::sync::{RwLock, RwLockReadGuard, RwLockWriteGuard};

use ballast::Ballast;
use blobs::Blobs;
use database::Database;
pub use events::{EventRecord, NewEvent};
pub use feedback_erase::{Erasure, Tombstone};
pub use feedback_export::{ExportScope, ExportedVote, ExportedVotes};
pub use feedback_import::{Imported, ImportedPicture, ImportedVote};
pub use feedback_stats::{Thumbs, VoteStats};
pub use images::ImageRecord;
pub use jobs::{Ending, Found, JobRecord, NewJob};
pub use keys::KeyRecord;
pub use space::{Full, free_bytes, is_full};
pub use sweep::Swept;
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
    /// Bytes of all pictures, those that jobs start from too; equal content counts as often as it is named.
    used: AtomicU64,
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
    /// Opens or makes the state under a directory: takes its lock, migrates the database.
    ///
    /// # Errors
    /// Another server holds the lock, or the directory cannot be used; the message says what to do.
    pub async fn open(data: &Path) -> anyhow::Result<Self> {
        prepare(data)?;
        let lock = lock::take(data)?;
        let store = Self::assemble(data, Some(lock)).await?;
        store.remove_orphans().await.context("cannot remove blobs that nobody names")?;
        Ok(store)
    }

    /// Opens the state beside the server that may be running on it, to manage its keys.
    ///
    /// # Errors
    /// If the directory cannot be used.
    pub async fn attach(data: &Path) -> anyhow::Result<Self> {
        prepare(data)?;
        Self::assemble(data, None).await
    }

    async fn assemble(data: &Path, lock: Option<File>) -> anyhow::Result<Self> {
        let session_secret = secrets::key(data, "session", "signs all browsers out")?;
        let feedback_secret = secrets::key(data, "feedback", "makes all tokens for votes invalid")?;
        let (ballots, waiting) = votes::queue();
        let blobs = Blobs::open(data, lock.is_some())?;
        let database = Database::open(&data.join("plaudit.db")).await?;
        let used: i64 = sqlx::query_scalar(
            "SELECT (SELECT COALESCE(SUM(bytes), 0) FROM images) + (SELECT COALESCE(SUM(start_bytes), 0) FROM jobs)",
        )
        .fetch_one(&database.readers)
        .await?;
        let inner = Inner {
            data: data.to_owned(),
            database,
            blobs,
            ballast: Ballast::under(data),
            blob_use: RwLock::new(()),
            used: AtomicU64::new(used.try_into()?),
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
    pub fn used_bytes(&self) -> u64 {
        self.inner.used.load(Ordering::Relaxed)
    }

    /// Whether the database answers.
    ///
    /// # Errors
    /// If it does not; the message says why.
    pub async fn check(&self) -> anyhow::Result<()> {
        sqlx::query_scalar::<_, i64>("SELECT 1").fetch_one(&self.database().readers).await.map(drop)?;
        Ok(())
    }

    /// Waits until everything is on the disk and closes the database. Other clones of this store cannot be used any
    /// more.
    pub async fn close(&self) {
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

    /// While this is held no blob is removed.
    async fn blobs_stay(&self) -> RwLockReadGuard<'_, ()> {
        self.inner.blob_use.read().await
    }

    /// While this is held no row that names a blob is added.
    async fn blobs_may_go(&self) -> RwLockWriteGuard<'_, ()> {
        self.inner.blob_use.write().await
    }

    fn count_bytes(&self, bytes: u64) {
        self.inner.used.fetch_add(bytes, Ordering::Relaxed);
    }

    fn uncount_bytes(&self, bytes: u64) {
        self.inner.used.fetch_sub(bytes, Ordering::Relaxed);
    }

    async fn read_blob(&self, digest: String) -> anyhow::Result<Bytes> {
        let blobs = self.blobs().clone();
        Ok(tokio::task::spawn_blocking(move || blobs.get(&digest)).await??.into())
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
