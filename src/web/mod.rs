//! The plain pages at `/` and `/versions`: HTML files and their scripts, embedded in the binary.

use std::sync::LazyLock;

use actix_web::{
    HttpRequest, HttpResponse, guard,
    http::header::{self, EntityTag, Header as _, IfNoneMatch},
    web::{self, ServiceConfig},
};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use sha2::{Digest, Sha256};

const PAGE: &str = "text/html; charset=utf-8";
const SCRIPT: &str = "text/javascript; charset=utf-8";

/// Path, type and content of each file.
const FILES: [(&str, &str, &str); 9] = [
    ("/", PAGE, include_str!("index.html")),
    ("/app.js", SCRIPT, include_str!("app.js")),
    ("/votes.js", SCRIPT, include_str!("votes.js")),
    ("/server.js", SCRIPT, include_str!("server.js")),
    ("/versions", PAGE, include_str!("versions.html")),
    ("/versions.js", SCRIPT, include_str!("versions.js")),
    ("/versions-read.js", SCRIPT, include_str!("versions-read.js")),
    ("/versions-show.js", SCRIPT, include_str!("versions-show.js")),
    ("/versions-act.js", SCRIPT, include_str!("versions-act.js")),
];

/// Browsers keep a copy but ask each time whether it is still the right one: a new binary shows its own page at once.
const CACHE: &str = "no-cache";

/// Adds the pages and their scripts.
pub fn configure(services: &mut ServiceConfig) {
    let read = || guard::Any(guard::Get()).or(guard::Head());
    for asset in &*ASSETS {
        let answer = move |request: HttpRequest| async move { asset.answer(&request) };
        services.service(web::resource(asset.path).guard(read()).to(answer));
    }
}

/// An embedded file with what never changes about it.
struct Asset {
    path: &'static str,
    kind: &'static str,
    body: &'static str,
    tag: EntityTag,
    policy: String,
}

static ASSETS: LazyLock<Vec<Asset>> = LazyLock::new(|| FILES.into_iter().map(Asset::new).collect());

/// Nothing but the page's own scripts, its style by hash, and pictures of this server.
fn policy(page: &str) -> String {
    format!(
        "default-src 'none'; script-src 'self'; style-src 'sha256-{}'; img-src 'self' data:; connect-src 'self'; \
         base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
        STANDARD.encode(Sha256::digest(style(page)))
    )
}

impl Asset {
    fn new((path, kind, body): (&'static str, &'static str, &'static str)) -> Self {
        let tag = EntityTag::new_strong(STANDARD.encode(Sha256::digest(body)));
        Self { path, kind, body, tag, policy: policy(body) }
    }

    fn answer(&self, request: &HttpRequest) -> HttpResponse {
        let mut response = if self.is_known_to(request) { HttpResponse::NotModified() } else { HttpResponse::Ok() };
        response
            .insert_header(header::ETag(self.tag.clone()))
            .insert_header((header::CACHE_CONTROL, CACHE))
            .insert_header((header::CONTENT_SECURITY_POLICY, self.policy.as_str()))
            .insert_header((header::X_CONTENT_TYPE_OPTIONS, "nosniff"))
            .insert_header((header::REFERRER_POLICY, "no-referrer"))
            .insert_header((header::CONTENT_TYPE, self.kind));
        if self.is_known_to(request) { response.finish() } else { response.body(self.body) }
    }

    /// A proxy that compresses makes strong tags weak, so they are compared weakly.
    fn is_known_to(&self, request: &HttpRequest) -> bool {
        match IfNoneMatch::parse(request) {
            Ok(IfNoneMatch::Any) => true,
            Ok(IfNoneMatch::Items(tags)) => tags.iter().any(|tag| tag.weak_eq(&self.tag)),
            Err(_) => false,
        }
    }
}

/// What stands between `<style>` and `</style>`: browsers hash exactly that.
fn style(page: &str) -> &str {
    let after = page.split_once("<style>").map_or("", |(_, after)| after);
    after.split_once("</style>").map_or("", |(style, _)| style)
}

#[cfg(test)]
mod tests {
    use actix_web::{App, http::StatusCode, test as service};

    use super::*;

    async fn get(path: &str, known: Option<&str>) -> actix_web::dev::ServiceResponse {
        let app = service::init_service(App::new().configure(configure)).await;
        let mut request = service::TestRequest::get().uri(path);
        if let Some(tag) = known {
            request = request.insert_header((header::IF_NONE_MATCH, tag));
        }
        service::call_service(&app, request.to_request()).await
    }

    fn text(answer: &actix_web::dev::ServiceResponse, name: header::HeaderName) -> String {
        let value = answer.headers().get(name).expect("the header is there");
        value.to_str().expect("it is text").to_owned()
    }

    #[actix_web::test]
    async fn a_browser_that_has_the_page_is_not_sent_it_again() {
        for (path, ..) in FILES {
            let first = get(path, None).await;
            assert_eq!(first.status(), StatusCode::OK);
            let tag = text(&first, header::ETAG);
            assert!(tag.starts_with('"'), "{tag} is weak");
            assert_eq!(get(path, Some(&tag)).await.status(), StatusCode::NOT_MODIFIED);
            assert_eq!(get(path, Some("\"another\"")).await.status(), StatusCode::OK);
        }
    }

    #[actix_web::test]
    async fn the_policy_forbids_every_script_but_the_pages_own() {
        for (path, kind, body) in FILES {
            let policy = text(&get(path, None).await, header::CONTENT_SECURITY_POLICY);
            assert!(policy.starts_with("default-src 'none'; script-src 'self';"), "{path}: {policy}");
            assert!(!policy.contains("unsafe"), "{path}: {policy}");
            let own = format!("'sha256-{}'", STANDARD.encode(Sha256::digest(style(body))));
            assert!(kind != PAGE || policy.contains(&own), "{path}: {policy}");
        }
    }

    #[test]
    fn the_pages_name_nothing_outside_this_server_and_have_no_inline_script() {
        for (path, kind, body) in FILES {
            let foreign = body.replace("http://www.w3.org/2000/svg", "");
            assert!(!foreign.contains("://"), "{path}");
            if kind == PAGE {
                assert!(style(body).contains("prefers-color-scheme: dark"), "{path}");
                assert_eq!(body.matches("<script").count(), 1, "{path}");
                assert_eq!(body.matches(r#"<script type="module" src="/"#).count(), 1, "{path}");
                assert!(!body.contains(" style=") && !body.contains(" onclick="), "{path}");
            }
        }
    }
}
