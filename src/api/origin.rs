//! Keeps pages of other origins from changing anything in the name of whoever looks at them.

use actix_web::{
    ResponseError,
    body::{BoxBody, EitherBody, MessageBody},
    dev::{ServiceRequest, ServiceResponse},
    http::{Method, header},
    middleware::Next,
    web,
};

use super::{ApiError, Code};
use crate::app::State;

/// Refuses requests that change something and come from a page of another origin that CORS does not allow. Programs send no
/// `Origin`, browsers always do.
pub(super) async fn guard(
    request: ServiceRequest,
    next: Next<impl MessageBody>,
) -> Result<ServiceResponse<EitherBody<impl MessageBody, BoxBody>>, actix_web::Error> {
    let harmless = matches!(*request.method(), Method::GET | Method::HEAD | Method::OPTIONS);
    if !harmless && is_foreign(&request) {
        let message = "this page may not call this server; --cors-origins names those that may";
        let refused = ApiError::new(Code::Forbidden, message).error_response();
        return Ok(request.into_response(refused).map_into_right_body());
    }
    Ok(next.call(request).await?.map_into_left_body())
}

fn is_foreign(request: &ServiceRequest) -> bool {
    let text = |name| request.headers().get(name).map(|value| value.to_str().unwrap_or(""));
    let Some(origin) = text(header::ORIGIN) else { return false };
    let own = origin.split_once("://").is_some_and(|(_, authority)| Some(authority) == text(header::HOST));
    let state = request.app_data::<web::Data<State>>();
    let allowed = state.is_some_and(|state| state.settings.cors.origins.iter().any(|allowed| allowed == origin));
    !own && !allowed
}
