//! `/v1/admin/gold`: pictures whose right answer is known.

use actix_web::{
    HttpRequest, get, post,
    web::{self, Json},
};
use serde::Deserialize;
use utoipa::IntoParams;

use super::schema::Gold;
use crate::{
    api::{ApiError, Code, answer::List, body, caller::Caller, fields::Fields, paging, refusals::FeedbackErrors},
    app::State,
    domain::{ImageId, Rating},
};

/// Make a picture a gold item with its right answer; it is kept, and shown to raters of all keys
#[utoipa::path(
    tag = "operators",
    operation_id = "set_gold",
    request_body = Gold,
    responses((status = 200, description = "It is one, or none any more", body = Gold), FeedbackErrors),
    security(("key" = []))
)]
#[post("/v1/admin/gold")]
pub(crate) async fn set(
    request: HttpRequest,
    caller: Caller,
    payload: web::Payload,
    state: web::Data<State>,
) -> Result<Json<Gold>, ApiError> {
    let caller = caller.admin()?;
    let server = &state.settings.server;
    let mut fields = Fields::json(body::json_object(&request, payload, server.max_body, server.body_timeout()).await?);
    let missing = |name: &str| ApiError::invalid(name, "it is missing");
    let image = fields.text("image_id")?.ok_or_else(|| missing("image_id"))?;
    let image: ImageId = image.parse().map_err(|error| ApiError::invalid("image_id", error))?;
    let ratings = [Rating::Up, Rating::Down, Rating::Clear].map(|rating| (rating.name(), rating));
    let rating = fields.choice("rating", &ratings)?.ok_or_else(|| missing("rating"))?;
    fields.finish()?;
    if !state.store.set_gold(image, rating).await? {
        let message = format!("there is no picture {image}; it may have expired");
        return Err(ApiError::new(Code::NotFound, message).at("image_id"));
    }
    tracing::info!(%image, rating = rating.name(), by = %caller.owner, "a gold item was set");
    Ok(Json(Gold { image_id: image.to_string(), rating }))
}

#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct Page {
    /// Entries at most
    #[param(minimum = 1, maximum = 100)]
    limit: Option<usize>,
    /// Only those whose name comes after this one
    #[param(value_type = Option<String>, pattern = "^img_[0-9a-f]{32}$")]
    after: Option<ImageId>,
}

/// List gold items by name
#[utoipa::path(
    tag = "operators",
    operation_id = "list_gold",
    params(Page),
    responses((status = 200, description = "Gold items with their right answers", body = List<Gold>), FeedbackErrors),
    security(("key" = []))
)]
#[get("/v1/admin/gold")]
pub(crate) async fn list(
    caller: Caller,
    page: web::Query<Page>,
    state: web::Data<State>,
) -> Result<Json<List<Gold>>, ApiError> {
    caller.admin()?;
    let limit = paging::limit(page.limit)?;
    let gold = state.store.list_gold(page.after, limit + 1).await?;
    let told = gold.into_iter().map(|(image, rating)| Gold { image_id: image.to_string(), rating }).collect();
    Ok(Json(List::page(told, limit)))
}
