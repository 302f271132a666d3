//! Hugging Face's text-to-image task: `inputs` and `parameters` in, the bytes of one picture out.

use actix_web::{HttpRequest, HttpResponse, http::header, post, web};
use serde_json::{Map, Value};
use utoipa::ToSchema;

use super::{MOST_PIXELS, errors, put, put_size};
use crate::{
    api::{
        ApiError, Code,
        answer::{self, media_type},
        body,
        caller::Caller,
        fields::Fields,
        generation::{MOST_GUIDANCE, Rules, Wanted},
        submit,
    },
    app::State,
    engine::Class,
};

/// A failure in Hugging Face's form.
type Failure = errors::Told<errors::HuggingFace>;

/// A request for a picture.
#[derive(Debug, serde::Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[allow(dead_code)] // read by the derive only
pub(crate) struct HuggingFaceRequest {
    /// What to draw
    #[schema(max_length = 32_000, example = "two blue stars on the beach")]
    inputs: String,
    /// How
    parameters: Option<HuggingFaceParameters>,
    /// Taken, without effect: `wait_for_model`, `use_cache`
    #[schema(value_type = Option<Object>)]
    options: Option<Value>,
}

/// How to draw it.
#[derive(Debug, serde::Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[allow(dead_code)] // read by the derive only
pub(crate) struct HuggingFaceParameters {
    /// What to steer away from
    #[schema(max_length = 32_000)]
    negative_prompt: Option<String>,
    /// Steps of the scheduler
    #[schema(minimum = 1, maximum = 150)]
    num_inference_steps: Option<u32>,
    /// How strongly the prompt steers
    #[schema(minimum = 0, maximum = 100)]
    guidance_scale: Option<f32>,
    /// Pixels; what cannot be drawn falls back to the model's own
    #[schema(minimum = 1, maximum = 65_536)]
    width: Option<u32>,
    /// Pixels; what cannot be drawn falls back to the model's own
    #[schema(minimum = 1, maximum = 65_536)]
    height: Option<u32>,
    /// The picture's seed, modulo 2³²
    #[schema(minimum = 0, maximum = 9_223_372_036_854_775_807_i64)]
    seed: Option<i64>,
    /// diffusers' class, or a short name
    #[schema(value_type = Option<crate::api::images::schema::SchedulerName>)]
    scheduler: Option<String>,
}

/// Hugging Face: draw a picture of a text
#[utoipa::path(
    tag = "compatibility",
    operation_id = "huggingface",
    request_body = HuggingFaceRequest,
    responses((status = 200, description = "The picture's file; `x-plaudit-image-id` and `x-plaudit-seed` name it, `x-plaudit-feedback-token` lets its holder vote on it",
        content((Vec<u8> = "image/png"))), Failure),
    security((), ("key" = []))
)]
#[post("/")]
pub(crate) async fn of_root(
    request: HttpRequest,
    caller: Result<Caller, ApiError>,
    payload: web::Payload,
    state: web::Data<State>,
) -> Result<HttpResponse, Failure> {
    Ok(draw(&request, &caller?, payload, &state, None).await?)
}

/// Hugging Face: draw a picture of a text with the model of this name
#[utoipa::path(
    tag = "compatibility",
    operation_id = "huggingface_model",
    params(("id" = String, Path, description = "The model's name or version; slashes are part of it", example = "miniature")),
    request_body = HuggingFaceRequest,
    responses((status = 200, description = "The picture's file; `x-plaudit-image-id` and `x-plaudit-seed` name it, `x-plaudit-feedback-token` lets its holder vote on it",
        content((Vec<u8> = "image/png"))), Failure),
    security((), ("key" = []))
)]
// Ids there have an owner before a slash.
#[post("/models/{id:.+}")]
pub(crate) async fn of_model(
    request: HttpRequest,
    caller: Result<Caller, ApiError>,
    id: web::Path<String>,
    payload: web::Payload,
    state: web::Data<State>,
) -> Result<HttpResponse, Failure> {
    Ok(draw(&request, &caller?, payload, &state, Some(id.into_inner())).await?)
}

async fn draw(
    request: &HttpRequest,
    caller: &Caller,
    payload: web::Payload,
    state: &State,
    model: Option<String>,
) -> Result<HttpResponse, ApiError> {
    let server = &state.settings.server;
    let values = body::json_object(request, payload, server.max_body, server.body_timeout()).await?;
    let text = Value::Object(values.clone()).to_string();
    let mut fields = translate(values, &state.rules)?;
    put(&mut fields, "model", model);
    let wanted = Wanted::parse(Fields::json(fields), None, &state.rules)?;
    let ask = submit::ask(request, state, Class::Interactive, &[text.as_bytes()])?;
    let result = submit::wait(state, submit::submit(state, caller, wanted, ask).await?).await?;
    let made = result.images.first().ok_or_else(|| ApiError::internal("a job was completed without its picture"))?;
    if made.withheld {
        return Err(answer::all_withheld());
    }
    let gone = || ApiError::new(Code::NotFound, "the picture is no longer kept; ask without its Idempotency-Key");
    let file = answer::file(state, made).await?.ok_or_else(gone)?;
    let mut picture = HttpResponse::Ok();
    picture
        .insert_header((header::CONTENT_TYPE, media_type(made.format)))
        .insert_header(("x-plaudit-image-id", made.id.to_string()))
        .insert_header(("x-plaudit-seed", made.seed));
    if let Some(token) = answer::token(state, made) {
        picture.insert_header(("x-plaudit-feedback-token", token));
    }
    Ok(picture.body(file))
}

/// The request in the server's own fields.
fn translate(mut values: Map<String, Value>, rules: &Rules) -> Result<Map<String, Value>, ApiError> {
    if let Some(options) = values.remove("options")
        && !(options.is_null() || options.is_object())
    {
        return Err(ApiError::invalid("options", format!("it must be an object, not {options}")));
    }
    let parameters = match values.remove("parameters").unwrap_or_default() {
        Value::Null => Map::new(),
        Value::Object(parameters) => parameters,
        other => return Err(ApiError::invalid("parameters", format!("it must be an object, not {other}"))),
    };
    let (mut outer, mut given) = (Fields::json(values), Fields::json(parameters));
    let mut wanted = Map::new();
    let inputs = outer.text("inputs")?.ok_or_else(|| ApiError::invalid("inputs", "it is missing"))?;
    outer.finish()?;
    wanted.insert("prompt".to_owned(), inputs.into());
    put(&mut wanted, "negative_prompt", given.text("negative_prompt")?);
    put(&mut wanted, "num_inference_steps", given.integer("num_inference_steps", 1, u64::from(rules.max_steps))?);
    put(&mut wanted, "guidance_scale", given.number("guidance_scale", 0.0, MOST_GUIDANCE)?);
    put(&mut wanted, "seed", given.integer("seed", 0, i64::MAX as u64)?);
    put(&mut wanted, "scheduler", given.text("scheduler")?);
    let sides = (given.integer("width", 1, MOST_PIXELS)?, given.integer("height", 1, MOST_PIXELS)?);
    // This API has no place for a warning; the picture shows its own size.
    put_size(&mut wanted, sides, rules);
    given.finish()?;
    Ok(wanted)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::api::compat::tests::rules;

    fn read(value: Value) -> Result<Value, ApiError> {
        translate(value.as_object().expect("an object").clone(), &rules()).map(Value::Object)
    }

    #[test]
    fn what_the_inference_client_sends_becomes_a_request() {
        let sent =
            json!({"inputs": "a fish", "parameters": {"width": 512, "height": 512, "seed": 7, "guidance_scale": 4.5}});
        assert_eq!(read(sent).expect("all is known"), json!({"prompt": "a fish", "guidance_scale": 4.5, "seed": 7}));
        let bare = json!({"inputs": "a fish", "parameters": null, "options": {"wait_for_model": true}});
        assert_eq!(read(bare).expect("all is known"), json!({"prompt": "a fish", "size": "64x64"}));
    }

    #[test]
    fn what_cannot_be_done_is_refused_by_its_field() {
        for (body, field) in [
            (json!({}), "inputs"),
            (json!({"inputs": "a", "parameters": {"stepz": 3}}), "stepz"),
            (json!({"inputs": "a", "parameters": 3}), "parameters"),
            (json!({"inputs": "a", "options": [1]}), "options"),
            (json!({"inputs": "a", "parameters": {"num_inference_steps": 99}}), "num_inference_steps"),
        ] {
            let error = read(body).expect_err("cannot be done");
            assert_eq!(error.envelope()["error"]["param"], field);
        }
    }
}
