//! Changing what is champion.

use actix_web::{
    HttpRequest, post,
    web::{self, Json},
};

use super::schema::{PromoteRequest, PromotionEntry, RollbackRequest};
use crate::{
    api::{ApiError, body, caller::Caller, fields::Fields, refusals::RegistryErrors},
    app::State,
    domain::{Kind, VersionId},
    registry::{Promotion, PromotionRecord},
    swap::{Moment, pass},
};

/// Make a version champion, if the champion is the one that you expect
///
/// This server verifies and loads it first. Once this has answered no new request is drawn, or scored, by the version before.
#[utoipa::path(
    tag = "operators",
    operation_id = "promote_version",
    params(
        ("kind" = Kind, Path, description = "What it is a version of"),
        ("version" = String, Path, description = "The next champion", pattern = "^[A-Za-z0-9][A-Za-z0-9._-]{0,63}@[0-9a-f]{12}$"),
    ),
    request_body = PromoteRequest,
    responses((status = 200, description = "The entry of the log", body = PromotionEntry), RegistryErrors),
    security(("key" = []))
)]
#[post("/v1/admin/versions/{kind}/{version}/promote")]
pub(crate) async fn promote(
    request: HttpRequest,
    caller: Caller,
    path: web::Path<(Kind, VersionId)>,
    payload: web::Payload,
    state: web::Data<State>,
) -> Result<Json<PromotionEntry>, ApiError> {
    let caller = caller.admin()?;
    let (kind, version) = path.into_inner();
    let mut fields = fields(&request, payload, &state).await?;
    let expected = version_in(&mut fields, "expected")?;
    let reason = reason(&mut fields)?;
    let drain = fields.flag("drain")?.unwrap_or(false) && kind == Kind::Generator;
    fields.finish()?;
    let actor = caller.owner.to_string();
    let promotion = Promotion { kind, version: version.clone(), expected: expected.clone(), actor, reason };
    // On the runtime that outlives connections: who goes away leaves no half of a promotion behind.
    let promoted = state.runtime.clone().spawn(async move {
        let hopeful = state.registry.aliases(kind).await?.champion == expected;
        // Files first: a database that names a damaged champion helps nobody.
        let ready = match (hopeful, drain) {
            (false, _) => None,
            (true, false) => Some(state.swapper.prepare(kind, &version).await?),
            (true, true) => {
                state.registry.check(kind, &version).await?;
                None
            }
        };
        let actor = promotion.actor.clone();
        let held = if drain { Some(state.swapper.hold().await) } else { None };
        let written = state.registry.promote(promotion).await?;
        pass(Moment::Promoted);
        let replaced = match drain {
            false => None,
            true => match state.swapper.replace(&version).await {
                Ok(ready) => Some(ready),
                Err(error) => {
                    let reason = format!("{version} could not be loaded");
                    state.registry.rollback(kind, None, Some(version), &actor, &reason).await?;
                    return Err(error.into());
                }
            },
        };
        drop(held);
        let answer = answer(&state, written).await;
        drop((ready, replaced));
        answer
    });
    promoted.await.map_err(ApiError::internal)?
}

/// Make an earlier champion champion again, if the champion is the one that you expect
#[utoipa::path(
    tag = "operators",
    operation_id = "roll_back",
    params(("kind" = Kind, Path, description = "What it is about")),
    request_body = RollbackRequest,
    responses((status = 200, description = "The entry of the log", body = PromotionEntry), RegistryErrors),
    security(("key" = []))
)]
#[post("/v1/admin/versions/{kind}/rollback")]
pub(crate) async fn rollback(
    request: HttpRequest,
    caller: Caller,
    kind: web::Path<Kind>,
    payload: web::Payload,
    state: web::Data<State>,
) -> Result<Json<PromotionEntry>, ApiError> {
    let caller = caller.admin()?;
    let mut fields = fields(&request, payload, &state).await?;
    let (expected, to) = (version_in(&mut fields, "expected")?, version_in(&mut fields, "to")?);
    let reason = reason(&mut fields)?;
    fields.finish()?;
    let (kind, actor) = (kind.into_inner(), caller.owner.to_string());
    let rolled_back = state.runtime.clone().spawn(async move {
        let written = state.registry.rollback(kind, to, expected, &actor, &reason).await?;
        answer(&state, written).await
    });
    rolled_back.await.map_err(ApiError::internal)?
}

/// The database is the truth: other servers follow it, this one has.
async fn answer(state: &State, written: PromotionRecord) -> Result<Json<PromotionEntry>, ApiError> {
    state.swapper.settled(written.kind, written.sequence).await?;
    Ok(Json(written.into()))
}

pub(super) async fn fields(request: &HttpRequest, payload: web::Payload, state: &State) -> Result<Fields, ApiError> {
    let server = &state.settings.server;
    Ok(Fields::json(body::json_object(request, payload, server.max_body, server.body_timeout()).await?))
}

pub(super) fn version_in(fields: &mut Fields, name: &str) -> Result<Option<VersionId>, ApiError> {
    let text = fields.text(name)?;
    text.map(|text| text.parse().map_err(|error| ApiError::invalid(name, error))).transpose()
}

pub(super) fn reason(fields: &mut Fields) -> Result<String, ApiError> {
    fields.text("reason")?.ok_or_else(|| ApiError::invalid("reason", "it is missing"))
}
