//! The jobs of a server, for whoever serves them.

use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
};

use tokio::sync::Notify;

use super::{
    JobError, JobSettings, JobState, JobView, Listener,
    live::{Live, Stop},
    stored::{self, Bodies},
    upkeep,
};
use crate::{
    domain::{JobId, Owner},
    engine::Engine,
    metrics::Metrics,
    store::{Found, JobRecord, Store},
};

/// All jobs of a server.
#[derive(Debug, Clone)]
pub struct Jobs {
    pub(super) inner: Arc<Inner>,
}

#[derive(Debug)]
pub(super) struct Inner {
    pub(super) store: Store,
    pub(super) engine: Arc<Engine>,
    pub(super) metrics: Metrics,
    pub(super) settings: JobSettings,
    /// Jobs that have not ended, the oldest first.
    live: Mutex<BTreeMap<JobId, Arc<Live>>>,
    /// A job left `live`.
    left: Notify,
    /// One submission with an `Idempotency-Key` at a time, so that equal ones make one job.
    pub(super) keyed: tokio::sync::Mutex<()>,
    draining: AtomicBool,
}

impl Inner {
    fn all(&self) -> MutexGuard<'_, BTreeMap<JobId, Arc<Live>>> {
        self.live.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Jobs that have not ended, the oldest first.
    pub(super) fn alive(&self) -> Vec<Arc<Live>> {
        self.all().values().cloned().collect()
    }

    pub(super) fn get(&self, id: JobId) -> Option<Arc<Live>> {
        self.all().get(&id).cloned()
    }

    pub(super) fn add(&self, live: &Arc<Live>) {
        self.all().insert(live.facts.id, live.clone());
    }

    pub(super) fn remove(&self, id: JobId) {
        self.all().remove(&id);
        self.tell_idle();
    }

    /// Whoever waits for the end of all jobs looks again.
    pub(super) fn tell_idle(&self) {
        self.left.notify_waiters();
    }

    /// Waits until no job is in flight.
    pub(super) async fn idle(&self) {
        loop {
            let left = self.left.notified();
            if self.all().values().all(|live| live.state().ended()) {
                return;
            }
            left.await;
        }
    }

    pub(super) fn is_draining(&self) -> bool {
        self.draining.load(Ordering::Acquire)
    }

    pub(super) fn start_draining(&self) {
        self.draining.store(true, Ordering::Release);
    }

    /// When something that ends at a time (Unix seconds) is forgotten.
    pub(super) fn expires(&self, finished: i64) -> i64 {
        finished.saturating_add_unsigned(self.settings.ttl)
    }
}

impl Jobs {
    /// Takes up kept jobs that an earlier process left queued.
    ///
    /// # Errors
    /// If the store cannot be read.
    pub async fn open(
        store: Store,
        engine: Arc<Engine>,
        metrics: Metrics,
        settings: JobSettings,
    ) -> anyhow::Result<Self> {
        let inner = Arc::new(Inner {
            store,
            engine,
            metrics,
            settings,
            live: Mutex::default(),
            left: Notify::new(),
            keyed: tokio::sync::Mutex::new(()),
            draining: AtomicBool::new(false),
        });
        let jobs = Self { inner };
        jobs.resume().await?;
        tokio::spawn(upkeep::places(Arc::downgrade(&jobs.inner)));
        tokio::spawn(upkeep::sweeps(Arc::downgrade(&jobs.inner)));
        Ok(jobs)
    }

    /// Listens to a job, from the event after `after` (0: from the start).
    ///
    /// # Errors
    /// See [`JobError`].
    pub async fn follow(&self, owner: &Owner, id: JobId, after: u64) -> Result<Listener, JobError> {
        if let Some(live) = self.mine(owner, id) {
            if let Some(listener) = Listener::live(&live, after) {
                return Ok(listener);
            }
            live.ended().await;
        }
        let record = self.record(owner, id).await?;
        Ok(self.replay(&record, after).await?)
    }

    /// Where a job stands.
    ///
    /// # Errors
    /// See [`JobError`].
    pub async fn view(&self, owner: &Owner, id: JobId) -> Result<JobView, JobError> {
        match self.mine(owner, id) {
            Some(live) => Ok(live.view()),
            None => Ok(stored::view(&self.inner.store, &self.record(owner, id).await?, Bodies::Load).await?),
        }
    }

    /// An owner's jobs, the newest first, at most `limit`, those made before `before`. Results are without the pictures' bytes.
    ///
    /// # Errors
    /// If the store cannot be read.
    pub async fn list(
        &self,
        owner: &Owner,
        state: Option<JobState>,
        limit: usize,
        before: Option<JobId>,
    ) -> anyhow::Result<Vec<JobView>> {
        // What has not ended is known best here; what ends between the two looks is found by the second.
        let mut found: BTreeMap<JobId, JobView> = BTreeMap::new();
        let alive = self.inner.alive().into_iter().filter(|live| live.facts.owner == *owner);
        found.extend(alive.map(|live| (live.facts.id, live.view())));
        if state.is_none_or(JobState::ended) {
            for record in self.inner.store.list_jobs(owner, state, limit, before).await? {
                if record.state.ended() || !found.contains_key(&record.id) {
                    let view = stored::view(&self.inner.store, &record, Bodies::Leave).await?;
                    found.insert(record.id, view);
                }
            }
        }
        let wanted =
            |view: &JobView| state.is_none_or(|state| view.state == state) && before.is_none_or(|id| view.id < id);
        Ok(found.into_values().rev().filter(wanted).take(limit).collect())
    }

    /// Calls a job off; one that has ended stays as it is.
    ///
    /// # Errors
    /// See [`JobError`].
    pub async fn cancel(&self, owner: &Owner, id: JobId) -> Result<JobView, JobError> {
        if let Some(live) = self.mine(owner, id) {
            live.stop(Stop::Client);
            live.ended().await;
            return Ok(live.view());
        }
        self.view(owner, id).await
    }

    fn mine(&self, owner: &Owner, id: JobId) -> Option<Arc<Live>> {
        self.inner.get(id).filter(|live| live.facts.owner == *owner)
    }

    async fn record(&self, owner: &Owner, id: JobId) -> Result<JobRecord, JobError> {
        match self.inner.store.find_job(owner, id).await? {
            Found::Job(record) => Ok(*record),
            Found::Expired => Err(JobError::Expired(id)),
            Found::Nothing => Err(JobError::NotFound(id)),
        }
    }

    /// A listener to what is left to tell of a stored job. One without an end waits for the next start of the server.
    pub(super) async fn replay(&self, record: &JobRecord, after: u64) -> anyhow::Result<Listener> {
        let events = match record.state.ended() {
            true => stored::events(&self.inner.store, record, after).await?,
            false => Vec::new(),
        };
        Ok(Listener::stored(record.id, events))
    }
}
