//! What the event log is told of a job.

use serde_json::json;

use super::{JobState, MadeImage, Submission, run::Drawn, stored::parameters};
use crate::{domain::JobId, engine::ModelFacts, store::NewEvent};

/// The log's event about what a job drew; `docs/events.md` explains it.
pub(super) fn candidates(record: &Candidates<'_>) -> Option<NewEvent> {
    /// Of the body's layout.
    const VERSION: u32 = 1;
    let Candidates { submission, model, job, state, drawn, finished } = record;
    let candidate = |drawn: &Drawn| {
        let MadeImage { id, index, seed, withheld, .. } = &drawn.image;
        let shown = *state == JobState::Completed && !withheld;
        json!({ "index": index, "position": shown.then_some(index), "seed": seed, "image_id": id, "flagged": withheld })
    };
    let body = json!({
        "version": VERSION,
        "outcome": state.name(),
        "model": submission.model,
        "model_version": model.version,
        "rater": submission.rater,
        "parameters": parameters(submission, model),
        "candidates": drawn.iter().map(candidate).collect::<Vec<_>>(),
    });
    let (job, owner) = (Some(*job), submission.owner.clone());
    (!drawn.is_empty()).then_some(NewEvent { kind: "candidates", created: *finished, job, owner, body })
}

/// What the event log is told of.
pub(super) struct Candidates<'a> {
    pub(super) submission: &'a Submission,
    pub(super) model: &'a ModelFacts,
    pub(super) job: JobId,
    pub(super) state: JobState,
    pub(super) drawn: &'a [Drawn],
    /// Unix seconds.
    pub(super) finished: i64,
}
