//! Probes, `/info` and `/metrics`.

use std::time::Duration;

use actix_web::{
    HttpResponse, ResponseError, get,
    web::{self, Json},
};
use prometheus::{Encoder, TextEncoder};
use serde::Serialize;
use utoipa::ToSchema;

use super::{ApiError, Code, generation::Judge, refusals::ProbeErrors};
use crate::{app::State, engine::Refusal, scoring::Scorer};

/// That the process answers.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Status {
    /// Always `ok`
    status: &'static str,
}

/// Open Inference Protocol: that the process answers.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Live {
    /// Always true
    live: bool,
}

/// Open Inference Protocol: that it takes work.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Ready {
    /// Always true
    ready: bool,
}

/// Whether the process answers
#[utoipa::path(tag = "operators", operation_id = "livez", responses((status = 200, description = "It does", body = Status)))]
#[get("/livez")]
pub(crate) async fn livez() -> Json<Status> {
    Json(Status { status: "ok" })
}

/// Whether it takes work
#[utoipa::path(
    tag = "operators",
    operation_id = "readyz",
    responses((status = 200, description = "It does", body = Status), ProbeErrors)
)]
#[get("/readyz")]
pub(crate) async fn readyz(state: web::Data<State>) -> Result<Json<Status>, ApiError> {
    ready(&state).await.map(|()| Json(Status { status: "ok" }))
}

/// Open Inference Protocol: whether the process answers
#[utoipa::path(tag = "operators", operation_id = "v2_live", responses((status = 200, description = "It does", body = Live)))]
#[get("/v2/health/live")]
pub(crate) async fn v2_live() -> Json<Live> {
    Json(Live { live: true })
}

/// Open Inference Protocol: whether it takes work
#[utoipa::path(
    tag = "operators",
    operation_id = "v2_ready",
    responses((status = 200, description = "It does", body = Ready), ProbeErrors)
)]
#[get("/v2/health/ready")]
pub(crate) async fn v2_ready(state: web::Data<State>) -> Result<Json<Ready>, ApiError> {
    ready(&state).await.map(|()| Json(Ready { ready: true }))
}

/// The answer to everything else while the pack is loaded.
pub(super) async fn starting() -> HttpResponse {
    /// A small pack takes one or two seconds, a large one tens.
    const WAIT: Duration = Duration::from_secs(2);
    ApiError::new(Code::NotReady, "the model is still being loaded; /readyz says when it is there")
        .retry_after(WAIT)
        .error_response()
}

async fn ready(state: &State) -> Result<(), ApiError> {
    if state.is_draining() {
        return Err(ApiError::draining());
    }
    if state.engine.is_broken() {
        return Err(ApiError::new(Code::NotReady, Refusal::Broken.to_string()));
    }
    state.store.check().await.map_err(|error| {
        tracing::error!(cause = format!("{error:#}"), "the store does not answer");
        ApiError::new(Code::NotReady, "the store does not answer; the server's log says more")
    })
}

/// What serves.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Info {
    /// Always `plaudit`
    name: &'static str,
    /// Of the program
    version: &'static str,
    /// The model's name
    model: String,
    /// `name@hash`
    model_version: String,
    /// Where it computes
    device: String,
    /// Pictures of a request at most
    max_pictures: u32,
    /// Candidates of one request at most; 1 where nothing can tell which is best
    max_candidates: u32,
    /// `name@hash` of what judges pictures
    reward_version: Option<String>,
    /// Steps of a picture at most
    max_steps: u32,
    /// Guidance scale of requests that name none
    guidance_scale: f32,
    /// Jobs that wait
    waiting: usize,
    /// Jobs that are drawn
    running: usize,
    /// Row-steps a second, once measured
    row_steps_per_second: Option<f64>,
}

/// What serves, and how busy it is
#[utoipa::path(tag = "operators", operation_id = "info", responses((status = 200, description = "Facts", body = Info)))]
#[get("/info")]
pub(crate) async fn info(state: web::Data<State>) -> Json<Info> {
    let load = state.engine.load();
    Json(Info {
        name: "plaudit",
        version: env!("CARGO_PKG_VERSION"),
        model: state.rules.model.name.clone(),
        model_version: state.engine.model().version,
        device: state.device.to_string(),
        max_pictures: state.rules.max_pictures,
        max_candidates: if state.rules.judge() == Judge::Nothing { 1 } else { state.rules.best_of.max },
        reward_version: state.scorer.as_ref().and_then(Scorer::reward_version),
        max_steps: state.rules.max_steps,
        guidance_scale: state.rules.model.guidance,
        waiting: load.waiting,
        running: load.running,
        row_steps_per_second: load.rate,
    })
}

/// Metrics in Prometheus' text format
#[utoipa::path(
    tag = "operators",
    operation_id = "metrics",
    responses((status = 200, description = "Metrics", content((String = "text/plain"))))
)]
#[get("/metrics")]
pub(crate) async fn metrics(state: web::Data<State>) -> Result<HttpResponse, ApiError> {
    let load = state.engine.load();
    state.metrics.requests_waiting.set(load.waiting as i64);
    state.metrics.requests_running.set(load.running as i64);
    state.metrics.queue_oldest_seconds.set(load.oldest.map_or(0.0, |age| age.as_secs_f64()));
    let (encoder, mut text) = (TextEncoder::new(), Vec::new());
    encoder.encode(&state.metrics.registry.gather(), &mut text).map_err(ApiError::internal)?;
    Ok(HttpResponse::Ok().content_type(encoder.format_type()).body(text))
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use actix_web::ResponseError;

    use super::*;
    use crate::{app::Application, settings::Settings};

    #[actix_web::test]
    async fn a_broken_engine_is_not_ready_and_says_what_to_do() {
        let data = tempfile::tempdir().expect("a folder");
        let folder = data.path().to_str().expect("a path");
        let flags = ["--listen", "127.0.0.1:0", "--device", "cpu", "--data", folder];
        let settings = Settings::from_flags(flags).expect("settings");
        let pack = Path::new(env!("CARGO_MANIFEST_DIR")).join("onnx/packs/miniature");
        let application = Application::start(settings, &pack).await.expect("a server");
        let state = application.state();
        ready(state).await.expect("ready");
        state.engine.break_down();
        let error = ready(state).await.expect_err("not ready");
        assert_eq!((error.status_code().as_u16(), error.code()), (503, Code::NotReady));
        assert!(error.message().contains("must be restarted"), "{error}");
    }
}
