//! What the event log is told of a job.

use serde_json::{Value, json};

use super::{JobState, Submission, best_of::Chosen, draw::Candidate, run::Drawn, stored::parameters};
use crate::{domain::JobId, engine::ModelFacts, store::NewEvent};

/// The log's event about what a job drew; `docs/events.md` explains it.
pub(super) fn candidates(record: &Candidates<'_>) -> Option<NewEvent> {
    /// Of the body's layout.
    const VERSION: u32 = 1;
    let candidate = |at: usize| record.candidate(at);
    let Candidates { submission, model, job, state, drawn, considered, chosen, finished, .. } = record;
    let choosing = submission.choosing.as_ref();
    let body = json!({
        "version": VERSION,
        "outcome": state.name(),
        "model": submission.model,
        "model_version": model.version,
        "reward_version": record.reward_version,
        "rater": submission.rater,
        "parameters": parameters(submission, model),
        "random_share": choosing.map_or(0.0, |choosing| choosing.random_share),
        "random_pick": chosen.random,
        "pruning": choosing.and_then(|choosing| choosing.pruning),
        "looks": (!chosen.looks.is_empty()).then_some(&chosen.looks),
        "candidates": (0..considered.len()).map(candidate).collect::<Vec<_>>(),
    });
    let (job, owner) = (Some(*job), submission.owner.clone());
    (!(drawn.is_empty() && considered.is_empty())).then_some(NewEvent {
        kind: "candidates",
        created: *finished,
        job,
        owner,
        body,
    })
}

/// What the event log is told of.
pub(super) struct Candidates<'a> {
    pub(super) submission: &'a Submission,
    pub(super) model: &'a ModelFacts,
    pub(super) job: JobId,
    pub(super) state: JobState,
    pub(super) drawn: &'a [Drawn],
    /// All that was drawn in full.
    pub(super) considered: &'a [Candidate],
    pub(super) chosen: &'a Chosen,
    pub(super) reward_version: Option<String>,
    /// Unix seconds.
    pub(super) finished: i64,
}

impl Candidates<'_> {
    fn candidate(&self, at: usize) -> Value {
        let Candidate { id, index, seed, pixels, score, points: _ } = &self.considered[at];
        let place = self.drawn.iter().position(|drawn| drawn.image.id == *id);
        let position = place.filter(|_| self.state == JobState::Completed && pixels.is_some());
        json!({
            "index": index,
            "position": position,
            "seed": seed,
            "image_id": id,
            "flagged": pixels.is_none(),
            "reward": score.as_ref().and_then(|score| score.reward),
            "clip_score": score.as_ref().map(|score| score.clip_score),
            "rank": self.chosen.ranks.get(at).copied().flatten(),
            "propensity": self.chosen.propensities.get(at),
        })
    }
}
