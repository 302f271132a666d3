//! `POST /v1/images/edits`: a picture and a text to pictures (image to image).

use actix_multipart::{Multipart, MultipartError};
use actix_web::{HttpRequest, HttpResponse, post, web};
use bytes::{Bytes, BytesMut};
use futures_util::StreamExt;
use serde_json::{Map, Value};

use super::{generations::answer, schema::EditRequest, stream};
use crate::{
    api::{
        ApiError, Code, answer::Images, body, caller::Caller, fields::Fields, refusals::SubmitErrors, sse::ServerEvent,
        submit, uploads,
    },
    app::State,
    engine::Class,
};

/// Draw pictures of a prompt that start from a picture
#[utoipa::path(
    tag = "images",
    operation_id = "edit_image",
    request_body(content = EditRequest, content_type = "multipart/form-data"),
    params(
        ("X-Request-Timeout" = Option<f64>, Header, description = "Seconds after which the result is worthless", minimum = 0.001, maximum = 86_400),
        ("Idempotency-Key" = Option<String>, Header, description = "The same key with the same request finds the first one's job", pattern = "^[!-~]{1,255}$"),
    ),
    responses(
        (status = 200, description = "The pictures; with `stream`, events `image_edit.partial_image` and `image_edit.completed`",
            content((Images = "application/json"), (ServerEvent = "text/event-stream"))),
        SubmitErrors
    ),
    security((), ("key" = []))
)]
#[post("/v1/images/edits")]
pub(crate) async fn edits(
    request: HttpRequest,
    caller: Caller,
    payload: web::Payload,
    state: web::Data<State>,
) -> Result<HttpResponse, ApiError> {
    if !state.rules.model.image_to_image {
        let message = format!("{} has no VAE encoder: it cannot start from a picture", state.rules.model.name);
        return Err(ApiError::new(Code::ModelNotFound, message).at("model"));
    }
    body::expect_type(&request, "multipart/form-data")?;
    let server = &state.settings.server;
    let Form { values, image } =
        body::in_time(server.body_timeout(), read(&request, payload, server.max_upload)).await??;
    let text = Value::Object(values.clone()).to_string();
    let image = image.ok_or_else(|| ApiError::invalid("image", "it is missing"))?;
    let ask = submit::ask(&request, &state, Class::Interactive, &[text.as_bytes(), &image])?;
    let wanted = uploads::read(&state, image, Fields::form(values)).await?;
    answer(&request, &state, &caller, wanted, ask, stream::EDIT).await
}

#[derive(Default)]
struct Form {
    values: Map<String, Value>,
    image: Option<Bytes>,
}

async fn read(request: &HttpRequest, payload: web::Payload, limit: usize) -> Result<Form, ApiError> {
    let mut parts = Multipart::new(request.headers(), payload);
    let mut form = Form::default();
    let mut left = limit;
    while let Some(part) = parts.next().await {
        let mut part = part.map_err(|error| malformed(&error))?;
        let name = part.name().unwrap_or_default().to_owned();
        let mut bytes = BytesMut::new();
        while let Some(chunk) = part.next().await {
            let chunk = chunk.map_err(|error| malformed(&error))?;
            left = left.checked_sub(chunk.len()).ok_or_else(|| body::too_large(limit))?;
            bytes.extend_from_slice(&chunk);
        }
        form.put(&name, bytes.freeze())?;
    }
    Ok(form)
}

impl Form {
    fn put(&mut self, name: &str, bytes: Bytes) -> Result<(), ApiError> {
        let twice = match name {
            // OpenAI's client names a list of pictures so.
            "image" | "image[]" => self.image.replace(bytes).is_some(),
            "mask" => {
                return Err(ApiError::invalid(name, "masks cannot be used here: the whole picture is drawn anew"));
            }
            _ => {
                let text = std::str::from_utf8(&bytes).map_err(|_| ApiError::invalid(name, "it is not UTF-8 text"))?;
                self.values.insert(name.to_owned(), Value::from(text)).is_some()
            }
        };
        if twice { Err(ApiError::invalid(name, "it is there twice; one is taken")) } else { Ok(()) }
    }
}

fn malformed(error: &MultipartError) -> ApiError {
    ApiError::new(Code::InvalidValue, format!("the body is not a form that can be read: {error}"))
}
