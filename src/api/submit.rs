//! The way of every generation: from a parsed request to a job, and from the job's end to an answer.
//!
//! A synchronous request is a job too. When its client goes away actix drops the handler's future (the server is set up with
//! `h1_allow_half_closed(false)`; with actix's default it would run on), the [`Listener`] inside is dropped with it, and the
//! job is cancelled unless it is kept. A client that closes its sending half early therefore gets no answer.

use std::sync::Arc;

use actix_web::{HttpMessage, HttpRequest, http::header::HeaderMap};
use sha2::{Digest, Sha256};

use super::{
    ApiError, Code,
    caller::Caller,
    generation::{self, Ask, Wanted},
    observe::RequestId,
};
use crate::{
    app::State,
    engine::Class,
    jobs::{JobEventKind, JobResult, Listener},
    traces::TRACEPARENT,
};

/// Makes a job, or finds the one of the same `Idempotency-Key`.
pub(crate) async fn submit(state: &State, caller: &Caller, wanted: Wanted, ask: Ask) -> Result<Listener, ApiError> {
    if state.is_draining() {
        return Err(ApiError::draining());
    }
    state.rates.count(&caller.client).inspect_err(|_| {
        state.metrics.rejected_total.with_label_values(&["rate_limited"]).inc();
    })?;
    let submission = wanted.into_submission(caller.owner.clone(), caller.client.clone(), ask);
    // On the runtime that outlives connections and workers: the job goes on where it was submitted.
    let jobs = state.jobs.clone();
    let submitted = state.runtime.spawn(async move { jobs.submit(submission).await });
    Ok(submitted.await.map_err(ApiError::internal)??)
}

/// Waits for a job's pictures.
pub(crate) async fn wait(state: &State, mut listener: Listener) -> Result<Arc<JobResult>, ApiError> {
    while let Some(event) = listener.next().await {
        match event.kind {
            JobEventKind::Completed(result) => return Ok(result),
            JobEventKind::Failed(failure) => return Err((&failure).into()),
            JobEventKind::Cancelled => return Err(cancelled(state)),
            _ => {}
        }
    }
    // Only a server that stops ends a history without an end.
    Err(ApiError::draining())
}

pub(super) fn cancelled(state: &State) -> ApiError {
    if state.is_draining() {
        return ApiError::draining();
    }
    ApiError::new(Code::JobCancelled, "the job was called off while its caller waited")
}

/// What the headers of a request say; `parts` are what makes it the same request when it comes again.
pub(crate) fn ask(request: &HttpRequest, state: &State, class: Class, parts: &[&[u8]]) -> Result<Ask, ApiError> {
    let timeout = text(request.headers(), "X-Request-Timeout")?;
    let key = idempotency_key(request.headers())?;
    Ok(Ask {
        deadline: generation::deadline(timeout, &state.settings.limits)?,
        idempotency: key.map(|key| (key, digest(request.path(), parts))),
        class,
        // Others' mistakes in it are no reason not to draw.
        traceparent: text(request.headers(), TRACEPARENT).ok().flatten().map(str::to_owned),
        request_id: request.extensions().get::<RequestId>().map(|id| id.0.clone()),
    })
}

pub(super) fn idempotency_key(headers: &HeaderMap) -> Result<Option<String>, ApiError> {
    /// As long as OpenAI's and Stripe's.
    const LONGEST: usize = 255;
    let Some(key) = text(headers, "Idempotency-Key")? else { return Ok(None) };
    if key.is_empty() || key.len() > LONGEST {
        return Err(ApiError::invalid("Idempotency-Key", format!("it must have 1 to {LONGEST} characters")));
    }
    Ok(Some(key.to_owned()))
}

fn text<'a>(headers: &'a HeaderMap, name: &str) -> Result<Option<&'a str>, ApiError> {
    let Some(value) = headers.get(name) else { return Ok(None) };
    value.to_str().map(Some).map_err(|_| ApiError::invalid(name, "it must be visible ASCII characters"))
}

/// Lengths keep parts apart.
pub(super) fn digest(path: &str, parts: &[&[u8]]) -> [u8; 32] {
    let mut hash = Sha256::new_with_prefix(path);
    for part in parts {
        hash.update((part.len() as u64).to_le_bytes());
        hash.update(part);
    }
    hash.finalize().into()
}
