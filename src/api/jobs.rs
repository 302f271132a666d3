//! `/v1/jobs`: generations that nobody waits for.

use actix_web::{
    HttpRequest, HttpResponse, delete, get,
    http::header::HeaderValue,
    post,
    web::{self, Json},
};
use base64::{Engine as _, prelude::BASE64_STANDARD};
use futures_util::{Stream, stream};
use serde::Deserialize;
use serde_json::{Value, json};
use utoipa::IntoParams;

use super::{
    ApiError,
    answer::{self, Job, List, base},
    caller::Caller,
    generation::Delivery,
    images::{generations, schema::GenerationRequest},
    paging,
    refusals::{ListErrors, OwnErrors, SubmitErrors},
    sse::{self, Frame, ServerEvent},
    submit,
};
use crate::{
    app::State,
    domain::JobId,
    engine::Class,
    jobs::{JobEvent, JobEventKind, JobState, Listener},
};

/// Take up a generation and answer at once
#[utoipa::path(
    tag = "jobs",
    operation_id = "create_job",
    request_body = GenerationRequest,
    params(
        ("X-Request-Timeout" = Option<f64>, Header, description = "Seconds after which the result is worthless", minimum = 0.001, maximum = 86_400),
        ("Idempotency-Key" = Option<String>, Header, description = "The same key with the same request finds the first one's job", pattern = "^[!-~]{1,255}$"),
    ),
    responses((status = 202, description = "The job", body = Job), SubmitErrors),
    security((), ("key" = []))
)]
#[post("/v1/jobs")]
pub(crate) async fn create(
    request: HttpRequest,
    caller: Caller,
    payload: web::Payload,
    state: web::Data<State>,
) -> Result<HttpResponse, ApiError> {
    let (mut wanted, ask) = generations::read(&request, payload, &state, Class::Bulk).await?;
    wanted.keep = true;
    let listener = submit::submit(&state, &caller, wanted, ask).await?;
    let view = state.jobs.view(&caller.owner, listener.id).await?;
    let job = answer::job(&state, &base(&request), view).await?;
    let location = format!("/v1/jobs/{}", job.id);
    Ok(HttpResponse::Accepted().insert_header(("Location", location)).json(job))
}

#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct Page {
    /// Only those in this state
    #[param(value_type = Option<answer::StateName>)]
    state: Option<JobState>,
    /// Entries at most
    #[param(minimum = 1, maximum = 100)]
    limit: Option<usize>,
    /// Only those made before this one
    #[param(value_type = Option<String>, pattern = "^job_[0-9a-f]{32}$")]
    before: Option<JobId>,
}

/// List your own jobs, the newest first
#[utoipa::path(
    tag = "jobs",
    operation_id = "list_jobs",
    params(Page),
    responses((status = 200, description = "Jobs", body = List<Job>), ListErrors),
    security((), ("key" = []))
)]
#[get("/v1/jobs")]
pub(crate) async fn list(
    request: HttpRequest,
    caller: Caller,
    page: web::Query<Page>,
    state: web::Data<State>,
) -> Result<Json<List<Job>>, ApiError> {
    let limit = paging::limit(page.limit)?;
    let views = state.jobs.list(&caller.owner, page.state, limit + 1, page.before).await?;
    let mut jobs = Vec::with_capacity(views.len());
    for view in views {
        jobs.push(answer::job(&state, &base(&request), view).await?);
    }
    Ok(Json(List::page(jobs, limit)))
}

/// Where one of your own jobs stands
#[utoipa::path(
    tag = "jobs",
    operation_id = "get_job",
    params(("id" = String, Path, description = "The job's name", pattern = "^job_[0-9a-f]{32}$")),
    responses((status = 200, description = "The job", body = Job), OwnErrors),
    security((), ("key" = []))
)]
#[get("/v1/jobs/{id}")]
pub(crate) async fn status(
    request: HttpRequest,
    caller: Caller,
    id: web::Path<JobId>,
    state: web::Data<State>,
) -> Result<Json<Job>, ApiError> {
    let view = state.jobs.view(&caller.owner, id.into_inner()).await?;
    Ok(Json(answer::job(&state, &base(&request), view).await?))
}

/// Call one of your own jobs off; one that has ended stays as it is
#[utoipa::path(
    tag = "jobs",
    operation_id = "cancel_job",
    params(("id" = String, Path, description = "The job's name", pattern = "^job_[0-9a-f]{32}$")),
    responses((status = 200, description = "The job", body = Job), OwnErrors),
    security((), ("key" = []))
)]
#[post("/v1/jobs/{id}/cancel")]
pub(crate) async fn cancel(
    request: HttpRequest,
    caller: Caller,
    id: web::Path<JobId>,
    state: web::Data<State>,
) -> Result<Json<Job>, ApiError> {
    let view = state.jobs.cancel(&caller.owner, id.into_inner()).await?;
    Ok(Json(answer::job(&state, &base(&request), view).await?))
}

/// Delete one of your own jobs with its pictures; one that has not ended is called off first
#[utoipa::path(
    tag = "jobs",
    operation_id = "delete_job",
    params(("id" = String, Path, description = "The job's name", pattern = "^job_[0-9a-f]{32}$")),
    responses((status = 200, description = "The job as it was", body = Job), OwnErrors),
    security((), ("key" = []))
)]
#[delete("/v1/jobs/{id}")]
pub(crate) async fn delete(
    request: HttpRequest,
    caller: Caller,
    id: web::Path<JobId>,
    state: web::Data<State>,
) -> Result<Json<Job>, ApiError> {
    let id = id.into_inner();
    let view = state.jobs.cancel(&caller.owner, id).await?;
    state.store.delete_job(&caller.owner, id).await?;
    Ok(Json(answer::job(&state, &base(&request), view).await?))
}

/// Follow one of your own jobs
#[utoipa::path(
    tag = "jobs",
    operation_id = "follow_job",
    params(
        ("id" = String, Path, description = "The job's name", pattern = "^job_[0-9a-f]{32}$"),
        ("Last-Event-ID" = Option<u64>, Header, description = "Go on after this event", minimum = 0, maximum = 9_223_372_036_854_775_807_i64),
    ),
    responses(
        (status = 200, description = "Events `queued`, `started`, `progress`, `preview`, `picture`, then one of `completed`, `failed`, `cancelled`",
            content((ServerEvent = "text/event-stream"))),
        OwnErrors
    ),
    security((), ("key" = []))
)]
#[get("/v1/jobs/{id}/events")]
pub(crate) async fn events(
    request: HttpRequest,
    caller: Caller,
    id: web::Path<JobId>,
    state: web::Data<State>,
) -> Result<HttpResponse, ApiError> {
    let after = request.headers().get("Last-Event-ID").map_or(Ok(0), after)?;
    let listener = state.jobs.follow(&caller.owner, id.into_inner(), after).await?;
    let (job, heartbeat) = (listener.id.to_string(), state.settings.server.heartbeat());
    Ok(sse::answer(&job, frames(state, listener, base(&request)), heartbeat))
}

/// The event to go on after. The store counts in signed numbers.
fn after(value: &HeaderValue) -> Result<u64, ApiError> {
    let text = value.to_str().ok().filter(|text| text.bytes().all(|byte| byte.is_ascii_digit()));
    let number = text.and_then(|text| text.parse::<i64>().ok()).map(i64::unsigned_abs);
    number
        .ok_or_else(|| ApiError::invalid("Last-Event-ID", format!("it must be a whole number from 0 to {}", i64::MAX)))
}

fn frames(state: web::Data<State>, listener: Listener, base: String) -> impl Stream<Item = Frame> {
    stream::unfold((state, listener, base), |(state, mut listener, base)| async move {
        let event = listener.next().await?;
        let frame = frame(&state, &listener, &base, event).await;
        Some((frame, (state, listener, base)))
    })
}

async fn frame(state: &State, listener: &Listener, base: &str, JobEvent { sequence, kind }: JobEvent) -> Frame {
    let shown = |data: Result<Value, ApiError>| data.unwrap_or_else(|error| error.envelope());
    let (event, data) = match kind {
        JobEventKind::Queued { position, estimated_seconds } => {
            ("queued", json!({"queue_position": position, "estimated_seconds": estimated_seconds}))
        }
        JobEventKind::Started => ("started", json!({})),
        JobEventKind::Progress { done, total } => ("progress", json!({"done": done, "total": total})),
        JobEventKind::Preview { picture, number, bytes } => (
            "preview",
            json!({"image_index": picture, "partial_image_index": number, "b64_json": BASE64_STANDARD.encode(bytes)}),
        ),
        JobEventKind::Picture(made) => {
            let image = answer::image(state, base, &made, Delivery::Url).await;
            ("picture", shown(image.map(|image| json!({"image_index": made.index, "image": image}))))
        }
        JobEventKind::Completed(result) => {
            let images = answer::images(state, base, listener.id.to_string(), &result, Delivery::Url).await;
            ("completed", shown(images.map(|images| json!(images))))
        }
        JobEventKind::Failed(failure) => ("failed", ApiError::from(&failure).envelope()),
        JobEventKind::Cancelled => ("cancelled", json!({})),
    };
    Frame { id: Some(sequence), event, data }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_last_event_is_a_whole_number_that_the_store_can_count_to() {
        let read = |text| after(&HeaderValue::from_static(text)).ok();
        assert_eq!((read("0"), read("7")), (Some(0), Some(7)));
        assert_eq!(read("9223372036854775807"), Some(i64::MAX as u64));
        for wrong in ["9223372036854775808", "-1", "+1", "1.0", "", "null", "soon"] {
            assert_eq!(read(wrong), None, "{wrong:?}");
        }
    }
}
