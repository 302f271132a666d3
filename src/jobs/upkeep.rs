//! What happens by the clock: places in the queue are told, what has expired leaves.

use std::{sync::Weak, time::Duration};

use super::{JobState, Jobs, live::Stop, service::Inner};
use crate::store;

/// How often those who wait are told their place.
const PLACES: Duration = Duration::from_secs(1);
/// How often expired jobs leave; they are invisible from the second they expire.
const SWEEPS: Duration = Duration::from_secs(30);

/// Tells queued jobs how many wait before them, until the jobs are dropped.
pub(super) async fn places(jobs: Weak<Inner>) {
    loop {
        tokio::time::sleep(PLACES).await;
        let Some(jobs) = jobs.upgrade() else { return };
        let waiting = jobs.alive().into_iter().filter(|live| live.state() == JobState::Queued);
        waiting.enumerate().for_each(|(position, live)| live.place(position));
    }
}

/// Sweeps the store, until the jobs are dropped.
pub(super) async fn sweeps(jobs: Weak<Inner>) {
    loop {
        let Some(strong) = jobs.upgrade() else { return };
        match strong.store.sweep(store::now(), strong.settings.quota).await {
            Ok(swept) if swept != store::Swept::default() => tracing::info!(?swept, "swept the store"),
            Ok(_) => {}
            Err(error) => tracing::error!("cannot sweep the store: {error:#}"),
        }
        strong.forget_unstored();
        drop(strong);
        tokio::time::sleep(SWEEPS).await;
    }
}

/// Tells the other servers on the database that this one lives, and takes over the jobs of those that do not, until the
/// jobs are dropped.
pub(super) async fn leases(jobs: Weak<Inner>) {
    /// Signs of life within a lease: some may be late.
    const SIGNS: u32 = 4;
    loop {
        let Some(inner) = jobs.upgrade() else { return };
        let every = Duration::from_secs(inner.store.lease().into()) / SIGNS;
        // A server that stops lives until it has: what it still draws is its own.
        let told = match inner.is_draining() {
            true => inner.store.renew_lease().await,
            false => Jobs { inner: inner.clone() }.resume().await,
        };
        if let Err(error) = told {
            tracing::error!("cannot tell other servers that this one lives: {error:#}");
        }
        drop(inner);
        tokio::time::sleep(every).await;
    }
}

/// Stops the jobs that their owners called off through other servers, until the jobs are dropped.
pub(super) async fn calls_off(jobs: Weak<Inner>) {
    /// Somebody waits for it.
    const EVERY: Duration = Duration::from_secs(1);
    loop {
        tokio::time::sleep(EVERY).await;
        let Some(jobs) = jobs.upgrade() else { return };
        match jobs.store.called_off().await {
            Ok(ids) => ids.into_iter().filter_map(|id| jobs.get(id)).for_each(|live| live.stop(Stop::Client)),
            Err(error) => tracing::warn!("cannot ask which jobs are called off: {error:#}"),
        }
    }
}

impl Inner {
    /// Jobs whose end could not be stored were kept in memory; they expire all the same.
    fn forget_unstored(&self) {
        let expired = |finished: i64| self.expires(finished) <= store::now();
        let over = self.alive().into_iter().filter(|live| live.finished().is_some_and(expired));
        over.for_each(|live| self.remove(live.facts.id));
    }
}
