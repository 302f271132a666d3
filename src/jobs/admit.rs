//! From a submission to a job, or to the one that is there already.

use std::{sync::Arc, time::Duration};

use tokio::sync::oneshot;
use tracing::Instrument;

use super::{
    JobState, Jobs, Listener, Submission, SubmitError,
    live::{Facts, Live},
    run::Run,
    service::Inner,
};
use crate::{
    domain::{JobId, Owner},
    engine::Refusal,
    store::{self, Found, KeyTaken},
};

impl Jobs {
    /// Makes a job, or finds the one made under the same `Idempotency-Key`. The listener hears everything from the
    /// start.
    ///
    /// # Errors
    /// See [`SubmitError`].
    pub async fn submit(&self, submission: Submission) -> Result<Listener, SubmitError> {
        let Some((key, digest)) = submission.idempotency.clone() else { return self.admit(submission).await };
        let _one = self.inner.keyed.lock(&submission.owner, &key).await;
        loop {
            match self.inner.store.find_idempotent(&submission.owner, &key).await? {
                None => match self.admit(submission.clone()).await {
                    // Another server admitted it in the same moment.
                    Err(SubmitError::Store(error)) if error.is::<KeyTaken>() => continue,
                    admitted => return admitted,
                },
                Some((_, known)) if known != digest => return Err(SubmitError::IdempotencyMismatch),
                Some((id, _)) => {
                    if let Some(listener) = self.attach(&submission.owner, id).await? {
                        return Ok(listener.replayed());
                    }
                }
            }
        }
    }

    /// Listens to a job that is there; `None` when it has let go of its `Idempotency-Key`, as all do that end without
    /// a result.
    async fn attach(&self, owner: &Owner, id: JobId) -> Result<Option<Listener>, SubmitError> {
        if let Some(live) = self.inner.get(id) {
            let listener = Listener::live(&live, 0);
            if listener.is_none() {
                live.ended().await;
            }
            // It may have ended since the look at its key. One whose end could not be stored has its key still.
            let (state, stored) = (live.state(), self.inner.get(id).is_none());
            let free = state.ended() && state != JobState::Completed && stored;
            return Ok(listener.filter(|_| !free));
        }
        match self.inner.store.find_job(owner, id).await? {
            Found::Job(record) if record.state == JobState::Completed => Ok(Some(self.replay(&record, 0).await?)),
            Found::Job(record) if record.state.ended() => Ok(None),
            Found::Job(_) if self.inner.store.is_elsewhere(id).await? => {
                Ok(Some(Listener::elsewhere(&self.inner, owner, id, 0)))
            }
            // Laid aside for the next start.
            Found::Job(_) if self.inner.is_draining() => Err(self.inner.draining()),
            Found::Job(_) => Err(anyhow::anyhow!("the job {id} has no end and no task").into()),
            Found::Expired | Found::Nothing => Ok(None),
        }
    }

    async fn admit(&self, submission: Submission) -> Result<Listener, SubmitError> {
        let inner = &self.inner;
        inner.check_room().await?;
        let live = Arc::new(Live::new(facts(JobId::new(), &submission, store::now(), 0)));
        let generator = inner.generator(&submission)?;
        let (ticket, listener) = inner.take(&live, &generator, submission.first())?;
        inner.watch.taken(&submission.order);
        let (told, written) = oneshot::channel();
        // In a task of its own, so that a caller that stops waiting leaves no half of a job behind.
        let span = job_span(live.facts.id, &submission);
        tokio::spawn(Run::new(inner.clone(), live, submission, generator).admitted(ticket, told).instrument(span));
        match written.await {
            Ok(written) => written.map(|()| listener),
            Err(_) => Err(anyhow::anyhow!("the job's task died").into()),
        }
    }
}

/// Where a job's task logs: every line tells the job and the request that made it.
pub(super) fn job_span(id: JobId, submission: &Submission) -> tracing::Span {
    let request_id = submission.request_id.as_deref().map(tracing::field::display);
    tracing::info_span!(parent: None, "job", job = %id, request_id)
}

/// What is known of a job from the start.
pub(super) fn facts(id: JobId, submission: &Submission, created: i64, base: u64) -> Facts {
    let request = &submission.order.request;
    Facts {
        id,
        owner: submission.owner.clone(),
        keep: submission.keep,
        prompt: request.prompt.clone(),
        created,
        base,
        total: submission.steps(),
    }
}

impl Inner {
    /// Refuses because the server stops. The engine counts what it refuses itself.
    pub(super) fn draining(&self) -> SubmitError {
        self.metrics.rejected_total.with_label_values(&["draining"]).inc();
        Refusal::Draining.into()
    }

    /// Refuses because there is no room to keep what would be drawn.
    pub(super) fn full(&self, message: String) -> SubmitError {
        self.metrics.rejected_total.with_label_values(&["disk_full"]).inc();
        SubmitError::DiskFull(message)
    }

    /// Nothing is drawn that could not be kept.
    async fn check_room(&self) -> Result<(), SubmitError> {
        let quota = self.settings.quota;
        if self.store.used_bytes().await? >= quota {
            let used = self.store.pinned_bytes().await?;
            if used >= quota {
                return Err(self.full(store::Full { used, quota }.to_string()));
            }
        }
        let (free, least) = (self.store.free_bytes().map_err(anyhow::Error::from)?, self.settings.min_free);
        if let Some(free) = free
            && free < least
        {
            let data = self.store.data().display();
            return Err(self.full(format!("{free} bytes are free on the disk of {data}; {least} stay free")));
        }
        Ok(())
    }
}

/// When to try again what the engine had no room for.
pub(super) fn retry_after(refusal: &Refusal) -> Option<Duration> {
    match refusal {
        Refusal::ClientFull { retry_after, .. }
        | Refusal::Full { retry_after, .. }
        | Refusal::Swapping { retry_after } => Some(*retry_after),
        Refusal::Late { retry_after, .. } => *retry_after,
        Refusal::Invalid(_) | Refusal::Draining | Refusal::Broken => None,
    }
}
