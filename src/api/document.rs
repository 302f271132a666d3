//! The OpenAPI document: generated from the handlers, with the bounds of the server that serves it.

use actix_web::{HttpResponse, get, web};
use serde_json::{Value, json};
use utoipa::{
    Modify, OpenApi,
    openapi::{
        OpenApi as Document,
        security::{Http, HttpAuthScheme, SecurityScheme},
    },
};

use super::generation::Rules;

#[derive(OpenApi)]
#[openapi(
    info(
        title = "Plaudit",
        description = "Stable Diffusion over HTTP, batched step by step.\n\nErrors are `{\"error\": {message, type, param, code}}`; 429 and 503 carry `Retry-After`. Without a key, callers are told apart by a cookie; what belongs to one is not there for another.",
        license(name = "MIT OR Apache-2.0")
    ),
    tags(
        (name = "images", description = "Pictures from text and from pictures, as OpenAI's API has them"),
        (name = "jobs", description = "Generations that nobody waits for"),
        (name = "models", description = "What is served"),
        (name = "compatibility", description = "Other programs' APIs over the same jobs: AUTOMATIC1111's and Hugging Face's"),
        (name = "operators", description = "Probes and metrics")
    ),
    components(schemas(
        super::answer::ErrorEnvelope,
        super::compat::A1111Error,
        super::compat::HuggingFaceError
    )),
    modifiers(&Key)
)]
struct Base;

struct Key;

impl Modify for Key {
    fn modify(&self, document: &mut Document) {
        let key = SecurityScheme::Http(Http::new(HttpAuthScheme::Bearer));
        document.components.get_or_insert_default().add_security_scheme("key", key);
    }
}

/// What handlers add to.
pub(super) fn base() -> Document {
    Base::openapi()
}

/// The document as JSON, with this server's bounds in the place of the defaults.
pub(super) fn bounded(document: &Document, rules: &Rules) -> serde_json::Result<Value> {
    let mut value = serde_json::to_value(document)?;
    let schemas = &mut value["components"]["schemas"];
    schemas["ModelName"]["enum"] = json!([rules.model.name]);
    for request in ["GenerationRequest", "EditRequest"] {
        let fields = &mut schemas[request]["properties"];
        fields["n"]["maximum"] = rules.max_pictures.into();
        fields["num_inference_steps"]["maximum"] = rules.max_steps.into();
        fields["size"]["pattern"] = sizes(rules).into();
    }
    super::compat::bound(schemas, rules);
    value["paths"]["/"]["get"] = page();
    Ok(value)
}

/// The page shares its path with a route of the API, so the document has to name it.
fn page() -> Value {
    json!({
        "tags": ["page"], "summary": "A page to draw with", "operationId": "page",
        "responses": {"200": {"description": "For browsers", "content": {"text/html": {"schema": {"type": "string"}}}}},
    })
}

/// A pattern of exactly those sizes that can be drawn.
fn sizes(rules: &Rules) -> String {
    let multiple = rules.model.size_multiple;
    let sides: Vec<String> = (1..=rules.max_side / multiple).map(|i| (i * multiple).to_string()).collect();
    let side = format!("({})", sides.join("|"));
    format!("^(auto|{side}x{side})$")
}

/// The document that is served.
#[derive(Debug, Clone)]
pub(super) struct Served(pub(super) Value);

/// This document
#[utoipa::path(
    tag = "operators",
    operation_id = "openapi",
    responses((status = 200, description = "OpenAPI 3.1", body = Object, content_type = "application/json"))
)]
#[get("/openapi.json")]
pub(crate) async fn served(document: web::Data<Served>) -> HttpResponse {
    HttpResponse::Ok().json(&document.0)
}
