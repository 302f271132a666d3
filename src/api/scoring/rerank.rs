//! `POST /rerank`: text-embeddings-inference's shape, with pictures in the place of texts.

use actix_web::{
    HttpRequest, post,
    web::{self, Json},
};
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;

use super::{
    counted,
    pictures::{Picture, prepare},
    scorer, text,
};
use crate::{
    api::{ApiError, body, caller::Caller, fields::Fields, refusals::ScoringErrors},
    app::State,
};

/// Pictures to be put in order.
#[derive(Debug, serde::Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[allow(dead_code)] // read by the derive only
pub(crate) struct RerankRequest {
    /// The prompt
    #[schema(max_length = 32_000, example = "two blue stars on the beach")]
    query: String,
    /// Pictures, each a data URI or the id of one of your own
    #[schema(min_items = 1, max_items = 64, value_type = Vec<RerankText>)]
    texts: Vec<String>,
    /// Answer each picture's text too
    return_text: Option<bool>,
    /// Taken, without effect
    raw_scores: Option<bool>,
    /// Taken, without effect
    truncate: Option<bool>,
}

/// A picture: a data URI, or the id of one of your own.
#[derive(Debug, serde::Deserialize, ToSchema)]
#[serde(untagged)]
#[allow(dead_code)] // read by the derive only
pub(crate) enum RerankText {
    /// One of your own
    Drawn(String),
    /// `data:image/png;base64,…`, or JPEG or WebP
    Data(String),
}

/// A picture's place.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Ranked {
    /// Which of the texts, from 0
    index: usize,
    /// Its reward, or its CLIP score where there is no reward
    score: f32,
    /// The text, where it was asked for
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    text: Option<String>,
}

/// Put pictures in the order of their score, the best first
#[utoipa::path(
    tag = "scoring",
    operation_id = "rerank",
    request_body = RerankRequest,
    responses((status = 200, description = "The pictures, the best first", body = Vec<Ranked>), ScoringErrors),
    security((), ("key" = []))
)]
#[post("/rerank")]
pub(crate) async fn rerank(
    request: HttpRequest,
    caller: Caller,
    payload: web::Payload,
    state: web::Data<State>,
) -> Result<Json<Vec<Ranked>>, ApiError> {
    let scorer = scorer(&state, &caller)?;
    let (server, limits) = (&state.settings.server, &state.settings.scoring);
    let values = body::json_object(&request, payload, limits.max_body, server.body_timeout()).await?;
    let mut fields = Fields::json(values);
    let query = fields.text("query")?.ok_or_else(|| ApiError::invalid("query", "it is missing"))?;
    let query = text("query", query)?;
    let texts = fields.list("texts")?;
    let return_text = fields.flag("return_text")?.unwrap_or(false);
    for ignored in ["raw_scores", "truncate"] {
        fields.flag(ignored)?;
    }
    fields.finish()?;
    counted("texts", texts.len(), limits.max_images)?;
    let picture = |value: &Value| match value {
        Value::String(text) => Picture::of_text("texts", text),
        _ => Err(ApiError::invalid("texts", "it must be a list of strings")),
    };
    let pictures = texts.iter().map(picture).collect::<Result<_, _>>()?;
    let pixels = prepare(&state, &scorer, &caller, "texts", pictures).await?;
    let scores = scorer.score_prepared(&[&query], pixels).await?;
    let ranked = |(index, score): (usize, crate::scoring::Score)| Ranked {
        index,
        score: score.reward.unwrap_or(score.clip_score),
        text: return_text.then(|| texts[index].as_str().map(str::to_owned)).flatten(),
    };
    let mut ranked: Vec<Ranked> = scores.into_iter().flatten().enumerate().map(ranked).collect();
    // Stable: equal scores keep the caller's order.
    ranked.sort_by(|a, b| b.score.total_cmp(&a.score));
    Ok(Json(ranked))
}
