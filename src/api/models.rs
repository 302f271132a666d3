//! `GET /v1/models`.

use actix_web::{
    get,
    web::{self, Json},
};
use serde::Serialize;
use utoipa::ToSchema;

use super::{ApiError, Code, answer::List, refusals::OpenErrors};
use crate::app::State;

/// A model that is served.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Model {
    /// Its name
    id: String,
    /// Always `model`
    object: &'static str,
    /// Unix seconds since when the server runs
    created: i64,
    /// Always `plaudit`
    owned_by: &'static str,
    /// `name@hash`
    version: String,
    /// Its own width and height
    size: String,
    /// Widths and heights are multiples of it
    size_multiple: usize,
    /// Widths and heights end here
    max_side: usize,
    /// The scheduler where a request names none
    scheduler: String,
    /// Whether it can start from a picture
    image_to_image: bool,
}

impl Model {
    fn of(state: &State) -> Self {
        let model = state.engine.model();
        Self {
            id: model.name.clone(),
            object: "model",
            created: state.started,
            owned_by: "plaudit",
            version: model.version,
            size: format!("{}x{}", model.size.0, model.size.1),
            size_multiple: model.size_multiple,
            max_side: state.rules.max_side,
            scheduler: model.scheduler.to_string(),
            image_to_image: model.image_to_image,
        }
    }
}

/// List the models that are served
#[utoipa::path(
    tag = "models",
    operation_id = "list_models",
    responses((status = 200, description = "Models", body = List<Model>))
)]
#[get("/v1/models")]
pub(crate) async fn list(state: web::Data<State>) -> Json<List<Model>> {
    Json(List { object: "list", data: vec![Model::of(&state)], has_more: false })
}

/// A model that is served
#[utoipa::path(
    tag = "models",
    operation_id = "get_model",
    params(("id" = String, Path, description = "Its name or version")),
    responses((status = 200, description = "The model", body = Model), OpenErrors)
)]
#[get("/v1/models/{id}")]
pub(crate) async fn view(id: web::Path<String>, state: web::Data<State>) -> Result<Json<Model>, ApiError> {
    let model = state.engine.model();
    if *id == model.name || *id == model.version {
        return Ok(Json(Model::of(&state)));
    }
    let message = format!("there is no model {:?} here; there is {:?} ({})", *id, model.name, model.version);
    Err(ApiError::new(Code::ModelNotFound, message).at("model"))
}
