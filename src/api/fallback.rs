//! Answers for paths and methods that do not exist, and a last net: no error leaves without its envelope.

use actix_web::{
    HttpRequest, HttpResponse, ResponseError,
    body::{BoxBody, EitherBody, MessageBody},
    dev::{ResourceDef, ServiceRequest, ServiceResponse},
    http::header,
    middleware::Next,
    web,
};
use serde_json::Value;

use super::{ApiError, Code};

/// Every documented path with its methods.
#[derive(Debug, Clone)]
pub(super) struct Paths(Vec<(ResourceDef, String)>);

impl Paths {
    /// The paths of an OpenAPI document.
    pub(super) fn of(document: &Value) -> Self {
        let paths = document["paths"].as_object().into_iter().flatten();
        let path = |(path, operations): (&String, &Value)| {
            let methods = operations.as_object().into_iter().flatten().map(|(method, _)| method.to_uppercase());
            // A document cannot say that a name may have slashes, as those of Hugging Face do.
            let pattern = if path == "/models/{id}" { "/models/{id:.+}" } else { path };
            (ResourceDef::new(pattern), methods.collect::<Vec<_>>().join(", "))
        };
        Self(paths.map(path).collect())
    }

    fn methods(&self, path: &str) -> Option<&str> {
        self.0.iter().find(|(pattern, _)| pattern.is_match(path)).map(|(_, methods)| methods.as_str())
    }
}

/// A path that exists has no such method; any other does not exist.
pub(super) async fn unmatched(request: HttpRequest, paths: web::Data<Paths>) -> HttpResponse {
    let (method, path) = (request.method(), request.path());
    match paths.methods(path) {
        Some(methods) if !methods.split(", ").any(|known| known == method.as_str()) => {
            ApiError::new(Code::MethodNotAllowed, format!("{path} has no {method}; it has {methods}"))
                .allow(methods.to_owned())
                .error_response()
        }
        _ => ApiError::new(Code::NotFound, format!("there is nothing at {path}; /docs lists what there is"))
            .error_response(),
    }
}

/// Gives errors of actix itself, and of middleware, the envelope that all others have.
pub(super) async fn envelope(
    request: ServiceRequest,
    next: Next<impl MessageBody + 'static>,
) -> Result<ServiceResponse<EitherBody<impl MessageBody + 'static, BoxBody>>, actix_web::Error> {
    let answer = next.call(request).await?;
    let status = answer.status();
    let plain =
        answer.headers().get(header::CONTENT_TYPE).is_none_or(|kind| kind.as_bytes().starts_with(b"text/plain"));
    if !(status.is_client_error() || status.is_server_error()) || !plain {
        return Ok(answer.map_into_left_body());
    }
    let error = ApiError::new(Code::of_status(status), Code::of_status(status).meaning());
    let (request, before) = answer.into_parts();
    let mut after = error.error_response();
    *after.status_mut() = status;
    for (name, value) in before.headers().iter().filter(|(name, _)| *name != header::CONTENT_TYPE) {
        after.headers_mut().append(name.clone(), value.clone());
    }
    Ok(ServiceResponse::new(request, after.map_into_right_body()))
}

/// Errors of extractors.
pub(super) fn configure(config: &mut web::ServiceConfig) {
    config
        .app_data(web::PathConfig::default().error_handler(|error, request| {
            let message = format!("there is nothing at {}: {error}", request.path());
            ApiError::new(Code::NotFound, message).into()
        }))
        .app_data(web::QueryConfig::default().error_handler(|error, _| {
            ApiError::new(Code::InvalidValue, format!("the query cannot be read: {error}")).into()
        }));
}
