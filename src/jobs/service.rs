//! The jobs of a server, for whoever serves them.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use tokio::sync::Notify;

use super::{
    JobError, JobSettings, JobState, JobView, Listener, Submission, SubmitError,
    keyed::Keyed,
    live::{Live, Stop},
    stored::{self, Bodies},
    upkeep,
};
use crate::{
    domain::{JobId, Owner},
    engine::{Engine, Generator, Order, Ticket, UnknownModel},
    metrics::Metrics,
    scoring::Scorer,
    store::{Found, JobRecord, Store},
    trial::Watch,
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
    /// What judges, where there is anything that can.
    pub(super) scorer: Option<Scorer>,
    pub(super) settings: JobSettings,
    /// What trials of versions see of the jobs.
    pub(super) watch: Watch,
    roll: Mutex<Roll>,
    /// A job left the roll.
    left: Notify,
    /// So that equal submissions make one job.
    pub(super) keyed: Keyed,
}

/// Who is in flight, and whether more may come. One lock: a drain sees every job that was taken before it.
#[derive(Debug, Default)]
struct Roll {
    /// Jobs that have not ended, the oldest first.
    live: BTreeMap<JobId, Arc<Live>>,
    draining: bool,
}

impl Inner {
    fn roll(&self) -> MutexGuard<'_, Roll> {
        self.roll.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Hands a new job to the engine and lists it, as one step that no drain comes between. The listener hears
    /// everything.
    pub(super) fn take(
        &self,
        live: &Arc<Live>,
        generator: &Arc<Generator>,
        order: Order,
    ) -> Result<(Ticket, Listener), SubmitError> {
        let mut roll = self.roll();
        if roll.draining {
            return Err(self.draining());
        }
        let (position, estimate) = self.engine.estimate(&order);
        let ticket = self.engine.submit_to(generator, order)?;
        live.admit(position, estimate);
        let listener = Listener::live(live, 0).ok_or_else(|| self.draining())?;
        roll.live.insert(live.facts.id, live.clone());
        Ok((ticket, listener))
    }

    /// Jobs that have not ended, the oldest first.
    pub(super) fn alive(&self) -> Vec<Arc<Live>> {
        self.roll().live.values().cloned().collect()
    }

    pub(super) fn get(&self, id: JobId) -> Option<Arc<Live>> {
        self.roll().live.get(&id).cloned()
    }

    pub(super) fn add(&self, live: &Arc<Live>) {
        self.roll().live.insert(live.facts.id, live.clone());
    }

    pub(super) fn remove(&self, id: JobId) {
        self.roll().live.remove(&id);
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
            if self.roll().live.values().all(|live| live.state().ended()) {
                return;
            }
            left.await;
        }
    }

    pub(super) fn is_draining(&self) -> bool {
        self.roll().draining
    }

    /// From now on no job is taken; those that were are on the roll.
    pub(super) fn start_draining(&self) {
        self.roll().draining = true;
    }

    /// What draws a submission: the rater it is for stays with one version, or whoever asks.
    pub(super) fn generator(&self, submission: &Submission) -> Result<Arc<Generator>, UnknownModel> {
        self.engine.routes().choose(&submission.model, submission.subject()).cloned()
    }

    /// What judges a submission, from its first candidate to its last: likewise.
    pub(super) fn scorer(&self, submission: &Submission) -> Option<Scorer> {
        self.scorer.as_ref().map(|scorer| scorer.pinned_for(submission.subject()))
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
        scorer: Option<Scorer>,
        settings: JobSettings,
    ) -> anyhow::Result<Self> {
        let inner = Arc::new(Inner {
            store,
            engine,
            metrics,
            scorer,
            settings,
            watch: Watch::default(),
            roll: Mutex::default(),
            left: Notify::new(),
            keyed: Keyed::default(),
        });
        let jobs = Self { inner };
        jobs.resume().await?;
        tokio::spawn(upkeep::places(Arc::downgrade(&jobs.inner)));
        tokio::spawn(upkeep::sweeps(Arc::downgrade(&jobs.inner)));
        if !jobs.inner.store.is_alone() {
            tokio::spawn(upkeep::leases(Arc::downgrade(&jobs.inner)));
            tokio::spawn(upkeep::calls_off(Arc::downgrade(&jobs.inner)));
        }
        Ok(jobs)
    }

    /// What trials of versions see of the jobs.
    pub fn watch(&self) -> Watch {
        self.inner.watch.clone()
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
        if self.inner.store.is_elsewhere(id).await? {
            return Ok(Listener::elsewhere(&self.inner, owner, id, after));
        }
        Ok(self.replay(&record, after).await?)
    }

    /// Where a job stands. One that has ended is told without its pictures' bytes: they are under their names.
    ///
    /// # Errors
    /// See [`JobError`].
    pub async fn view(&self, owner: &Owner, id: JobId) -> Result<JobView, JobError> {
        match self.mine(owner, id) {
            Some(live) => Ok(live.view()),
            None => Ok(stored::view(&self.inner.store, &self.record(owner, id).await?, Bodies::Leave).await?),
        }
    }

    /// An owner's jobs, the newest first, at most `limit`, those made before `before`. Results are without the
    /// pictures' bytes.
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
        if self.inner.store.is_elsewhere(id).await? {
            self.inner.store.call_off(owner, id).await?;
            let mut end = Listener::elsewhere(&self.inner, owner, id, 0);
            while end.next().await.is_some() {}
        }
        self.view(owner, id).await
    }

    fn mine(&self, owner: &Owner, id: JobId) -> Option<Arc<Live>> {
        self.inner.get(id).filter(|live| live.facts.owner == *owner)
    }

    async fn record(&self, owner: &Owner, id: JobId) -> Result<JobRecord, JobError> {
        self.inner.record(owner, id).await
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

impl Inner {
    pub(super) async fn record(&self, owner: &Owner, id: JobId) -> Result<JobRecord, JobError> {
        match self.store.find_job(owner, id).await? {
            Found::Job(record) => Ok(*record),
            Found::Expired => Err(JobError::Expired(id)),
            Found::Nothing => Err(JobError::NotFound(id)),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{path::Path, time::Duration};

    use super::*;
    use crate::{
        engine::{Class, EngineSettings, Refusal},
        jobs::live::Facts,
        pack::Pack,
        pipeline::Request,
        runtime::Device,
    };

    fn order() -> Order {
        Order {
            request: Request { steps: 2, ..Request::default() },
            client: "alice".into(),
            class: Class::Interactive,
            deadline: None,
            previews: 0,
            optional: 0,
            deterministic: false,
        }
    }

    fn live() -> Arc<Live> {
        Arc::new(Live::new(Facts {
            id: JobId::new(),
            owner: Owner::session("alice"),
            keep: false,
            prompt: String::new(),
            created: 0,
            base: 0,
            total: 2,
        }))
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn no_job_is_taken_once_a_drain_has_begun() {
        /// Long enough for a thread to reach the lock.
        const MOMENT: Duration = Duration::from_millis(200);
        let data = tempfile::tempdir().expect("a folder");
        let pack = Pack::open(&Path::new(env!("CARGO_MANIFEST_DIR")).join("onnx/packs/miniature")).expect("a pack");
        let metrics = Metrics::new();
        let engine = Engine::start(&pack, Device::Cpu, &EngineSettings::default(), metrics.clone()).expect("an engine");
        let store = Store::open(data.path()).await.expect("a store");
        let jobs = Jobs::open(store, engine.into(), metrics, None, JobSettings::default()).await.expect("jobs");
        let taking = {
            // A drain begins while the job is on its way to the roll.
            let mut roll = jobs.inner.roll();
            let inner = jobs.inner.clone();
            let champion = inner.engine.routes().champion.clone();
            let taking = std::thread::spawn(move || inner.take(&live(), &champion, order()).map(drop));
            std::thread::sleep(MOMENT);
            roll.draining = true;
            taking
        };
        let taken = taking.join().expect("it does not panic");
        assert!(matches!(taken, Err(SubmitError::Refused(Refusal::Draining))), "{taken:?}");
        assert_eq!((jobs.inner.engine.load().row_steps, jobs.inner.alive().len()), (0, 0));
    }
}
