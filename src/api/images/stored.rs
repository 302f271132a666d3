//! `/v1/images`: what was made and is still kept.

use actix_web::{
    HttpRequest, HttpResponse, get,
    http::header,
    web::{self, Json},
};
use serde::Deserialize;
use utoipa::IntoParams;

use crate::{
    api::{
        ApiError, Code,
        answer::{List, Metadata, base, media_type},
        caller::Caller,
        paging,
        refusals::{ListErrors, OpenErrors, OwnErrors},
    },
    app::State,
    domain::ImageId,
};

#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct Page {
    /// Entries at most
    #[param(minimum = 1, maximum = 100)]
    limit: Option<usize>,
    /// Only those made before this one
    #[param(value_type = Option<String>, pattern = "^img_[0-9a-f]{32}$")]
    before: Option<ImageId>,
}

/// List your own pictures, the newest first
#[utoipa::path(
    tag = "images",
    operation_id = "list_images",
    params(Page),
    responses((status = 200, description = "Pictures that are kept", body = List<Metadata>), ListErrors),
    security((), ("key" = []))
)]
#[get("/v1/images")]
pub(crate) async fn list(
    request: HttpRequest,
    caller: Caller,
    page: web::Query<Page>,
    state: web::Data<State>,
) -> Result<Json<List<Metadata>>, ApiError> {
    let limit = paging::limit(page.limit)?;
    let records = state.store.list_images(&caller.owner, limit + 1, page.before).await?;
    let base = base(&request);
    Ok(Json(List::page(records.into_iter().map(|record| Metadata::of(record, &base)).collect(), limit)))
}

/// A picture's file, for whoever has its unguessable name
#[utoipa::path(
    tag = "images",
    operation_id = "get_image",
    params(("id" = String, Path, description = "The picture's name", pattern = "^img_[0-9a-f]{32}$")),
    responses(
        (status = 200, description = "The file",
            content((Vec<u8> = "image/png"), (Vec<u8> = "image/webp"), (Vec<u8> = "image/jpeg"))),
        (status = 304, description = "The file that the caller has already"),
        OpenErrors
    )
)]
// Only names of pictures: the generation routes beside it have other methods.
#[get("/v1/images/{id:img_[^/]*}")]
pub(crate) async fn file(
    request: HttpRequest,
    id: web::Path<ImageId>,
    state: web::Data<State>,
) -> Result<HttpResponse, ApiError> {
    let id = id.into_inner();
    let file = match state.store.image_bytes(id).await? {
        Some(file) => Some(file),
        None => state.store.gold_bytes(id).await?,
    };
    let Some((format, bytes)) = file else { return Err(none(id)) };
    let tag = format!("\"{id}\"");
    let known = request.headers().get(header::IF_NONE_MATCH).is_some_and(|value| value.as_bytes() == tag.as_bytes());
    let mut answer = if known { HttpResponse::NotModified() } else { HttpResponse::Ok() };
    answer
        .insert_header((header::CACHE_CONTROL, "private, max-age=31536000, immutable"))
        .insert_header((header::ETAG, tag))
        .insert_header((header::X_CONTENT_TYPE_OPTIONS, "nosniff"))
        .insert_header((header::CONTENT_SECURITY_POLICY, "default-src 'none'"));
    if known {
        return Ok(answer.finish());
    }
    Ok(answer.content_type(media_type(format)).body(bytes))
}

/// How one of your own pictures was made
#[utoipa::path(
    tag = "images",
    operation_id = "get_image_metadata",
    params(("id" = String, Path, description = "The picture's name", pattern = "^img_[0-9a-f]{32}$")),
    responses((status = 200, description = "Its facts", body = Metadata), OwnErrors),
    security((), ("key" = []))
)]
#[get("/v1/images/{id}/metadata")]
pub(crate) async fn metadata(
    request: HttpRequest,
    caller: Caller,
    id: web::Path<ImageId>,
    state: web::Data<State>,
) -> Result<Json<Metadata>, ApiError> {
    let id = id.into_inner();
    let record = state.store.image(&caller.owner, id).await?.ok_or_else(|| none(id))?;
    Ok(Json(Metadata::of(record, &base(&request))))
}

/// The same words for what is gone, never was, and is somebody else's.
fn none(id: ImageId) -> ApiError {
    ApiError::new(Code::NotFound, format!("there is no picture {id}; it may have expired"))
}
