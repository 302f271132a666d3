//! `POST /v1/embeddings`: OpenAI's shape, for texts and pictures in one space.

use actix_web::{
    HttpRequest, post,
    web::{self, Json},
};
use base64::{Engine as _, prelude::BASE64_STANDARD};
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;

use super::{
    counted,
    pictures::{Picture, is_data, prepare},
    score::PictureSource,
    scorer, text,
};
use crate::{
    api::{ApiError, body, caller::Caller, fields::Fields, refusals::ScoringErrors},
    app::State,
    scoring::{Answer, Scorer},
};

/// Texts and pictures to embed.
#[derive(Debug, serde::Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[allow(dead_code)] // read by the derive only
pub(crate) struct EmbeddingRequest {
    /// One entry, or a list of them
    input: EmbeddingInput,
    /// The model's name; its version is taken too
    #[schema(value_type = Option<crate::api::images::schema::ModelName>)]
    model: Option<String>,
    /// A list of numbers, or the same as little-endian f32 in base64; by default `float`
    #[schema(value_type = Option<EncodingName>)]
    encoding_format: Option<String>,
    /// Numbers of a point; only the model's own can be had
    #[schema(minimum = 1, maximum = 65_536)]
    dimensions: Option<u32>,
    /// OpenAI's; without effect
    user: Option<String>,
}

/// One or many.
#[derive(Debug, serde::Deserialize, ToSchema)]
#[serde(untagged)]
#[allow(dead_code)] // read by the derive only
pub(crate) enum EmbeddingInput {
    /// One
    One(EmbeddingEntry),
    /// Many
    Many(Vec<EmbeddingEntry>),
}

/// A text; a picture as a data URI; or a picture as in `/v1/score`.
#[derive(Debug, serde::Deserialize, ToSchema)]
#[serde(untagged)]
#[allow(dead_code)] // read by the derive only
pub(crate) enum EmbeddingEntry {
    /// A text or a data URI
    Text(String),
    /// A picture
    Picture(PictureSource),
}

/// How points are written.
#[derive(Debug, Clone, Copy, serde::Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum EncodingName {
    /// Numbers
    Float,
    /// Little-endian f32 in base64
    Base64,
}

/// Points, in the order of the input.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Embeddings {
    /// Always `list`
    object: &'static str,
    /// The points
    data: Vec<Embedding>,
    /// What they come from: points of equal versions can be compared
    model: String,
    /// OpenAI's; tokens are not counted here
    usage: Usage,
}

/// A point of length one.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Embedding {
    /// Always `embedding`
    object: &'static str,
    /// Which of the input, from 0
    index: usize,
    /// The point
    embedding: Coded,
}

/// Numbers, or their bytes.
#[derive(Debug, Serialize, ToSchema)]
#[serde(untagged)]
pub(crate) enum Coded {
    /// As numbers
    Float(Vec<f32>),
    /// As bytes
    Base64(String),
}

/// Always zero.
#[derive(Debug, Default, Serialize, ToSchema)]
pub(crate) struct Usage {
    /// Always 0
    prompt_tokens: u32,
    /// Always 0
    total_tokens: u32,
}

impl Coded {
    fn of(point: &[f32], encoding: EncodingName) -> Self {
        match encoding {
            EncodingName::Float => Self::Float(point.to_vec()),
            EncodingName::Base64 => {
                let bytes: Vec<u8> = point.iter().flat_map(|number| number.to_le_bytes()).collect();
                Self::Base64(BASE64_STANDARD.encode(bytes))
            }
        }
    }
}

/// What one entry of the input is, and where its point will be.
#[derive(Debug, Clone, Copy)]
enum Place {
    Text(usize),
    Picture(usize),
}

struct Wanted {
    texts: Vec<String>,
    pictures: Vec<Picture>,
    places: Vec<Place>,
    encoding: EncodingName,
}

/// Points of texts and pictures in CLIP's space
#[utoipa::path(
    tag = "scoring",
    operation_id = "embed",
    request_body = EmbeddingRequest,
    responses((status = 200, description = "A point for each", body = Embeddings), ScoringErrors),
    security((), ("key" = []))
)]
#[post("/v1/embeddings")]
pub(crate) async fn embeddings(
    request: HttpRequest,
    caller: Caller,
    payload: web::Payload,
    state: web::Data<State>,
) -> Result<Json<Embeddings>, ApiError> {
    let scorer = scorer(&state, &caller)?;
    let (server, limits) = (&state.settings.server, &state.settings.scoring);
    let values = body::json_object(&request, payload, limits.max_body, server.body_timeout()).await?;
    let Wanted { texts, pictures, places, encoding } = read(Fields::json(values), &state, &scorer)?;
    let pixels = prepare(&state, &scorer, &caller, "input", pictures).await?;
    let answer = scorer.embed(texts, pixels).await?;
    Ok(Json(Embeddings {
        object: "list",
        data: points(&answer, &places, encoding),
        model: scorer.clip_version().to_owned(),
        usage: Usage::default(),
    }))
}

fn points(answer: &Answer, places: &[Place], encoding: EncodingName) -> Vec<Embedding> {
    let point = |place: &Place| match *place {
        Place::Text(at) => &answer.texts[at],
        Place::Picture(at) => &answer.images[at],
    };
    let entry = |(index, place): (usize, &Place)| Embedding {
        object: "embedding",
        index,
        embedding: Coded::of(point(place), encoding),
    };
    places.iter().enumerate().map(entry).collect()
}

fn read(mut fields: Fields, state: &State, scorer: &Scorer) -> Result<Wanted, ApiError> {
    let limits = &state.settings.scoring;
    let asked = fields.text("model")?.filter(|model| model != scorer.clip_version());
    state.rules.model(asked)?;
    let choices = [("float", EncodingName::Float), ("base64", EncodingName::Base64)];
    let encoding = fields.choice("encoding_format", &choices)?.unwrap_or(EncodingName::Float);
    /// What no model has.
    const MOST: u64 = 65_536;
    let width = scorer.width() as u64;
    if fields.integer("dimensions", 1, MOST)?.is_some_and(|dimensions| dimensions != width) {
        return Err(ApiError::invalid("dimensions", format!("points have {width} numbers and cannot be shortened")));
    }
    fields.text("user")?;
    let entries = fields.one_or_many("input")?;
    fields.finish()?;
    counted("input", entries.len(), limits.max_texts.max(limits.max_images))?;
    let mut wanted = Wanted { texts: Vec::new(), pictures: Vec::new(), places: Vec::new(), encoding };
    entries.into_iter().try_for_each(|entry| wanted.put(entry))?;
    let (texts, pictures) = (wanted.texts.len(), wanted.pictures.len());
    for (what, count, most) in [("texts", texts, limits.max_texts), ("pictures", pictures, limits.max_images)] {
        if count > most {
            return Err(ApiError::invalid("input", format!("it has {count} {what}; {most} are taken")));
        }
    }
    Ok(wanted)
}

impl Wanted {
    fn put(&mut self, entry: Value) -> Result<(), ApiError> {
        let picture = match entry {
            Value::String(uri) if is_data(&uri).is_some() => Picture::of_text("input", &uri)?,
            Value::String(words) => {
                self.places.push(Place::Text(self.texts.len()));
                self.texts.push(text("input", words)?);
                return Ok(());
            }
            Value::Object(_) => Picture::of_object("input", &entry)?,
            _ => {
                return Err(ApiError::invalid(
                    "input",
                    "an entry must be a text or a picture; token ids are not taken",
                ));
            }
        };
        self.places.push(Place::Picture(self.pictures.len()));
        self.pictures.push(picture);
        Ok(())
    }
}
