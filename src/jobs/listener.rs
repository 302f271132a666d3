//! Who hears what happens to a job.

use std::{collections::VecDeque, sync::Arc};

use tokio::sync::watch;

use super::{
    JobEvent,
    live::{Live, Next},
};
use crate::domain::JobId;

/// Someone who hears what happens to a job. When the last listener of a job is dropped and it is not kept, it is cancelled.
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

    pub(super) fn replayed(self) -> Self {
        Self { replayed: true, ..self }
    }

    /// The next event; `None` after the last, which is the end of the job unless the server stops before it.
    pub async fn next(&mut self) -> Option<JobEvent> {
        match &mut self.source {
            Source::Live(following) => following.next().await,
            Source::Stored(events) => events.pop_front(),
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
