//! Who hears what happens to a job.

use std::{
    collections::VecDeque,
    sync::{Arc, Weak},
    time::Duration,
};

use tokio::sync::watch;

use super::{
    JobError, JobEvent,
    live::{Live, Next},
    service::Inner,
    stored,
};
use crate::domain::{JobId, Owner};

/// Someone who hears what happens to a job. When the last listener of a job is dropped and it is not kept, it is
/// cancelled.
#[derive(Debug)]
pub struct Listener {
    /// The job.
    pub id: JobId,
    /// The job was there already, found by its `Idempotency-Key`.
    pub replayed: bool,
    source: Source,
}

#[derive(Debug)]
enum Source {
    Live(Following),
    /// The job has ended; this is what is left to tell.
    Stored(VecDeque<JobEvent>),
    /// Another server draws it.
    Elsewhere(Elsewhere),
}

/// A job that another server draws: nothing is heard of it before its end.
#[derive(Debug)]
struct Elsewhere {
    jobs: Weak<Inner>,
    owner: Owner,
    id: JobId,
    after: u64,
}

impl Elsewhere {
    /// How often the database is asked.
    const EVERY: Duration = Duration::from_millis(500);

    /// What is left to tell once it has ended: nothing if this server stops before, or takes the job over.
    async fn ended(&self) -> VecDeque<JobEvent> {
        loop {
            tokio::time::sleep(Self::EVERY).await;
            let Some(jobs) = self.jobs.upgrade() else { return VecDeque::new() };
            if jobs.is_draining() || jobs.get(self.id).is_some() {
                return VecDeque::new();
            }
            match jobs.record(&self.owner, self.id).await {
                Ok(record) if record.state.ended() => {
                    let events = stored::events(&jobs.store, &record, self.after).await;
                    return events.inspect_err(|error| tracing::error!("{error:#}")).unwrap_or_default().into();
                }
                Ok(_) => {}
                Err(JobError::Store(error)) => tracing::warn!("cannot ask for a job of another server: {error:#}"),
                Err(_) => return VecDeque::new(),
            }
        }
    }
}

#[derive(Debug)]
struct Following {
    live: Arc<Live>,
    after: u64,
    changes: watch::Receiver<u64>,
}

impl Listener {
    /// Follows from the event after `after`; `None` when the job is being called off.
    pub(super) fn live(live: &Arc<Live>, after: u64) -> Option<Self> {
        let changes = live.join()?;
        let source = Source::Live(Following { live: live.clone(), after, changes });
        Some(Self { id: live.facts.id, replayed: false, source })
    }

    pub(super) fn stored(id: JobId, events: impl IntoIterator<Item = JobEvent>) -> Self {
        Self { id, replayed: false, source: Source::Stored(events.into_iter().collect()) }
    }

    /// Hears of the end of a job that another server draws.
    pub(super) fn elsewhere(jobs: &Arc<Inner>, owner: &Owner, id: JobId, after: u64) -> Self {
        let source = Source::Elsewhere(Elsewhere { jobs: Arc::downgrade(jobs), owner: owner.clone(), id, after });
        Self { id, replayed: false, source }
    }

    pub(super) fn replayed(self) -> Self {
        Self { replayed: true, ..self }
    }

    /// The next event; `None` after the last, which is the end of the job unless the server stops before it.
    pub async fn next(&mut self) -> Option<JobEvent> {
        if let Source::Elsewhere(elsewhere) = &self.source {
            self.source = Source::Stored(elsewhere.ended().await);
        }
        match &mut self.source {
            Source::Live(following) => following.next().await,
            Source::Stored(events) => events.pop_front(),
            Source::Elsewhere(_) => None,
        }
    }
}

impl Following {
    async fn next(&mut self) -> Option<JobEvent> {
        loop {
            // Before the look, so that what comes after the look is noticed.
            self.changes.mark_unchanged();
            match self.live.after(self.after) {
                Next::Event(event) => {
                    self.after = event.sequence;
                    return Some(event);
                }
                Next::End => return None,
                Next::Wait => self.changes.changed().await.ok()?,
            }
        }
    }
}

impl Drop for Following {
    fn drop(&mut self) {
        self.live.leave();
    }
}
