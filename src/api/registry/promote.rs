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
};

/// Make a version champion, if the champion is the one that you expect
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
    fields.finish()?;
    // Files first: a database that names a damaged champion helps nobody.
    state.registry.check(kind, &version).await?;
    let actor = caller.owner.to_string();
    answer(state.registry.promote(Promotion { kind, version, expected, actor, reason }).await?)
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
    let actor = caller.owner.to_string();
    answer(state.registry.rollback(kind.into_inner(), to, expected, &actor, &reason).await?)
}

/// The database is the truth: the champion is another one from here on, and servers follow.
fn answer(written: PromotionRecord) -> Result<Json<PromotionEntry>, ApiError> {
    Ok(Json(written.into()))
}

async fn fields(request: &HttpRequest, payload: web::Payload, state: &State) -> Result<Fields, ApiError> {
    let server = &state.settings.server;
    Ok(Fields::json(body::json_object(request, payload, server.max_body, server.body_timeout()).await?))
}

fn version_in(fields: &mut Fields, name: &str) -> Result<Option<VersionId>, ApiError> {
    let text = fields.text(name)?;
    text.map(|text| text.parse().map_err(|error| ApiError::invalid(name, error))).transpose()
}

fn reason(fields: &mut Fields) -> Result<String, ApiError> {
    fields.text("reason")?.ok_or_else(|| ApiError::invalid("reason", "it is missing"))
}
