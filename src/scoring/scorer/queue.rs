//! What waits to be scored: bounded, and without those whose client left.

use std::{
    collections::VecDeque,
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::sync::oneshot;

use super::{Answer, ScoreError, ServedReward};
use crate::{metrics::Metrics, scoring::Pixels};

/// Seconds that a row takes before any was measured: a small CLIP on a slow processor.
const FIRST_GUESS: f64 = 0.005;
/// Weight of the newest measurement.
const NEWEST: f64 = 0.2;

/// Work for the worker's thread.
#[derive(Debug)]
pub(super) struct Job {
    pub(super) texts: Vec<String>,
    pub(super) pixels: Vec<Pixels>,
    /// What tells the reward of every text with every picture, where that is wanted.
    pub(super) reward: Option<Arc<ServedReward>>,
    pub(super) reply: oneshot::Sender<Result<Answer, ScoreError>>,
}

impl Job {
    pub(super) fn rows(&self) -> usize {
        self.texts.len() + self.pixels.len()
    }
}

/// The queue between those who ask and the thread that answers.
#[derive(Debug)]
pub(super) struct Queue {
    state: Mutex<State>,
    changed: Condvar,
    limit: usize,
    metrics: Metrics,
}

#[derive(Debug)]
struct State {
    jobs: VecDeque<Job>,
    rows: usize,
    seconds_a_row: f64,
    stopped: bool,
}

impl Queue {
    pub(super) fn new(limit: usize, metrics: Metrics) -> Self {
        let state = State { jobs: VecDeque::new(), rows: 0, seconds_a_row: FIRST_GUESS, stopped: false };
        Self { state: Mutex::new(state), changed: Condvar::new(), limit, metrics }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds a job, or says when there may be room. A job that is larger than the queue is taken when nothing waits.
    pub(super) fn push(&self, job: Job) -> Result<(), ScoreError> {
        let mut state = self.state();
        if state.stopped {
            return Err(ScoreError::Stopped);
        }
        let rows = job.rows();
        if state.rows > 0 && state.rows + rows > self.limit {
            let wait = Duration::from_secs_f64(state.rows as f64 * state.seconds_a_row);
            self.metrics.rejected_total.with_label_values(&["scoring"]).inc();
            return Err(ScoreError::Full { waiting: state.rows, retry_after: wait });
        }
        state.rows += rows;
        state.jobs.push_back(job);
        self.metrics.scoring_waiting.set(state.rows as i64);
        drop(state);
        self.changed.notify_one();
        Ok(())
    }

    /// The next jobs whose pictures, and whose texts, fill a call of `most` rows; at least one. `None` once it was stopped.
    pub(super) fn next(&self, most: usize) -> Option<Vec<Job>> {
        let mut state = self.state();
        loop {
            if state.stopped {
                return None;
            }
            let taken = self.take(&mut state, most);
            self.metrics.scoring_waiting.set(state.rows as i64);
            if !taken.is_empty() {
                return Some(taken);
            }
            state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }

    fn take(&self, state: &mut State, most: usize) -> Vec<Job> {
        let (mut taken, mut texts, mut pixels) = (Vec::new(), 0, 0);
        while let Some(job) = state.jobs.front() {
            let gone = job.reply.is_closed();
            let fits = texts + job.texts.len() <= most && pixels + job.pixels.len() <= most;
            if !(gone || taken.is_empty() || fits) {
                break;
            }
            let Some(job) = state.jobs.pop_front() else { break };
            state.rows -= job.rows();
            if gone {
                self.metrics.cancelled_total.with_label_values(&["disconnect"]).inc();
                continue;
            }
            texts += job.texts.len();
            pixels += job.pixels.len();
            taken.push(job);
        }
        taken
    }

    /// Learns how long rows take.
    pub(super) fn measured(&self, rows: usize, seconds: f64) {
        if rows > 0 {
            let mut state = self.state();
            state.seconds_a_row += NEWEST * (seconds / rows as f64 - state.seconds_a_row);
        }
    }

    /// Ends it: what waits is dropped, and nothing more is taken.
    pub(super) fn stop(&self) {
        let mut state = self.state();
        state.stopped = true;
        state.jobs.clear();
        state.rows = 0;
        drop(state);
        self.changed.notify_all();
    }
}
