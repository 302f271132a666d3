//! A request's body: in time, within its size, of the right type.

use std::time::Duration;

use actix_web::{HttpRequest, error::PayloadError, http::header, web};
use bytes::{Bytes, BytesMut};
use futures_util::StreamExt;
use serde_json::{Map, Value};

use super::{ApiError, Code};

/// Reads a body of JSON that is an object.
pub(super) async fn json_object(
    request: &HttpRequest,
    payload: web::Payload,
    limit: usize,
    timeout: Duration,
) -> Result<Map<String, Value>, ApiError> {
    expect_type(request, "application/json")?;
    let bytes = read(request, payload, limit, timeout).await?;
    let malformed = |error| ApiError::new(Code::InvalidValue, format!("the body is not a JSON object: {error}"));
    serde_json::from_slice(&bytes).map_err(malformed)
}

/// A body without `Content-Type` is refused too: forms of foreign pages could send it.
pub(super) fn expect_type(request: &HttpRequest, expected: &str) -> Result<(), ApiError> {
    let given = request.headers().get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or("");
    let essence = given.split(';').next().unwrap_or("").trim();
    if essence.eq_ignore_ascii_case(expected) {
        return Ok(());
    }
    let given = if given.is_empty() { "none" } else { given };
    Err(ApiError::new(Code::UnsupportedMediaType, format!("the body must be {expected}; its Content-Type is {given}")))
}

/// Reads a whole body. actix waits for a drip-fed body as long as it drips; this does not.
pub(super) async fn read(
    request: &HttpRequest,
    payload: web::Payload,
    limit: usize,
    timeout: Duration,
) -> Result<Bytes, ApiError> {
    let length = request.headers().get(header::CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse().ok());
    if length.is_some_and(|length: usize| length > limit) {
        return Err(too_large(limit));
    }
    in_time(timeout, collect(payload, limit)).await?
}

/// Bounds what waits for a body.
pub(super) async fn in_time<T>(timeout: Duration, work: impl Future<Output = T>) -> Result<T, ApiError> {
    let late = || format!("the body did not come within {} s", timeout.as_secs());
    tokio::time::timeout(timeout, work).await.map_err(|_| ApiError::new(Code::RequestTimeout, late()))
}

async fn collect(mut payload: web::Payload, limit: usize) -> Result<Bytes, ApiError> {
    let mut bytes = BytesMut::new();
    while let Some(chunk) = payload.next().await {
        let chunk = chunk.map_err(|error| broken(&error))?;
        if bytes.len() + chunk.len() > limit {
            return Err(too_large(limit));
        }
        bytes.extend_from_slice(&chunk);
    }
    Ok(bytes.freeze())
}

pub(super) fn too_large(limit: usize) -> ApiError {
    ApiError::new(Code::TooLarge, format!("the body is larger than {limit} bytes, the most that is taken here"))
}

pub(super) fn broken(error: &PayloadError) -> ApiError {
    ApiError::new(Code::InvalidValue, format!("the body cannot be read: {error}"))
}
