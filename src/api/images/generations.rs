//! `POST /v1/images/generations`: text to pictures, as OpenAI does it.

use actix_web::{HttpRequest, HttpResponse, post, web};

use super::{schema::GenerationRequest, stream};
use crate::{
    api::{
        ApiError,
        answer::{self, Images},
        body,
        caller::Caller,
        fields::Fields,
        generation::{Ask, Wanted},
        refusals::SubmitErrors,
        sse::ServerEvent,
        submit,
    },
    app::State,
    engine::Class,
};

/// Draw pictures of a prompt
#[utoipa::path(
    tag = "images",
    operation_id = "create_image",
    request_body = GenerationRequest,
    params(
        ("X-Request-Timeout" = Option<f64>, Header, description = "Seconds after which the result is worthless", minimum = 0.001, maximum = 86_400),
        ("Idempotency-Key" = Option<String>, Header, description = "The same key with the same request finds the first one's job", pattern = "^[!-~]{1,255}$"),
    ),
    responses(
        (status = 200, description = "The pictures; with `stream`, events `image_generation.partial_image` and `image_generation.completed`",
            content((Images = "application/json"), (ServerEvent = "text/event-stream"))),
        SubmitErrors
    ),
    security((), ("key" = []))
)]
#[post("/v1/images/generations")]
pub(crate) async fn generations(
    request: HttpRequest,
    caller: Caller,
    payload: web::Payload,
    state: web::Data<State>,
) -> Result<HttpResponse, ApiError> {
    let (wanted, ask) = read(&request, payload, &state, Class::Interactive).await?;
    answer(&request, &state, &caller, wanted, ask, stream::GENERATION).await
}

/// Reads a generation's JSON.
pub(in crate::api) async fn read(
    request: &HttpRequest,
    payload: web::Payload,
    state: &State,
    class: Class,
) -> Result<(Wanted, Ask), ApiError> {
    let server = &state.settings.server;
    let values = body::json_object(request, payload, server.max_body, server.body_timeout()).await?;
    let text = serde_json::Value::Object(values.clone()).to_string();
    let wanted = Wanted::parse(Fields::json(values), None, &state.rules)?;
    let ask = submit::ask(request, state, class, &[text.as_bytes()])?;
    Ok((wanted, ask))
}

/// Submits, and answers at once or as a stream.
pub(super) async fn answer(
    request: &HttpRequest,
    state: &web::Data<State>,
    caller: &Caller,
    wanted: Wanted,
    ask: Ask,
    names: stream::Names,
) -> Result<HttpResponse, ApiError> {
    let (delivery, streamed) = (wanted.delivery, wanted.stream);
    let base = answer::base(request);
    let form = stream::Form::of(&wanted, names, base.clone());
    let listener = submit::submit(state, caller, wanted, ask).await?;
    let id = listener.id.to_string();
    if streamed {
        return Ok(stream::answer(state.clone(), listener, form));
    }
    let result = submit::wait(state, listener).await?;
    let images = answer::images(state, &base, id.clone(), &result, delivery).await?;
    Ok(HttpResponse::Ok().insert_header(("x-plaudit-job-id", id)).json(images))
}
