//! Holds on blobs: one must not be removed while a new row is to name it.

use tokio::sync::{RwLockReadGuard, RwLockWriteGuard};

use super::{
    Store,
    database::{Database, Lock, Transaction},
    sql::On,
};

/// While this is held no blob is removed, in this process nor, where servers share the database, in any other: there it is
/// an open transaction, in which the row is written too. Losing the connection loses both.
pub(super) struct BlobHold<'a> {
    database: &'a Database,
    everywhere: Option<Transaction>,
    _here: RwLockReadGuard<'a, ()>,
}

impl BlobHold<'_> {
    /// Where the row is written that names a blob.
    pub(super) fn on(&mut self) -> On<'_> {
        match &mut self.everywhere {
            Some(transaction) => transaction.into(),
            None => On::from(&self.database.writer),
        }
    }

    /// Commits what was written.
    pub(super) async fn release(self) -> sqlx::Result<()> {
        match self.everywhere {
            Some(transaction) => transaction.commit().await,
            None => Ok(()),
        }
    }
}

impl Store {
    /// For who adds a row that names a blob: from before the blob is written until the row is.
    pub(super) async fn hold_blobs(&self) -> sqlx::Result<BlobHold<'_>> {
        let here = self.blobs_stay().await;
        let mut everywhere = None;
        if self.database().is_shared() {
            let transaction = everywhere.insert(self.database().begin().await?);
            transaction.share(Lock::Blobs).await?;
        }
        Ok(BlobHold { database: self.database(), everywhere, _here: here })
    }

    /// While this is held this process removes no blob.
    pub(super) async fn blobs_stay(&self) -> RwLockReadGuard<'_, ()> {
        self.inner.blob_use.read().await
    }

    /// While this is held no row that names a blob is added by this process.
    pub(super) async fn blobs_may_go(&self) -> RwLockWriteGuard<'_, ()> {
        self.inner.blob_use.write().await
    }
}
