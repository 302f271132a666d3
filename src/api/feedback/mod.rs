//! Votes: taking them, listing them, asking for the next picture, telling what was shown.

mod cast;
mod gold;
mod item;
mod list;
mod next;
mod schema;
mod voter;

use serde_json::{Value, json};
use utoipa_actix_web::service_config::ServiceConfig;

/// What the derive cannot tell: a picture is named by its id or by a token.
pub(super) fn bound(schemas: &mut Value) {
    let named = |field: &str| json!({"required": [field], "properties": {field: {"type": "string"}}});
    for request in ["Vote", "Impression"] {
        schemas[request]["anyOf"] = json!([named("image_id"), named("token")]);
    }
}

/// Every route of votes.
pub(super) fn routes(config: &mut ServiceConfig<'_>) {
    config
        .service(cast::feedback)
        .service(list::list)
        .service(next::next)
        .service(cast::impressions)
        .service(gold::set)
        .service(gold::list);
}
