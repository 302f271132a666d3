//! Keeps pages of other origins from changing anything in the name of whoever looks at them.
//!
//! That `Origin` and `Host` are the same is not enough: a foreign page can have its own name point at this machine (DNS
//! rebinding), and then both are that name. Whoever connects straight to a server of this machine's own must therefore call
//! it by a name of this machine. A `Host` with another port than the one listened on came through a proxy: which names lead
//! there is its operator's affair, as it is for a server that others reach, unless `server.hosts` names them.

use std::net::{IpAddr, SocketAddr};

use actix_web::{
    ResponseError,
    body::{BoxBody, EitherBody, MessageBody},
    dev::{ServiceRequest, ServiceResponse},
    http::{Method, header, uri::Authority},
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
        let message =
            "this page may not call this server; --server-hosts names its own names, --cors-origins other pages";
        let refused = ApiError::new(Code::Forbidden, message).error_response();
        return Ok(request.into_response(refused).map_into_right_body());
    }
    Ok(next.call(request).await?.map_into_left_body())
}

fn is_foreign(request: &ServiceRequest) -> bool {
    let text = |name| request.headers().get(name).map(|value| value.to_str().unwrap_or(""));
    let Some(origin) = text(header::ORIGIN) else { return false };
    let Some(state) = request.app_data::<web::Data<State>>() else { return true };
    let settings = &state.settings;
    let own = origin.split_once("://").is_some_and(|(_, authority)| {
        Some(authority) == text(header::HOST)
            && is_our_name(authority, request.app_config().local_addr(), &settings.server.hosts)
    });
    !own && !settings.cors.origins.iter().any(|allowed| allowed == origin)
}

/// Whether a page under this name may be ours.
fn is_our_name(host: &str, local: SocketAddr, named: &[String]) -> bool {
    const HTTP: u16 = 80;
    let Ok(host) = host.parse::<Authority>() else { return false };
    let name = host.host().to_ascii_lowercase();
    let address = name.trim_matches(['[', ']']).parse::<IpAddr>().is_ok();
    if address || name == "localhost" || name.ends_with(".localhost") {
        return true;
    }
    if !named.is_empty() {
        return named.iter().any(|known| known.eq_ignore_ascii_case(&name));
    }
    !local.ip().is_loopback() || host.port_u16().unwrap_or(HTTP) != local.port()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_of_this_machines_own_is_called_by_its_names_or_through_a_proxy() {
        let (own, open) = ("127.0.0.1:8080", "0.0.0.0:8080");
        let cases = [
            (own, "", "127.0.0.1:8080", true),
            (own, "", "localhost:8080", true),
            (own, "", "plaudit.localhost:8080", true),
            (own, "", "[::1]:8080", true),
            (own, "", "evil.example:8080", false),
            (own, "", "localhost.evil.example:8080", false),
            (own, "", "draw.example", true),
            ("127.0.0.1:80", "", "evil.example", false),
            (own, "draw.example", "draw.example", true),
            (own, "draw.example", "DRAW.example:8080", true),
            (own, "draw.example", "evil.example", false),
            (own, "draw.example", "localhost:8080", true),
            (open, "", "gpu-box:8080", true),
            (open, "gpu-box", "gpu-box:8080", true),
            (open, "gpu-box", "evil.example:8080", false),
            (own, "", "", false),
        ];
        for (local, named, host, ours) in cases {
            let named: Vec<String> = named.split(',').filter(|name| !name.is_empty()).map(str::to_owned).collect();
            let local = local.parse().expect("an address");
            assert_eq!(is_our_name(host, local, &named), ours, "{host} at {local} with {named:?}");
        }
    }
}
