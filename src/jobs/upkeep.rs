//! What happens by the clock: places in the queue are told, what has expired leaves.

use std::{sync::Weak, time::Duration};

use super::{JobState, service::Inner};
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

impl Inner {
    /// Jobs whose end could not be stored were kept in memory; they expire all the same.
    fn forget_unstored(&self) {
        let expired = |finished: i64| self.expires(finished) <= store::now();
        let over = self.alive().into_iter().filter(|live| live.finished().is_some_and(expired));
        over.for_each(|live| self.remove(live.facts.id));
    }
}
