//! How much room is left.

use std::{ffi::CString, io, mem::MaybeUninit, os::unix::ffi::OsStrExt, path::Path};

use super::{Store, database::Database, sql::query_scalar};

/// Pictures of jobs that are not finished fill the quota: nothing can leave to make room.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("pictures take {used} of {quota} bytes, and no job among them can leave yet")]
pub struct Full {
    /// Bytes that pictures take.
    pub used: u64,
    /// Bytes that they may take.
    pub quota: u64,
}

/// Codes for a full disk: `SQLITE_FULL`, and PostgreSQL's `disk_full`.
const DISK_FULL: [&str; 2] = ["13", "53100"];

/// Whether something failed because the disk or the quota of pictures is full.
pub fn is_full(error: &anyhow::Error) -> bool {
    is_disk_full(error) || error.chain().any(|cause| cause.is::<Full>())
}

/// Whether something failed because the disk is full.
pub(super) fn is_disk_full(error: &anyhow::Error) -> bool {
    error.chain().any(|cause| {
        let kind = cause.downcast_ref::<io::Error>().map(io::Error::kind);
        let code = cause.downcast_ref::<sqlx::Error>().and_then(|e| e.as_database_error()).and_then(|e| e.code());
        matches!(kind, Some(io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded))
            || code.is_some_and(|code| DISK_FULL.contains(&code.as_ref()))
    })
}

impl Store {
    /// Bytes that are free on the disk of the data directory; `None` where nothing that grows is kept there.
    ///
    /// # Errors
    /// If the system does not tell.
    pub fn free_bytes(&self) -> io::Result<Option<u64>> {
        self.is_local().then(|| free_bytes(self.data())).transpose()
    }

    /// Bytes of pictures whose jobs are not finished, those they start from too: they cannot leave.
    ///
    /// # Errors
    /// If the database cannot be read.
    pub async fn pinned_bytes(&self) -> anyhow::Result<u64> {
        let bytes: i64 = query_scalar(
            "SELECT CAST((SELECT COALESCE(SUM(start_bytes), 0) FROM jobs WHERE finished IS NULL) \
             + (SELECT COALESCE(SUM(images.bytes), 0) FROM jobs JOIN images ON images.job = jobs.id \
             WHERE jobs.finished IS NULL) AS BIGINT)",
        )
        .fetch_one(&self.database().readers)
        .await?;
        Ok(bytes.try_into()?)
    }
}

/// Bytes that pictures take, those that jobs start from too.
pub(super) async fn used_bytes(database: &Database) -> anyhow::Result<u64> {
    let bytes: i64 = query_scalar(
        "SELECT CAST((SELECT COALESCE(SUM(bytes), 0) FROM images) + (SELECT COALESCE(SUM(start_bytes), 0) FROM jobs \
         WHERE start_bytes > 0) AS BIGINT)",
    )
    .fetch_one(&database.readers)
    .await?;
    Ok(bytes.try_into()?)
}

/// Bytes that are free on the disk of a path.
///
/// # Errors
/// If the system does not tell.
pub fn free_bytes(path: &Path) -> io::Result<u64> {
    let path = CString::new(path.as_os_str().as_bytes())?;
    let mut facts = MaybeUninit::<libc::statvfs>::uninit();
    // SAFETY: the path ends in NUL and `facts` has room for what the call writes.
    if unsafe { libc::statvfs(path.as_ptr(), facts.as_mut_ptr()) } != 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the call succeeded, so it wrote all of it.
    let facts = unsafe { facts.assume_init() };
    #[allow(clippy::unnecessary_cast)] // 32 bits on macOS
    Ok(facts.f_bavail as u64 * facts.f_frsize as u64)
}
