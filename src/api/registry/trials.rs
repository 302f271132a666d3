//! Versions that are tried beside the champion.

use actix_web::{
    HttpRequest, get, post,
    web::{self, Json},
};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::{IntoParams, ToSchema};

use super::promote::{fields, reason, version_in};
use crate::{
    api::{
        ApiError,
        answer::List,
        caller::Caller,
        paging,
        refusals::{RegistryErrors, RegistryListErrors},
    },
    app::State,
    domain::{Kind, VersionId},
    trial::{NewTrial, TrialRecord, TrialState},
};

/// Share of those who ask where a trial names none.
const SHARE: f64 = 0.1;
/// Requests served for nobody first where a trial says nothing.
const SHADOW: u32 = 20;
/// And at most.
const MOST_SHADOW: u32 = 1000;

/// A version that is, or was, tried beside the champion.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct TrialEntry {
    /// Its place among all trials
    sequence: i64,
    /// What it is a version of
    kind: Kind,
    /// The candidate
    version: String,
    /// What it is tried beside
    champion: String,
    /// Share of those who ask that the candidate serves
    share: f64,
    /// Requests that it serves for nobody first
    shadow: u32,
    /// Where it stands
    state: TrialState,
    /// Who started it
    actor: String,
    /// Why it is where it is
    reason: String,
    /// Unix seconds
    started: i64,
    /// Unix seconds of the last change of its state
    changed: i64,
    /// What decided
    evidence: Value,
}

impl From<TrialRecord> for TrialEntry {
    fn from(trial: TrialRecord) -> Self {
        let TrialRecord {
            sequence,
            kind,
            version,
            champion,
            share,
            shadow,
            state,
            actor,
            reason,
            started,
            changed,
            evidence,
            ..
        } = trial;
        let (version, champion) = (version.to_string(), champion.to_string());
        Self { sequence, kind, version, champion, share, shadow, state, actor, reason, started, changed, evidence }
    }
}

/// A trial that is asked for.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[allow(dead_code)] // read field by field
pub(crate) struct TrialRequest {
    /// The champion as you know it
    #[schema(pattern = "^[A-Za-z0-9][A-Za-z0-9._-]{0,63}@[0-9a-f]{12}$")]
    expected: String,
    /// Share of those who ask that the candidate serves; each of them stays with it
    #[schema(minimum = 0.001, maximum = 0.999, default = 0.1)]
    share: Option<f64>,
    /// Requests that it serves again for nobody before
    #[schema(minimum = 0, maximum = 1000, default = 20)]
    shadow: Option<u32>,
    /// Why, in a line
    #[schema(pattern = "^ *[^\\u0000-\\u0020\\u007f-\\u009f][^\\u0000-\\u001f\\u007f-\\u009f]*$", max_length = 2000)]
    reason: String,
}

/// Why a trial is to end.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[allow(dead_code)] // read field by field
pub(crate) struct EndTrialRequest {
    /// Why, in a line
    #[schema(pattern = "^ *[^\\u0000-\\u0020\\u007f-\\u009f][^\\u0000-\\u001f\\u007f-\\u009f]*$", max_length = 2000)]
    reason: String,
}

/// Try a version of the generator or of the reward beside the champion
///
/// This server verifies and loads it first. Then it serves requests again for nobody, then its share, until it is promoted, rolled
/// back, or paused for you to decide. One trial goes on at a time, whatever it is of.
#[utoipa::path(
    tag = "operators",
    operation_id = "try_version",
    params(
        ("kind" = Kind, Path, description = "What it is a version of"),
        ("version" = String, Path, description = "The candidate", pattern = "^[A-Za-z0-9][A-Za-z0-9._-]{0,63}@[0-9a-f]{12}$"),
    ),
    request_body = TrialRequest,
    responses((status = 200, description = "The trial", body = TrialEntry), RegistryErrors),
    security(("key" = []))
)]
#[post("/v1/admin/versions/{kind}/{version}/trial")]
pub(crate) async fn begin(
    request: HttpRequest,
    caller: Caller,
    path: web::Path<(Kind, VersionId)>,
    payload: web::Payload,
    state: web::Data<State>,
) -> Result<Json<TrialEntry>, ApiError> {
    let caller = caller.admin()?;
    let mut fields = fields(&request, payload, &state).await?;
    let expected = version_in(&mut fields, "expected")?;
    let expected = expected.ok_or_else(|| ApiError::invalid("expected", "it is missing"))?;
    let share = fields.number("share", 0.001, 0.999)?.unwrap_or(SHARE);
    let shadow = fields.integer("shadow", 0, MOST_SHADOW.into())?.map_or(SHADOW, |many| many as u32);
    let reason = reason(&mut fields)?;
    fields.finish()?;
    let ((kind, version), actor) = (path.into_inner(), caller.owner.to_string());
    let trial = NewTrial { kind, version, champion: expected, share, shadow, actor, reason };
    // On the runtime that outlives connections.
    let begun = state.runtime.clone().spawn(async move { state.trials.begin(trial).await });
    Ok(Json(begun.await.map_err(ApiError::internal)??.into()))
}

/// End the trial that goes on
#[utoipa::path(
    tag = "operators",
    operation_id = "end_trial",
    request_body = EndTrialRequest,
    responses((status = 200, description = "The trial", body = TrialEntry), RegistryErrors),
    security(("key" = []))
)]
#[post("/v1/admin/trials/end")]
pub(crate) async fn end(
    request: HttpRequest,
    caller: Caller,
    payload: web::Payload,
    state: web::Data<State>,
) -> Result<Json<TrialEntry>, ApiError> {
    let caller = caller.admin()?;
    let mut fields = fields(&request, payload, &state).await?;
    let reason = reason(&mut fields)?;
    fields.finish()?;
    Ok(Json(state.trials.end(&caller.owner.to_string(), &reason).await?.into()))
}

#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct Page {
    /// Entries at most
    #[param(minimum = 1, maximum = 100)]
    limit: Option<usize>,
    /// Only trials before this sequence
    #[param(minimum = 0)]
    before: Option<i64>,
}

/// List trials, the newest first
#[utoipa::path(
    tag = "operators",
    operation_id = "list_trials",
    params(Page),
    responses((status = 200, description = "Trials, and how they ended", body = List<TrialEntry>), RegistryListErrors),
    security(("key" = []))
)]
#[get("/v1/admin/trials")]
pub(crate) async fn list(
    caller: Caller,
    page: web::Query<Page>,
    state: web::Data<State>,
) -> Result<Json<List<TrialEntry>>, ApiError> {
    caller.admin()?;
    let limit = paging::limit(page.limit)?;
    if page.before.is_some_and(|before| before < 0) {
        return Err(ApiError::invalid("before", "it must not be negative"));
    }
    let trials = state.trials.list(page.before, limit + 1).await?;
    Ok(Json(List::page(trials.into_iter().map(TrialEntry::from).collect(), limit)))
}
