//! `POST /v1/score`: pictures against prompts.

use actix_multipart::{Multipart, MultipartError};
use actix_web::{
    HttpRequest,
    http::header,
    post,
    web::{self, Json},
};
use bytes::BytesMut;
use futures_util::StreamExt;
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;

use super::{
    counted,
    pictures::{Picture, prepare},
    scorer, text,
};
use crate::{
    api::{ApiError, Code, body, caller::Caller, fields::Fields, refusals::ScoringErrors},
    app::State,
    scoring::Score,
};

/// Pictures and prompts, each with each.
#[derive(Debug, serde::Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[allow(dead_code)] // read by the derive only
pub(crate) struct ScoreRequest {
    /// What the pictures may show
    #[schema(min_items = 1, max_items = 64, example = json!(["two blue stars on the beach"]))]
    prompts: Vec<String>,
    /// The pictures
    #[schema(min_items = 1, max_items = 64)]
    images: Vec<PictureSource>,
}

/// The same as a form: a part for each.
#[derive(Debug, serde::Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[allow(dead_code)] // read by the derive only
pub(crate) struct ScoreForm {
    /// What the pictures may show; more of them in more parts of this name
    #[schema(max_length = 32_000)]
    prompts: String,
    /// A PNG, JPEG or WebP file; more of them in more parts of this name
    #[schema(value_type = String, format = Binary)]
    images: Vec<u8>,
}

/// A picture: its file in base64, or the id of one of your own that was drawn here. Addresses are never fetched.
#[derive(Debug, serde::Deserialize, ToSchema)]
#[serde(untagged, deny_unknown_fields)]
#[allow(dead_code)] // read by the derive only
pub(crate) enum PictureSource {
    /// The file
    File {
        /// PNG, JPEG or WebP
        #[schema(format = "base64-picture")]
        b64_json: String,
    },
    /// One of your own
    Drawn {
        /// Its name
        #[schema(pattern = "^img_[0-9a-f]{32}$")]
        image_id: String,
    },
}

/// Scores of all pairs.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Scores {
    /// Always `list`
    object: &'static str,
    /// One for each prompt and picture, by prompt, then by picture
    data: Vec<Scored>,
    /// What CLIP scores come from: those of equal versions can be compared
    clip_version: String,
    /// What rewards come from; null where there is no reward
    reward_version: Option<String>,
}

/// A picture's scores for a prompt.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Scored {
    /// Which prompt, from 0
    prompt_index: usize,
    /// Which picture, from 0
    image_index: usize,
    /// Probability of a thumbs-up; null where there is no reward
    reward: Option<f32>,
    /// Cosine of the picture and the prompt in CLIP's space, −1 to 1
    clip_score: f32,
    /// The prompt's share among itself and prompts of another meaning; null where there are none
    normalized_score: Option<f32>,
}

impl Scored {
    fn of(prompt_index: usize, image_index: usize, found: Score) -> Self {
        let Score { reward, clip_score, normalized_score } = found;
        Self { prompt_index, image_index, reward, clip_score, normalized_score }
    }
}

/// Score pictures against prompts
#[utoipa::path(
    tag = "scoring",
    operation_id = "score",
    request_body(content((ScoreRequest = "application/json"), (ScoreForm = "multipart/form-data"))),
    responses((status = 200, description = "A score for each prompt and picture", body = Scores), ScoringErrors),
    security((), ("key" = []))
)]
#[post("/v1/score")]
pub(crate) async fn score(
    request: HttpRequest,
    caller: Caller,
    payload: web::Payload,
    state: web::Data<State>,
) -> Result<Json<Scores>, ApiError> {
    let scorer = scorer(&state, &caller)?;
    let (prompts, pictures) = read(&request, payload, &state).await?;
    let pixels = prepare(&state, &scorer, &caller, "images", pictures).await?;
    let prompts: Vec<&str> = prompts.iter().map(String::as_str).collect();
    let scores = scorer.score_prepared(&prompts, pixels).await?;
    let of_prompt = |(prompt, scores): (usize, Vec<Score>)| {
        scores.into_iter().enumerate().map(move |(image, found)| Scored::of(prompt, image, found))
    };
    Ok(Json(Scores {
        object: "list",
        data: scores.into_iter().enumerate().flat_map(of_prompt).collect(),
        clip_version: scorer.clip_version().to_owned(),
        reward_version: scorer.reward_version(),
    }))
}

async fn read(
    request: &HttpRequest,
    payload: web::Payload,
    state: &State,
) -> Result<(Vec<String>, Vec<Picture>), ApiError> {
    let (server, limits) = (&state.settings.server, &state.settings.scoring);
    let kind = request.headers().get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or("");
    let (prompts, pictures) = if kind.trim_start().to_ascii_lowercase().starts_with("multipart/form-data") {
        body::in_time(server.body_timeout(), form(request, payload, limits.max_body)).await??
    } else {
        let values = body::json_object(request, payload, limits.max_body, server.body_timeout()).await?;
        let mut fields = Fields::json(values);
        let (prompts, images) = (fields.list("prompts")?, fields.list("images")?);
        fields.finish()?;
        counted("images", images.len(), limits.max_images)?;
        let prompt = |value: Value| match value {
            Value::String(prompt) => Ok(prompt),
            _ => Err(ApiError::invalid("prompts", "it must be a list of strings")),
        };
        let prompts = prompts.into_iter().map(prompt).collect::<Result<_, _>>()?;
        (prompts, images.iter().map(|image| Picture::of_object("images", image)).collect::<Result<_, _>>()?)
    };
    counted("prompts", prompts.len(), limits.max_texts)?;
    counted("images", pictures.len(), limits.max_images)?;
    let prompts = prompts.into_iter().map(|prompt| text("prompts", prompt)).collect::<Result<_, _>>()?;
    Ok((prompts, pictures))
}

async fn form(
    request: &HttpRequest,
    payload: web::Payload,
    limit: usize,
) -> Result<(Vec<String>, Vec<Picture>), ApiError> {
    let mut parts = Multipart::new(request.headers(), payload);
    let (mut prompts, mut pictures, mut left) = (Vec::new(), Vec::new(), limit);
    while let Some(part) = parts.next().await {
        let mut part = part.map_err(|error| malformed(&error))?;
        let name = part.name().unwrap_or_default().to_owned();
        let mut bytes = BytesMut::new();
        while let Some(chunk) = part.next().await {
            let chunk = chunk.map_err(|error| malformed(&error))?;
            left = left.checked_sub(chunk.len()).ok_or_else(|| body::too_large(limit))?;
            bytes.extend_from_slice(&chunk);
        }
        match name.trim_end_matches("[]") {
            "images" => pictures.push(Picture::File(bytes.freeze())),
            "prompts" => {
                let text = String::from_utf8(bytes.to_vec());
                prompts.push(text.map_err(|_| ApiError::invalid("prompts", "it is not UTF-8 text"))?);
            }
            _ => {
                let message = format!("there is no field {name:?}; a form has prompts and images");
                return Err(ApiError::new(Code::UnknownField, message).at(&name));
            }
        }
    }
    Ok((prompts, pictures))
}

fn malformed(error: &MultipartError) -> ApiError {
    ApiError::new(Code::InvalidValue, format!("the body is not a form that can be read: {error}"))
}
