//! Scores and points of pictures and texts: `/v1/score`, `/rerank`, `/v1/embeddings`.
//!
//! Pictures come in the request or are named by their id; nothing is ever fetched.

pub(super) mod embeddings;
mod pictures;
pub(super) mod rerank;
pub(super) mod score;

use serde_json::{Value, json};

use super::{ApiError, Code, Rules, caller::Caller, generation::LONGEST_PROMPT};
use crate::{
    app::State,
    scoring::{ScoreError, Scorer},
};

/// Entries at most where settings say nothing else; the document tells no server's own.
const DEFAULT_MOST: usize = 64;

/// What the derive cannot tell of the requests.
pub(super) fn bound(schemas: &mut Value, rules: &Rules) {
    let dimensions = &mut schemas["EmbeddingRequest"]["properties"]["dimensions"];
    (dimensions["minimum"], dimensions["maximum"]) = (rules.points.into(), rules.points.into());
    let many = &mut schemas["EmbeddingInput"]["oneOf"][1];
    (many["minItems"], many["maxItems"]) = (1.into(), DEFAULT_MOST.into());
    // The derive does not say so of a variant.
    for source in schemas["PictureSource"]["oneOf"].as_array_mut().into_iter().flatten() {
        source["additionalProperties"] = false.into();
    }
    // One part or many: both are forms.
    let prompts = &mut schemas["ScoreForm"]["properties"]["prompts"];
    let (one, most) = (json!({"type": "string", "maxLength": LONGEST_PROMPT}), DEFAULT_MOST);
    let many = json!({"type": "array", "items": one, "minItems": 1, "maxItems": most});
    *prompts = json!({"description": prompts["description"], "anyOf": [one, many]});
    let texts = &mut schemas["RerankText"]["oneOf"];
    texts[0]["pattern"] = "^img_[0-9a-f]{32}$".into();
    texts[1]["format"] = "data-uri-picture".into();
}

/// What scores, if the pack can, the server takes work and the caller may ask so often: its rate is that of its generations.
fn scorer(state: &State, caller: &Caller) -> Result<Scorer, ApiError> {
    if state.is_draining() {
        return Err(ApiError::draining());
    }
    state.rates.count(&caller.client).inspect_err(|_| {
        state.metrics.rejected_total.with_label_values(&["rate_limited"]).inc();
    })?;
    let none = || {
        let message = format!("{} has no CLIP: it cannot score or embed anything", state.rules.model.name);
        ApiError::new(Code::ModelNotFound, message).at("model")
    };
    // One reward for all of a request.
    state.scorer.as_ref().map(Scorer::pinned).ok_or_else(none)
}

/// Refuses what no prompt is.
fn text(name: &str, text: String) -> Result<String, ApiError> {
    let length = text.chars().count();
    if length > LONGEST_PROMPT {
        let message = format!("a text has {length} characters; {LONGEST_PROMPT} are read at most");
        return Err(ApiError::invalid(name, message));
    }
    Ok(text)
}

/// Refuses lists without entries or with too many.
fn counted(name: &str, count: usize, most: usize) -> Result<(), ApiError> {
    if (1..=most).contains(&count) {
        return Ok(());
    }
    Err(ApiError::invalid(name, format!("it must have 1 to {most} entries, not {count}")))
}

impl From<ScoreError> for ApiError {
    fn from(error: ScoreError) -> Self {
        let message = error.to_string();
        match error {
            ScoreError::Full { retry_after, .. } => Self::new(Code::Overloaded, message).retry_after(retry_after),
            ScoreError::Stopped => Self::draining(),
            ScoreError::Failed(_) => Self::internal(message),
        }
    }
}
