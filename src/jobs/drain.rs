//! The server stops.

use std::time::Duration;

use tokio::time::timeout;

use super::{JobState, Jobs, live::Stop};

/// How long a job may take to write down that it was stopped.
const LAST_WORDS: Duration = Duration::from_secs(5);

impl Jobs {
    /// Takes no more jobs and waits until those in flight are done; queued kept ones stay for the next start. What is not done
    /// after `grace` is laid aside for the next start if it is kept, and cancelled if not.
    pub async fn drain(&self, grace: Duration) {
        self.inner.start_draining();
        self.inner.engine.drain();
        for live in self.inner.alive() {
            if live.facts.keep && live.state() == JobState::Queued {
                live.stop(Stop::Suspend);
            }
        }
        if timeout(grace, self.inner.idle()).await.is_ok() {
            return;
        }
        for live in self.inner.alive() {
            live.stop(if live.facts.keep { Stop::Suspend } else { Stop::Shutdown });
        }
        if timeout(LAST_WORDS, self.inner.idle()).await.is_err() {
            tracing::error!("{} jobs did not stop in time", self.inner.alive().len());
        }
    }
}
