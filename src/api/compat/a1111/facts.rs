//! Models, samplers, options, progress, interrupt.

use actix_web::{
    HttpRequest, get, post,
    web::{self, Json},
};
use serde_json::{Value, json};

use super::{
    Failure, hash,
    schema::{DrawingProgress, ModelEntry, Options, ProgressState, SamplerEntry},
    title,
};
use crate::{
    api::{ApiError, Code, body, caller::Caller},
    app::State,
    jobs::{JobState, JobView},
    pipeline::{encode::sampler, schedule::SchedulerKind},
};

/// A caller's jobs that are looked at; nobody has more at a time through this API.
const JOBS: usize = 100;

/// AUTOMATIC1111: list the models that are served
#[utoipa::path(
    tag = "compatibility",
    operation_id = "a1111_models",
    responses((status = 200, description = "Models", body = Vec<ModelEntry>), Failure),
    security((), ("key" = []))
)]
#[get("/sdapi/v1/sd-models")]
pub(crate) async fn models(
    caller: Result<Caller, ApiError>,
    state: web::Data<State>,
) -> Result<Json<Vec<ModelEntry>>, Failure> {
    caller?;
    let model = &state.engine.model();
    Ok(Json(vec![ModelEntry {
        title: title(model),
        model_name: model.name.clone(),
        hash: Some(hash(&model.version).to_owned()),
        sha256: None,
        filename: model.version.clone(),
        config: None,
    }]))
}

/// AUTOMATIC1111: list the samplers
#[utoipa::path(
    tag = "compatibility",
    operation_id = "a1111_samplers",
    responses((status = 200, description = "Samplers", body = Vec<SamplerEntry>), Failure),
    security((), ("key" = []))
)]
#[get("/sdapi/v1/samplers")]
pub(crate) async fn samplers(caller: Result<Caller, ApiError>) -> Result<Json<Vec<SamplerEntry>>, Failure> {
    caller?;
    let entry = |kind| SamplerEntry { name: sampler(kind), aliases: vec![kind.name()], options: json!({}) };
    Ok(Json(SchedulerKind::ALL.into_iter().map(entry).collect()))
}

/// AUTOMATIC1111: read the options
#[utoipa::path(
    tag = "compatibility",
    operation_id = "a1111_options",
    responses((status = 200, description = "Options", body = Options), Failure),
    security((), ("key" = []))
)]
#[get("/sdapi/v1/options")]
pub(crate) async fn options(
    caller: Result<Caller, ApiError>,
    state: web::Data<State>,
) -> Result<Json<Options>, Failure> {
    caller?;
    let model = &state.engine.model();
    Ok(Json(Options {
        sd_model_checkpoint: Some(title(model)),
        sd_checkpoint_hash: Some(hash(&model.version).to_owned()),
        samples_format: Some("png".to_owned()),
    }))
}

/// AUTOMATIC1111: set the options. Nothing can be set; a model that is not served is an error
#[utoipa::path(
    tag = "compatibility",
    operation_id = "a1111_set_options",
    request_body(content = Object, description = "Any options; `sd_model_checkpoint` names the model that is served", example = json!({})),
    responses((status = 200, description = "Always null"), Failure),
    security((), ("key" = []))
)]
#[post("/sdapi/v1/options")]
pub(crate) async fn set_options(
    request: HttpRequest,
    caller: Result<Caller, ApiError>,
    payload: web::Payload,
    state: web::Data<State>,
) -> Result<Json<Value>, Failure> {
    caller?;
    let (server, model) = (&state.settings.server, &state.engine.model());
    let values = body::json_object(&request, payload, server.max_body, server.body_timeout()).await?;
    let asked = values.get("sd_model_checkpoint").and_then(Value::as_str).unwrap_or_default();
    let names = ["", &model.name, &model.version, &title(model)];
    if !names.contains(&asked) {
        let message = format!("there is no model {asked:?} here; there is {:?}", title(model));
        return Err(ApiError::new(Code::ModelNotFound, message).into());
    }
    Ok(Json(Value::Null))
}

/// AUTOMATIC1111: how far the caller's own drawing is
#[utoipa::path(
    tag = "compatibility",
    operation_id = "a1111_progress",
    responses((status = 200, description = "Progress", body = DrawingProgress), Failure),
    security((), ("key" = []))
)]
#[get("/sdapi/v1/progress")]
pub(crate) async fn progress(
    caller: Result<Caller, ApiError>,
    state: web::Data<State>,
) -> Result<Json<DrawingProgress>, Failure> {
    let under_way = under_way(&state, &caller?).await?;
    let Some(job) = under_way.first() else {
        let state = ProgressState { job_timestamp: "0".to_owned(), ..ProgressState::default() };
        return Ok(Json(DrawingProgress {
            progress: 0.0,
            eta_relative: 0.0,
            state,
            current_image: None,
            textinfo: None,
        }));
    };
    let (done, total) = job.progress;
    Ok(Json(DrawingProgress {
        progress: if total == 0 { 0.0 } else { done as f64 / total as f64 },
        eta_relative: job.estimated_seconds.unwrap_or(0.0),
        state: ProgressState {
            job: job.id.to_string(),
            job_count: under_way.len(),
            job_timestamp: job.created.to_string(),
            sampling_step: done,
            sampling_steps: total,
            ..ProgressState::default()
        },
        current_image: None,
        textinfo: None,
    }))
}

/// AUTOMATIC1111: call off the caller's own drawing; what was drawn so far is answered to whoever waits for it
#[utoipa::path(
    tag = "compatibility",
    operation_id = "a1111_interrupt",
    responses((status = 200, description = "Always an empty object", body = Object), Failure),
    security((), ("key" = []))
)]
#[post("/sdapi/v1/interrupt")]
pub(crate) async fn interrupt(
    caller: Result<Caller, ApiError>,
    state: web::Data<State>,
) -> Result<Json<Value>, Failure> {
    let caller = caller?;
    for job in under_way(&state, &caller).await? {
        state.jobs.cancel(&caller.owner, job.id).await?;
    }
    Ok(Json(json!({})))
}

/// The caller's jobs that are drawn, then those that wait.
async fn under_way(state: &State, caller: &Caller) -> Result<Vec<JobView>, ApiError> {
    let mut jobs = state.jobs.list(&caller.owner, Some(JobState::Running), JOBS, None).await?;
    jobs.extend(state.jobs.list(&caller.owner, Some(JobState::Queued), JOBS, None).await?);
    Ok(jobs)
}
