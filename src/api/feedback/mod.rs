//! Votes: taking them, listing them, asking for the next picture, telling what was shown.

mod cast;
mod gold;
mod item;
mod list;
mod next;
mod schema;
mod voter;

use utoipa_actix_web::service_config::ServiceConfig;

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
