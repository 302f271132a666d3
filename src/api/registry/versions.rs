//! Reading: versions, the log of promotions, what was served when.

use std::collections::HashMap;

use actix_web::{
    get,
    web::{self, Json},
};
use serde::Deserialize;
use utoipa::IntoParams;

use super::schema::{PromotionEntry, Served, SwapPlace, Version};
use crate::{
    api::{ApiError, answer::List, caller::Caller, paging, refusals::RegistryListErrors},
    app::State,
    domain::{Kind, VersionId},
};

#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct Page {
    /// Only versions of this kind
    kind: Option<Kind>,
    /// Entries at most
    #[param(minimum = 1, maximum = 100)]
    limit: Option<usize>,
    /// Only those published before this one
    #[param(value_type = Option<String>, pattern = "^[A-Za-z0-9][A-Za-z0-9._-]{0,63}@[0-9a-f]{12}$")]
    before: Option<VersionId>,
}

/// List versions, the newest first
#[utoipa::path(
    tag = "operators",
    operation_id = "list_versions",
    params(Page),
    responses((status = 200, description = "Versions, retired ones too", body = List<Version>), RegistryListErrors),
    security(("key" = []))
)]
#[get("/v1/admin/versions")]
pub(crate) async fn list(
    caller: Caller,
    page: web::Query<Page>,
    state: web::Data<State>,
) -> Result<Json<List<Version>>, ApiError> {
    caller.admin()?;
    let limit = paging::limit(page.limit)?;
    let mut aliases = HashMap::new();
    for kind in Kind::ALL {
        aliases.insert(kind, state.registry.aliases(kind).await?);
    }
    let records = state.registry.versions(page.kind, limit + 1, page.before.as_ref()).await?;
    let told = records.into_iter().map(|record| {
        let of = &aliases[&record.kind];
        Version::of(record, of)
    });
    Ok(Json(List::page(told.collect(), limit)))
}

/// A version, and where it comes from
#[utoipa::path(
    tag = "operators",
    operation_id = "get_version",
    params(
        ("kind" = Kind, Path, description = "What it is a version of"),
        ("version" = String, Path, description = "Its name", pattern = "^[A-Za-z0-9][A-Za-z0-9._-]{0,63}@[0-9a-f]{12}$"),
    ),
    responses((status = 200, description = "The version", body = Version), RegistryListErrors),
    security(("key" = []))
)]
#[get("/v1/admin/versions/{kind}/{version}")]
pub(crate) async fn view(
    caller: Caller,
    path: web::Path<(Kind, VersionId)>,
    state: web::Data<State>,
) -> Result<Json<Version>, ApiError> {
    caller.admin()?;
    let (kind, version) = path.into_inner();
    let record = state.registry.version(kind, &version).await?;
    Ok(Json(Version::of(record, &state.registry.aliases(kind).await?)))
}

#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct Log {
    /// Only promotions of this kind
    kind: Option<Kind>,
    /// Entries at most
    #[param(minimum = 1, maximum = 100)]
    limit: Option<usize>,
    /// Only entries after this sequence
    #[param(minimum = 0)]
    after: Option<i64>,
}

/// Read the log of promotions, the oldest first
#[utoipa::path(
    tag = "operators",
    operation_id = "list_promotions",
    params(Log),
    responses((status = 200, description = "What was promoted, by whom and why", body = List<PromotionEntry>), RegistryListErrors),
    security(("key" = []))
)]
#[get("/v1/admin/promotions")]
pub(crate) async fn promotions(
    caller: Caller,
    page: web::Query<Log>,
    state: web::Data<State>,
) -> Result<Json<List<PromotionEntry>>, ApiError> {
    caller.admin()?;
    let limit = paging::limit(page.limit)?;
    let after = page.after.unwrap_or(0);
    if after < 0 {
        return Err(ApiError::invalid("after", "it must not be negative"));
    }
    let entries = state.registry.promotions(page.kind, after, limit + 1).await?;
    Ok(Json(List::page(entries.into_iter().map(PromotionEntry::from).collect(), limit)))
}

/// Tell where versions stand on this server
#[utoipa::path(
    tag = "operators",
    operation_id = "swaps",
    responses((status = 200, description = "The generator, then the reward", body = List<SwapPlace>), RegistryListErrors),
    security(("key" = []))
)]
#[get("/v1/admin/swaps")]
pub(crate) async fn swaps(caller: Caller, state: web::Data<State>) -> Result<Json<List<SwapPlace>>, ApiError> {
    caller.admin()?;
    let data = state.swapper.status().into_iter().map(SwapPlace::from).collect();
    Ok(Json(List { object: "list", data, has_more: false }))
}

#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct When {
    /// Unix seconds; by default now
    #[param(minimum = 0)]
    at: Option<i64>,
}

/// Tell what was served in a second, and what it was trained on
#[utoipa::path(
    tag = "operators",
    operation_id = "served_at",
    params(When),
    responses((status = 200, description = "Versions by server, kind and role", body = List<Served>), RegistryListErrors),
    security(("key" = []))
)]
#[get("/v1/admin/served")]
pub(crate) async fn served(
    caller: Caller,
    when: web::Query<When>,
    state: web::Data<State>,
) -> Result<Json<List<Served>>, ApiError> {
    caller.admin()?;
    let time = when.at.unwrap_or_else(crate::app::now);
    if time < 0 {
        return Err(ApiError::invalid("at", "it must not be negative"));
    }
    let data = state.registry.served_at(time).await?.into_iter().map(Served::from).collect();
    Ok(Json(List { object: "list", data, has_more: false }))
}
