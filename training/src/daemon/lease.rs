//! Who acts: one daemon of a database, and one in a directory.

use std::{
    fs::{File, TryLockError},
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use plaudit::{round::TrainingLease, store::Store};
use tokio::task::JoinHandle;

use super::DaemonError;

/// Renewals within a lease: two may fail before it is over.
const RENEWALS: u32 = 3;
const LOCK: &str = "LOCK";

/// A name for this start of this process, told to whoever has to wait.
pub(super) fn holder() -> String {
    let host = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    let began = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).map_or(0, |since| since.as_nanos());
    format!("{}, process {}, {:08x}", host.trim(), std::process::id(), began as u32)
}

/// The lease, renewed until it is dropped or lost.
#[derive(Debug)]
pub(super) struct Held {
    pub(super) lease: TrainingLease,
    lost: Arc<AtomicBool>,
    renewing: JoinHandle<()>,
}

impl Held {
    /// Takes it; `None` while another process holds it.
    pub(super) async fn take(store: &Store, holder: &str, seconds: u32) -> anyhow::Result<Option<Self>> {
        let Some(lease) = store.take_training_lease(holder, seconds).await? else { return Ok(None) };
        let lost = Arc::new(AtomicBool::new(false));
        let renewing = tokio::spawn(renew(store.clone(), lease.clone(), seconds, lost.clone()));
        Ok(Some(Self { lease, lost, renewing }))
    }

    /// Whether another process has it by now.
    pub(super) fn is_lost(&self) -> bool {
        self.lost.load(Ordering::Relaxed)
    }

    /// Lets others have it.
    pub(super) async fn give_back(self, store: &Store) -> anyhow::Result<()> {
        self.renewing.abort();
        store.give_back_training_lease(&self.lease).await
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.renewing.abort();
    }
}

async fn renew(store: Store, lease: TrainingLease, seconds: u32, lost: Arc<AtomicBool>) {
    loop {
        tokio::time::sleep(Duration::from_secs(seconds.into()) / RENEWALS).await;
        match store.take_training_lease(&lease.holder, seconds).await {
            Ok(Some(renewed)) if renewed.generation == lease.generation => {}
            Ok(_) => {
                tracing::warn!("the lease of training is another daemon's by now");
                lost.store(true, Ordering::Relaxed);
                return;
            }
            // While nobody else can take it either, it is worth another try.
            Err(error) => tracing::warn!("the lease of training cannot be renewed: {error:#}"),
        }
    }
}

/// Holds the directory of runs until the file is dropped: after a lease that was over while its holder still worked, files must not have
/// two writers.
pub(super) fn hold(runs: &Path) -> Result<File, DaemonError> {
    std::fs::create_dir_all(runs).map_err(DaemonError::io("create", runs))?;
    let path = runs.join(LOCK);
    let opened = File::options().read(true).write(true).create(true).truncate(false).open(&path);
    let file = opened.map_err(DaemonError::io("open", &path))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(DaemonError::InUse { path: runs.to_owned() }),
        Err(TryLockError::Error(source)) => Err(DaemonError::Io { action: "lock", path, source }),
    }
}
