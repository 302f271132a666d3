//! A job's trace: queue, text, steps, decode, safety, encode.

use std::time::{Instant, SystemTime};

use super::{JobEventKind, JobState, Submission, live::Live};
use crate::{
    engine::Stretch,
    traces::{Caller, Stage, Trace},
};

/// Sends the trace of a job that has ended, if anybody collects traces.
pub(super) fn send(live: &Live, submission: &Submission, version: &str, end: &JobEventKind, stages: Vec<Stage>) {
    let request = &submission.order.request;
    let (state, failure) = match end {
        JobEventKind::Completed(_) => (JobState::Completed, None),
        JobEventKind::Failed(failure) => (JobState::Failed, Some(failure.code.clone())),
        _ => (JobState::Cancelled, None),
    };
    let mut facts = vec![
        ("job.id", live.facts.id.to_string()),
        ("job.state", state.name().to_owned()),
        ("job.pictures", request.count.to_string()),
        ("job.steps", request.steps.to_string()),
        ("model.version", version.to_owned()),
    ];
    facts.extend(submission.request_id.clone().map(|id| ("request.id", id)));
    let parent = submission.traceparent.as_deref().and_then(Caller::parse);
    let (began, ended) = (at(live.admitted), SystemTime::now());
    Trace { parent, facts, began, ended, failure, stages }.send();
}

/// A stretch by the clock.
pub(super) fn stage(stretch: &Stretch) -> Stage {
    Stage { name: stretch.stage.name(), began: at(stretch.began), ended: at(stretch.ended) }
}

/// The clock's time at a moment that is past.
pub(super) fn at(moment: Instant) -> SystemTime {
    SystemTime::now() - moment.elapsed()
}
