//! The HTTP API: a file a resource, one error table, one way from a request to a job.

mod answer;
mod body;
mod caller;
mod compat;
mod document;
mod error;
mod fallback;
mod feedback;
mod fields;
mod generation;
mod health;
mod images;
mod jobs;
mod models;
mod observe;
mod origin;
mod paging;
mod picture;
mod rate;
mod refusals;
mod registry;
mod scoring;
mod session;
mod sse;
mod submit;
mod unread;
mod uploads;

use actix_web::{
    App,
    body::MessageBody,
    dev::{ServiceFactory, ServiceRequest, ServiceResponse},
    middleware::{Condition, from_fn},
    web,
};
use serde_json::Value;
use utoipa_actix_web::{AppExt, service_config::ServiceConfig};
use utoipa_swagger_ui::{Config, SwaggerUi};

pub use caller::{Caller, Keys};
pub use error::{ApiError, Code};
pub(crate) use generation::Rules;
pub use rate::Rates;
pub(crate) use uploads::Decoders;

use crate::app::State;

/// Every documented route. The compatibility routes join here.
fn routes(config: &mut ServiceConfig<'_>) {
    config
        .service(images::generations::generations)
        .service(images::edits::edits)
        .service(images::stored::list)
        .service(images::stored::file)
        .service(images::stored::metadata)
        .service(jobs::create)
        .service(jobs::list)
        .service(jobs::status)
        .service(jobs::cancel)
        .service(jobs::delete)
        .service(jobs::events)
        .service(scoring::score::score)
        .service(scoring::rerank::rerank)
        .service(scoring::embeddings::embeddings)
        .configure(feedback::routes)
        .configure(registry::routes)
        .service(models::list)
        .service(models::view)
        .service(health::livez)
        .service(health::readyz)
        .service(health::v2_live)
        .service(health::v2_ready)
        .service(health::info)
        .service(health::metrics)
        .service(document::served)
        .configure(compat::routes);
}

/// The OpenAPI document of a server with these rules.
///
/// # Errors
/// Never in practice: the document is made of maps, lists and texts.
pub(crate) fn openapi(rules: &Rules) -> serde_json::Result<Value> {
    let app = App::new().into_utoipa_app().openapi(document::base()).configure(routes);
    let (_, document) = app.split_for_parts();
    document::bounded(&document, rules)
}

/// The whole application over a state. `document` is [`openapi`]'s.
pub(crate) fn application(
    state: web::Data<State>,
    document: &Value,
) -> App<
    impl ServiceFactory<
        ServiceRequest,
        Config = (),
        Response = ServiceResponse<impl MessageBody + use<>>,
        Error = actix_web::Error,
        InitError = (),
    > + use<>,
> {
    let cors = cors(&state.settings.cors.origins);
    let any_origin = !state.settings.cors.origins.is_empty();
    App::new()
        .app_data(state)
        .app_data(web::Data::new(fallback::Paths::of(document)))
        .app_data(web::Data::new(document::Served::new(document)))
        .configure(fallback::configure)
        .into_utoipa_app()
        .configure(routes)
        .into_app()
        .configure(crate::web::configure)
        .service(web::redirect("/docs", "/docs/"))
        .service(SwaggerUi::new("/docs/{_:.*}").config(Config::from("/openapi.json")))
        .default_service(web::to(fallback::unmatched))
        // The last one sees a request first.
        .wrap(from_fn(unread::hold))
        .wrap(from_fn(session::keep))
        .wrap(from_fn(origin::guard))
        .wrap(Condition::new(any_origin, cors))
        .wrap(from_fn(fallback::envelope))
        .wrap(from_fn(observe::observe))
}

/// What answers while the pack is loaded.
pub(crate) fn starting() -> App<
    impl ServiceFactory<
        ServiceRequest,
        Config = (),
        Response = ServiceResponse<impl MessageBody + use<>>,
        Error = actix_web::Error,
        InitError = (),
    > + use<>,
> {
    App::new()
        .service(health::livez)
        .service(health::v2_live)
        .default_service(web::to(health::starting))
        .wrap(from_fn(observe::observe))
}

fn cors(origins: &[String]) -> actix_cors::Cors {
    /// Seconds that a browser remembers what it may do.
    const REMEMBERED: usize = 3600;
    let cors = actix_cors::Cors::default().allow_any_method().allow_any_header().supports_credentials();
    let cors = cors
        .expose_headers([
            "x-request-id",
            "x-plaudit-job-id",
            "x-plaudit-image-id",
            "x-plaudit-feedback-token",
            "retry-after",
        ])
        .max_age(REMEMBERED);
    origins.iter().fold(cors, |cors, origin| cors.allowed_origin(origin))
}
