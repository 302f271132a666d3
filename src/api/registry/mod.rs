//! `/v1/admin/versions` and what is known of them: what can be served, what is, what was, and why.

mod promote;
mod schema;
mod trials;
mod versions;

use utoipa_actix_web::service_config::ServiceConfig;

/// Every route of versions.
pub(super) fn routes(config: &mut ServiceConfig<'_>) {
    config
        .service(versions::list)
        .service(versions::view)
        .service(promote::promote)
        .service(promote::rollback)
        .service(versions::promotions)
        .service(versions::served)
        .service(versions::swaps)
        .service(trials::begin)
        .service(trials::end)
        .service(trials::list);
}
