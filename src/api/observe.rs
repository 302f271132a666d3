//! What is logged and counted of every request: never its content.

use std::{
    pin::Pin,
    task::{Context, Poll},
    time::Instant,
};

use actix_web::{
    HttpMessage,
    body::{BodySize, MessageBody},
    dev::{ServiceRequest, ServiceResponse},
    http::header::{HeaderName, HeaderValue},
    middleware::Next,
    web,
};
use bytes::Bytes;
use tracing::Instrument;
use uuid::Uuid;

use crate::{app::State, metrics::Metrics};

const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
/// What proxies log for clients that did not wait for their answer.
const CLIENT_GONE: u16 = 499;

/// A request's id, for those who log about it elsewhere.
#[derive(Debug, Clone)]
pub(super) struct RequestId(pub(super) String);

/// Gives a request its id, a span to log in, and counts it when the last byte of its answer has left.
pub(super) async fn observe(
    request: ServiceRequest,
    next: Next<impl MessageBody>,
) -> Result<ServiceResponse<impl MessageBody>, actix_web::Error> {
    let begun = Instant::now();
    let id = request_id(&request);
    let metrics = request.app_data::<web::Data<State>>().map(|state| state.metrics.clone());
    let method = request.method().to_string();
    // The path pattern and not the path: ids of pictures are secrets.
    let route = request.match_pattern().map_or_else(|| "unmatched".to_owned(), |pattern| plain(&pattern));
    let span = tracing::info_span!("request", request_id = %id, %method, %route);
    request.extensions_mut().insert(RequestId(id.clone()));
    // Dropped unanswered when the client goes away: actix drops this future.
    let mut record = Record { metrics, route, status: CLIENT_GONE, begun, span: span.clone() };
    let answered = next.call(request).instrument(span).await;
    let mut answer = answered.inspect_err(|error| record.status = error.as_response_error().status_code().as_u16())?;
    if let Ok(value) = HeaderValue::from_str(&id) {
        answer.headers_mut().insert(REQUEST_ID, value);
    }
    record.status = answer.status().as_u16();
    Ok(answer.map_body(|_, body| Observed { body: Box::pin(body), _record: record }))
}

/// The caller's own id where it can be logged as it is, else a new one.
fn request_id(request: &ServiceRequest) -> String {
    /// Longer ones are no ids.
    const LONGEST: usize = 128;
    let given = request.headers().get(REQUEST_ID).and_then(|value| value.to_str().ok());
    let plain = |id: &&str| !id.is_empty() && id.len() <= LONGEST && id.bytes().all(|byte| byte.is_ascii_graphic());
    given.filter(plain).map_or_else(|| Uuid::now_v7().simple().to_string(), str::to_owned)
}

/// Written when it is dropped: at the end of the answer, or when its reader went away.
struct Record {
    metrics: Option<Metrics>,
    route: String,
    status: u16,
    begun: Instant,
    span: tracing::Span,
}

impl Drop for Record {
    fn drop(&mut self) {
        let seconds = self.begun.elapsed().as_secs_f64();
        if let Some(metrics) = &self.metrics {
            metrics.requests_total.with_label_values(&[self.route.as_str(), &self.status.to_string()]).inc();
            metrics.request_seconds.with_label_values(&[self.route.as_str()]).observe(seconds);
        }
        let _entered = self.span.enter();
        tracing::info!(status = self.status, seconds, "answered");
    }
}

struct Observed<B> {
    body: Pin<Box<B>>,
    _record: Record,
}

impl<B: MessageBody> MessageBody for Observed<B> {
    type Error = B::Error;

    fn size(&self) -> BodySize {
        self.body.size()
    }

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Bytes, B::Error>>> {
        self.body.as_mut().poll_next(context)
    }
}
/// A pattern as the documentation writes it: without what its parameters must look like.
fn plain(pattern: &str) -> String {
    let mut parts = pattern.split('{');
    let first = parts.next().unwrap_or_default().to_owned();
    parts.fold(first, |path, part| {
        let (parameter, rest) = part.split_once('}').unwrap_or((part, ""));
        let name = parameter.split(':').next().unwrap_or_default();
        format!("{path}{{{name}}}{rest}")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_name_parameters_only() {
        assert_eq!(plain("/v1/images/{id:img_[^/]*}"), "/v1/images/{id}");
        assert_eq!(plain("/v1/jobs/{id}/events"), "/v1/jobs/{id}/events");
        assert_eq!(plain("/livez"), "/livez");
    }
}
