//! The OpenAPI document: generated from the handlers, with the bounds of the server that serves it.

use actix_web::{HttpResponse, get, http::header::ContentType, web};
use bytes::Bytes;
use serde_json::{Map, Value, json};
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
        (name = "scoring", description = "Scores and points of pictures and texts"),
        (name = "feedback", description = "Votes on pictures, and what was shown"),
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
        fields["best_of"]["maximum"] = rules.best_of.max.into();
        fields["num_inference_steps"]["maximum"] = rules.max_steps.into();
        fields["size"]["pattern"] = sizes(rules).into();
    }
    intervals(schemas);
    super::compat::bound(schemas, rules);
    super::scoring::bound(schemas, rules);
    super::feedback::bound(schemas);
    // A form, like a header, leaves out what it does not say.
    let fields = schemas["EditRequest"]["properties"].as_object_mut();
    fields.into_iter().flat_map(Map::values_mut).for_each(never_null);
    parameters(&mut value).for_each(never_null);
    value["paths"]["/"]["get"] = page();
    for (path, file) in [("/v1/images/edits", "image"), ("/v1/score", "images")] {
        value["paths"][path]["post"]["requestBody"]["content"]["multipart/form-data"]["encoding"] =
            json!({file: {"contentType": "image/png, image/jpeg, image/webp"}});
    }
    Ok(value)
}

/// The schemas of all parameters.
fn parameters(document: &mut Value) -> impl Iterator<Item = &mut Value> {
    let paths = document["paths"].as_object_mut().into_iter().flat_map(Map::values_mut);
    let operations = paths.filter_map(Value::as_object_mut).flat_map(Map::values_mut);
    let parameters = operations.filter_map(|operation| operation.get_mut("parameters")?.as_array_mut()).flatten();
    parameters.filter_map(|parameter| parameter.get_mut("schema"))
}

/// Takes `null` out of a schema: a header, or a field of a form, is absent and never null.
fn never_null(schema: &mut Value) {
    let null = json!("null");
    let types: Vec<Value> =
        schema["type"].as_array().into_iter().flatten().filter(|kind| **kind != null).cloned().collect();
    if let [kind] = types.as_slice() {
        schema["type"] = kind.clone();
    }
    let choices = schema["oneOf"].as_array().into_iter().flatten();
    let choices: Vec<Value> = choices.filter(|choice| choice["type"] != null).cloned().collect();
    if let [choice] = choices.as_slice() {
        *schema = choice.clone();
    }
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

/// JSON Schema cannot compare two numbers: it describes those intervals that touch a tenth, which are all but the narrowest.
/// A form has them as texts of tenths.
fn intervals(schemas: &mut Value) {
    let tenth = |i: usize| json!(i as f64 / 10.0);
    let bands = (0..=10).map(|i| json!({"prefixItems": [{"maximum": tenth(i)}, {"minimum": tenth(i)}]}));
    let field = &mut schemas["GenerationRequest"]["properties"]["guidance_interval"];
    field["anyOf"] = bands.collect();
    field["items"] = json!({"type": "number", "minimum": 0, "maximum": 1});
    let pairs = (0..=10).map(|i| {
        let ends: Vec<String> = (i..=10).map(|j| tenth(j).to_string()).collect();
        format!("{}, ({})", tenth(i), ends.join("|"))
    });
    let pattern = format!("^\\[({})\\]$", pairs.collect::<Vec<_>>().join("|")).replace('.', "\\.");
    let description = field["description"].clone();
    let field = &mut schemas["EditRequest"]["properties"]["guidance_interval"];
    *field = json!({"type": "string", "description": description, "pattern": pattern, "example": "[0.1, 0.9]"});
}

/// The document as it is served: every answer shares its bytes.
#[derive(Debug, Clone)]
pub(super) struct Served(Bytes);

impl Served {
    pub(super) fn new(document: &Value) -> Self {
        Self(document.to_string().into())
    }
}

/// This document
#[utoipa::path(
    tag = "operators",
    operation_id = "openapi",
    responses((status = 200, description = "OpenAPI 3.1", body = Object, content_type = "application/json"))
)]
#[get("/openapi.json")]
pub(crate) async fn served(document: web::Data<Served>) -> HttpResponse {
    HttpResponse::Ok().content_type(ContentType::json()).body(document.0.clone())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn null_is_taken_out_of_either_spelling() {
        let cases = [
            (json!({"type": ["integer", "null"], "minimum": 0}), json!({"type": "integer", "minimum": 0})),
            (json!({"oneOf": [{"$ref": "#/a"}, {"type": "null"}]}), json!({"$ref": "#/a"})),
            (json!({"$ref": "#/a"}), json!({"$ref": "#/a"})),
            (json!({"type": "string"}), json!({"type": "string"})),
        ];
        for (mut schema, expected) in cases {
            never_null(&mut schema);
            assert_eq!(schema, expected);
        }
    }
}
