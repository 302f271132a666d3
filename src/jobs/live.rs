//! A job that has not ended: its history, who listens, and whether it is being called off.

use std::{
    sync::{Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use tokio::sync::{Notify, watch};

use super::{JobEvent, JobEventKind, JobFailure, JobResult, JobState, JobView};
use crate::domain::{JobId, Owner};

/// Why a job is stopped before its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stop {
    /// Its owner called it off.
    Client,
    /// The last listener left.
    Disconnect,
    /// The server stops and nobody keeps the job.
    Shutdown,
    /// The server stops; the next one resumes the job.
    Suspend,
}

/// What is known of a job from the start.
#[derive(Debug, Clone)]
pub(super) struct Facts {
    pub(super) id: JobId,
    pub(super) owner: Owner,
    pub(super) keep: bool,
    pub(super) prompt: String,
    /// Unix seconds.
    pub(super) created: i64,
    /// Sequence number before its first event: above 0 where an earlier process told of it.
    pub(super) base: u64,
    /// Picture-steps in all, as far as the request tells.
    pub(super) total: usize,
}

/// A job between admission and its end.
#[derive(Debug)]
pub(super) struct Live {
    pub(super) facts: Facts,
    pub(super) admitted: Instant,
    history: Mutex<History>,
    /// The last sequence number; changes once more when nothing comes after.
    latest: watch::Sender<u64>,
    stopping: Notify,
}

#[derive(Debug)]
struct History {
    events: Vec<JobEvent>,
    last: u64,
    state: JobState,
    /// Orders before it, and how long it was thought to take from `admitted` on.
    queue: (usize, Duration),
    started: Option<Instant>,
    progress: (usize, usize),
    listeners: usize,
    stop: Option<Stop>,
    /// Its task writes the end down; only that may still be told.
    sealed: bool,
    closed: bool,
    result: Option<std::sync::Arc<JobResult>>,
    failure: Option<JobFailure>,
    finished: Option<i64>,
}

/// What a listener finds.
pub(super) enum Next {
    Event(JobEvent),
    Wait,
    End,
}

impl Live {
    pub(super) fn new(facts: Facts) -> Self {
        let history = History {
            events: Vec::new(),
            last: facts.base,
            state: JobState::Queued,
            queue: (0, Duration::ZERO),
            started: None,
            progress: (0, facts.total),
            listeners: 0,
            stop: None,
            sealed: false,
            closed: false,
            result: None,
            failure: None,
            finished: None,
        };
        let latest = watch::Sender::new(facts.base);
        Self { facts, admitted: Instant::now(), history: Mutex::new(history), latest, stopping: Notify::new() }
    }

    fn history(&self) -> MutexGuard<'_, History> {
        self.history.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Tells the listeners, unless the end is being written. The last sequence number.
    pub(super) fn push(&self, kind: JobEventKind) -> u64 {
        let mut history = self.history();
        if !history.sealed {
            history.push(kind);
            self.latest.send_replace(history.last);
        }
        history.last
    }

    /// Tells where it waits, where that is news: its place never grows.
    pub(super) fn place(&self, position: usize) {
        let mut history = self.history();
        let (known, estimate) = history.queue;
        if history.state == JobState::Queued && position < known && !history.sealed {
            history.queue.0 = position;
            let estimated_seconds = estimate.saturating_sub(self.admitted.elapsed()).as_secs_f64();
            history.push(JobEventKind::Queued { position, estimated_seconds });
            self.latest.send_replace(history.last);
        }
    }

    /// Its place and how long it is likely to take, when it is admitted.
    pub(super) fn admit(&self, position: usize, estimate: Duration) {
        self.history().queue = (position, estimate);
        self.push(JobEventKind::Queued { position, estimated_seconds: estimate.as_secs_f64() });
    }

    /// No event is told any more but the end, whose sequence number this is.
    pub(super) fn seal(&self) -> u64 {
        let mut history = self.history();
        history.sealed = true;
        history.last + 1
    }

    /// Tells the end, or with `None` that there is none in this process. Previews are dropped: nobody waits for the picture.
    pub(super) fn close(&self, end: Option<(JobEventKind, i64)>) {
        let mut history = self.history();
        if let Some((kind, finished)) = end {
            history.finished = Some(finished);
            history.push(kind);
        }
        history.events.retain(|event| !matches!(event.kind, JobEventKind::Preview { .. }));
        (history.sealed, history.closed) = (true, true);
        self.latest.send_replace(history.last);
    }

    /// The event after `after`, if there is one.
    pub(super) fn after(&self, after: u64) -> Next {
        let history = self.history();
        let index = history.events.partition_point(|event| event.sequence <= after);
        match history.events.get(index) {
            Some(event) => Next::Event(event.clone()),
            None if history.closed => Next::End,
            None => Next::Wait,
        }
    }

    /// One more listener, unless the job is being called off.
    pub(super) fn join(&self) -> Option<watch::Receiver<u64>> {
        let mut history = self.history();
        if history.stop.is_some() && !history.closed {
            return None;
        }
        history.listeners += 1;
        Some(self.latest.subscribe())
    }

    /// One listener less; the last one's leaving calls the job off if nobody keeps it.
    pub(super) fn leave(&self) {
        let mut history = self.history();
        history.listeners -= 1;
        let last = history.listeners == 0;
        drop(history);
        if last && !self.facts.keep {
            self.stop(Stop::Disconnect);
        }
    }

    /// Calls it off; the first cause counts. Without effect once it has ended.
    pub(super) fn stop(&self, cause: Stop) {
        let mut history = self.history();
        if history.stop.is_none() && !history.sealed {
            history.stop = Some(cause);
            self.stopping.notify_one();
        }
    }

    /// Waits until it is called off. For its task only: one waiter is woken.
    pub(super) async fn stopped(&self) -> Stop {
        loop {
            if let Some(cause) = self.history().stop {
                return cause;
            }
            self.stopping.notified().await;
        }
    }

    /// Waits until nothing comes any more.
    pub(super) async fn ended(&self) {
        let mut changes = self.latest.subscribe();
        loop {
            changes.mark_unchanged();
            if self.history().closed || changes.changed().await.is_err() {
                return;
            }
        }
    }

    /// Whether nothing comes any more.
    pub(super) fn is_closed(&self) -> bool {
        self.history().closed
    }

    pub(super) fn state(&self) -> JobState {
        self.history().state
    }

    /// Unix seconds, once its end was told.
    pub(super) fn finished(&self) -> Option<i64> {
        self.history().finished
    }

    pub(super) fn view(&self) -> JobView {
        let history = self.history();
        JobView {
            id: self.facts.id,
            state: history.state,
            queue_position: (history.state == JobState::Queued).then_some(history.queue.0),
            estimated_seconds: history.remaining(self.admitted).map(|left| left.as_secs_f64()),
            progress: history.progress,
            prompt: self.facts.prompt.clone(),
            created: self.facts.created,
            finished: history.finished,
            result: history.result.clone(),
            failure: history.failure.clone(),
        }
    }
}

impl History {
    fn push(&mut self, kind: JobEventKind) {
        match &kind {
            JobEventKind::Started => (self.state, self.started) = (JobState::Running, Some(Instant::now())),
            JobEventKind::Progress { done, total } => self.progress = (*done, *total),
            JobEventKind::Completed(result) => (self.state, self.result) = (JobState::Completed, Some(result.clone())),
            JobEventKind::Failed(failure) => (self.state, self.failure) = (JobState::Failed, Some(failure.clone())),
            JobEventKind::Cancelled => self.state = JobState::Cancelled,
            JobEventKind::Queued { .. } | JobEventKind::Preview { .. } | JobEventKind::Picture(_) => {}
        }
        self.last += 1;
        self.events.push(JobEvent { sequence: self.last, kind });
    }

    /// By its own speed once it has one, before that by what the engine thought.
    fn remaining(&self, admitted: Instant) -> Option<Duration> {
        let (done, total) = self.progress;
        match self.started {
            _ if self.state.ended() => None,
            Some(started) if done > 0 => {
                Some(started.elapsed().mul_f64(total.saturating_sub(done) as f64 / done as f64))
            }
            _ => Some(self.queue.1.saturating_sub(admitted.elapsed())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn live(keep: bool) -> Live {
        Live::new(Facts {
            id: JobId::new(),
            owner: Owner::session("a"),
            keep,
            prompt: "a star".into(),
            created: 0,
            base: 0,
            total: 4,
        })
    }

    fn sequences(live: &Live) -> Vec<u64> {
        let mut heard = vec![];
        while let Next::Event(event) = live.after(heard.last().copied().unwrap_or(0)) {
            heard.push(event.sequence);
        }
        heard
    }

    #[test]
    fn sequence_numbers_are_dense_and_previews_leave_at_the_end() {
        let live = live(false);
        live.admit(3, Duration::from_secs(9));
        live.push(JobEventKind::Started);
        live.push(JobEventKind::Preview { picture: 0, number: 0, bytes: bytes::Bytes::new() });
        live.push(JobEventKind::Progress { done: 1, total: 4 });
        assert_eq!(sequences(&live), [1, 2, 3, 4]);
        assert_eq!(live.seal(), 5);
        live.push(JobEventKind::Progress { done: 2, total: 4 });
        live.close(Some((JobEventKind::Cancelled, 7)));
        assert_eq!(sequences(&live), [1, 2, 4, 5]);
        assert!(matches!(live.after(5), Next::End));
        assert_eq!((live.state(), live.finished()), (JobState::Cancelled, Some(7)));
    }

    #[test]
    fn a_place_in_the_queue_never_grows() {
        let live = live(false);
        live.admit(3, Duration::ZERO);
        [5, 3, 1, 2, 0].into_iter().for_each(|position| live.place(position));
        assert_eq!(live.view().queue_position, Some(0));
        assert_eq!(sequences(&live), [1, 2, 3], "only 1 and 0 were news");
        live.push(JobEventKind::Started);
        assert_eq!(live.view().queue_position, None);
    }

    #[tokio::test]
    async fn only_the_last_listener_calls_a_job_off() {
        let live = live(false);
        let _heard = (live.join(), live.join());
        live.leave();
        assert!(live.join().is_some(), "one is still there");
        live.leave();
        live.leave();
        assert_eq!(live.stopped().await, Stop::Disconnect);
        live.stop(Stop::Client);
        assert_eq!(live.stopped().await, Stop::Disconnect, "the first cause counts");
        assert!(live.join().is_none(), "what is being called off takes nobody");
    }

    #[test]
    fn a_kept_job_needs_no_listener() {
        let live = live(true);
        let _heard = live.join();
        live.leave();
        assert!(live.join().is_some());
    }
}
