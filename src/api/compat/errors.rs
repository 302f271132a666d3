//! The one error table in the forms of the imitated APIs.

use std::{collections::BTreeMap, fmt, marker::PhantomData};

use actix_web::{HttpResponse, ResponseError, body::BoxBody, http::StatusCode};
use serde::Serialize;
use serde_json::{Value, json};
use utoipa::{
    IntoResponses, ToSchema,
    openapi::{Ref, RefOr, response::Response},
};

use crate::api::{
    ApiError, Code,
    refusals::{self, SubmitErrors},
};

/// AUTOMATIC1111's error: FastAPI's `detail` and the program's own `error` and `errors`.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct A1111Error {
    /// The code, as in the errors of `/v1`
    error: &'static str,
    /// For people
    detail: String,
    /// For people
    errors: String,
}

/// Hugging Face's error.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct HuggingFaceError {
    /// For people
    error: String,
    /// The code, as in the errors of `/v1`
    error_type: &'static str,
}

/// How an imitated API tells an error.
pub(super) trait Form {
    /// The schema's name in the document.
    const SCHEMA: &'static str;

    fn body(error: &ApiError) -> Value;
}

/// AUTOMATIC1111's form.
pub(super) struct A1111;

impl Form for A1111 {
    const SCHEMA: &'static str = "A1111Error";

    fn body(error: &ApiError) -> Value {
        json!(A1111Error {
            error: error.code().name(),
            detail: error.message().to_owned(),
            errors: error.message().to_owned(),
        })
    }
}

/// Hugging Face's form.
pub(super) struct HuggingFace;

impl Form for HuggingFace {
    const SCHEMA: &'static str = "HuggingFaceError";

    fn body(error: &ApiError) -> Value {
        json!(HuggingFaceError { error: error.message().to_owned(), error_type: error.code().name() })
    }
}

/// An error in an imitated form; status and headers are those of the table.
pub(super) struct Told<F> {
    error: ApiError,
    form: PhantomData<F>,
}

impl<F, E: Into<ApiError>> From<E> for Told<F> {
    fn from(error: E) -> Self {
        Self { error: error.into(), form: PhantomData }
    }
}

impl<F> fmt::Debug for Told<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.error.fmt(f)
    }
}

impl<F> fmt::Display for Told<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.error.fmt(f)
    }
}

impl<F: Form> ResponseError for Told<F> {
    fn status_code(&self) -> StatusCode {
        self.error.status_code()
    }

    fn error_response(&self) -> HttpResponse {
        self.error.error_response().set_body(BoxBody::new(F::body(&self.error).to_string()))
    }
}

impl<F: Form> IntoResponses for Told<F> {
    /// The statuses of the server's own routes and one for withheld pictures, with the imitated body.
    fn responses() -> BTreeMap<String, RefOr<Response>> {
        let codes = [SubmitErrors::CODES, &[Code::ContentPolicyViolation]].concat();
        let mut responses = refusals::responses(&codes);
        for response in responses.values_mut() {
            let RefOr::T(response) = response else { continue };
            for content in response.content.values_mut() {
                if let RefOr::T(content) = content {
                    content.schema = Some(Ref::from_schema_name(F::SCHEMA).into());
                }
            }
        }
        responses
    }
}

#[cfg(test)]
mod tests {
    use actix_web::http::header;

    use super::*;

    #[actix_web::test]
    async fn an_imitated_error_keeps_its_status_and_its_headers() {
        let error = || ApiError::new(Code::Overloaded, "the queue is full");
        let told = Told::<HuggingFace>::from(error()).error_response();
        assert_eq!(told.status(), StatusCode::SERVICE_UNAVAILABLE);
        assert!(told.headers().contains_key(header::RETRY_AFTER));
        assert_eq!(
            told.headers().get(header::CONTENT_TYPE).map(|kind| kind.as_bytes()),
            Some(&b"application/json"[..])
        );
        let body = actix_web::body::to_bytes(told.into_body()).await.expect("a body");
        assert_eq!(body, r#"{"error":"the queue is full","error_type":"overloaded"}"#);
        assert_eq!(A1111::body(&error())["detail"], "the queue is full");
    }
}
