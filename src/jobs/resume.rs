//! Jobs that an earlier process, or a server that is no more, left without an end.

use std::{sync::Arc, time::Duration};

use tracing::Instrument;

use super::{
    JobFailure, JobState, Jobs, Submission,
    admit::{facts, job_span, retry_after},
    live::{Live, Stop},
    run::Run,
    stored,
};
use crate::{
    engine::Refusal,
    store::{self, Ending, JobRecord},
};

/// What sequence numbers jump by when a job is resumed: more than a history is long, so that who was cut off in the
/// middle of the first try hears all of the second.
const SEQUENCE_GAP: u64 = 1 << 20;
/// Longest and shortest wait between two tries to hand a resumed job to a full engine.
const PATIENCE: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(10));

impl Jobs {
    /// Takes over the jobs whose server is no more. Kept ones go on, the oldest first; nobody waits for the others any more.
    pub(super) async fn resume(&self) -> anyhow::Result<()> {
        let mut failed = None;
        for record in self.inner.store.claim_jobs().await? {
            if let Err(error) = self.take_up(&record).await {
                tracing::error!(job = %record.id, "a job cannot be taken over now: {error:#}");
                // For the next look, or for another server.
                if let Err(error) = self.inner.store.disown(record.id).await {
                    tracing::error!(job = %record.id, "it waits for the next start: {error:#}");
                }
                failed = failed.or(Some(error));
            }
        }
        failed.map_or(Ok(()), Err)
    }

    async fn take_up(&self, record: &JobRecord) -> anyhow::Result<()> {
        if !record.keep {
            self.inner.metrics.cancelled_total.with_label_values(&["shutdown"]).inc();
            return self.end(record, JobState::Cancelled, None).await;
        }
        if record.attempts >= self.inner.settings.max_attempts {
            tracing::error!(job = %record.id, attempts = record.attempts, "a job is not resumed any more");
            let failure = JobFailure::attempts_exhausted(record.attempts);
            return self.end(record, JobState::Failed, Some(failure)).await;
        }
        match self.read(record).await {
            Ok(submission) => self.restart(record, submission).await,
            Err(error) => {
                let failure = JobFailure::internal(record.id, format!("it cannot be resumed: {error:#}"));
                self.end(record, JobState::Failed, Some(failure)).await
            }
        }
    }

    async fn read(&self, record: &JobRecord) -> anyhow::Result<Submission> {
        let start = match &record.start {
            Some(digest) => Some(self.inner.store.start_picture(digest).await?),
            None => None,
        };
        stored::submission(record, start)
    }

    async fn restart(&self, record: &JobRecord, submission: Submission) -> anyhow::Result<()> {
        let base = record.last_sequence + SEQUENCE_GAP;
        self.inner.store.restart_job(record.id, base).await?;
        let live = Arc::new(Live::new(facts(record.id, &submission, record.created, base)));
        let (position, estimate) = self.inner.engine.estimate(&submission.first());
        live.admit(position, estimate);
        self.inner.add(&live);
        let span = job_span(record.id, &submission);
        // The version that it began with may be gone; the answer says which one drew.
        let routes = self.inner.engine.routes();
        let generator = self.inner.generator(&submission).unwrap_or_else(|_| routes.champion.clone());
        let run = Run::new(self.inner.clone(), live, submission, generator);
        // The first try here, so that jobs keep their order.
        match self.inner.engine.submit_to(&run.generator, run.submission.first()) {
            Ok(ticket) => drop(tokio::spawn(run.follow(ticket).instrument(span))),
            Err(refusal) => drop(tokio::spawn(insist(run, refusal).instrument(span))),
        }
        Ok(())
    }

    async fn end(&self, record: &JobRecord, state: JobState, failure: Option<JobFailure>) -> anyhow::Result<()> {
        let finished = store::now();
        let ending = Ending {
            state,
            result: None,
            failure,
            last_sequence: record.last_sequence + SEQUENCE_GAP,
            finished,
            expires: self.inner.expires(finished),
            event: None,
        };
        self.inner.store.finish_job(record.id, &ending).await
    }
}

/// Tries again until the engine has room.
async fn insist(run: Run, mut refusal: Refusal) {
    loop {
        let Some(wait) = retry_after(&refusal) else { return give_up(run, &refusal).await };
        let (shortest, longest) = PATIENCE;
        let live = run.live.clone();
        tokio::select! {
            cause = live.stopped() => return run.stop(cause).await,
            () = tokio::time::sleep(wait.clamp(shortest, longest)) => {}
        }
        match run.jobs.engine.submit_to(&run.generator, run.submission.first()) {
            Ok(ticket) => return run.follow(ticket).await,
            Err(again) => refusal = again,
        }
    }
}

async fn give_up(run: Run, refusal: &Refusal) {
    match refusal {
        // The next start can draw it.
        Refusal::Draining | Refusal::Broken => run.stop(Stop::Suspend).await,
        Refusal::Late { .. } => {
            let code = "deadline_exceeded".to_owned();
            run.fail(JobFailure { code, message: refusal.to_string() }).await;
        }
        _ => {
            let failure = JobFailure::internal(run.live.facts.id, format!("it cannot be resumed: {refusal}"));
            run.fail(failure).await;
        }
    }
}
