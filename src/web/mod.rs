//! The plain page at `/`: one HTML file and two scripts, embedded in the binary.

use std::sync::LazyLock;

use actix_web::{
    HttpRequest, HttpResponse, guard,
    http::header::{self, EntityTag, Header as _, IfNoneMatch},
    web::{self, ServiceConfig},
};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use sha2::{Digest, Sha256};

const PAGE: &str = include_str!("index.html");
const SCRIPT: &str = include_str!("app.js");
const VOTES: &str = include_str!("votes.js");

/// Browsers keep a copy but ask each time whether it is still the right one: a new binary shows its own page at once.
const CACHE: &str = "no-cache";

/// Adds the page and its scripts.
pub fn configure(services: &mut ServiceConfig) {
    let read = || guard::Any(guard::Get()).or(guard::Head());
    services.service(web::resource("/").guard(read()).to(page));
    services.service(web::resource("/app.js").guard(read()).to(script));
    services.service(web::resource("/votes.js").guard(read()).to(votes));
}

/// An embedded file with what never changes about it.
struct Asset {
    body: &'static str,
    kind: &'static str,
    tag: EntityTag,
}

static PAGE_ASSET: LazyLock<Asset> = LazyLock::new(|| Asset::new(PAGE, "text/html; charset=utf-8"));
static SCRIPT_ASSET: LazyLock<Asset> = LazyLock::new(|| Asset::new(SCRIPT, "text/javascript; charset=utf-8"));

static VOTES_ASSET: LazyLock<Asset> = LazyLock::new(|| Asset::new(VOTES, "text/javascript; charset=utf-8"));

/// Nothing but the page's own scripts, its style by hash, and pictures of this server.
static POLICY: LazyLock<String> = LazyLock::new(|| {
    format!(
        "default-src 'none'; script-src 'self'; style-src 'sha256-{}'; img-src 'self' data:; connect-src 'self'; \
         base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
        STANDARD.encode(Sha256::digest(style(PAGE)))
    )
});

async fn page(request: HttpRequest) -> HttpResponse {
    PAGE_ASSET.answer(&request)
}

async fn script(request: HttpRequest) -> HttpResponse {
    SCRIPT_ASSET.answer(&request)
}

async fn votes(request: HttpRequest) -> HttpResponse {
    VOTES_ASSET.answer(&request)
}

impl Asset {
    fn new(body: &'static str, kind: &'static str) -> Self {
        Self { body, kind, tag: EntityTag::new_strong(STANDARD.encode(Sha256::digest(body))) }
    }

    fn answer(&self, request: &HttpRequest) -> HttpResponse {
        let mut response = if self.is_known_to(request) { HttpResponse::NotModified() } else { HttpResponse::Ok() };
        response
            .insert_header(header::ETag(self.tag.clone()))
            .insert_header((header::CACHE_CONTROL, CACHE))
            .insert_header((header::CONTENT_SECURITY_POLICY, POLICY.as_str()))
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
        for path in ["/", "/app.js", "/votes.js"] {
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
        let answer = get("/", None).await;
        let policy = text(&answer, header::CONTENT_SECURITY_POLICY);
        assert!(policy.starts_with("default-src 'none'; script-src 'self';"), "{policy}");
        assert!(!policy.contains("unsafe"), "{policy}");
    }

    #[test]
    fn the_page_names_nothing_outside_this_server_and_has_no_inline_script() {
        assert!(style(PAGE).contains("prefers-color-scheme: dark"));
        assert_eq!(PAGE.matches("<script").count(), 1);
        assert!(PAGE.contains(r#"<script type="module" src="/app.js"></script>"#));
        assert!(!PAGE.contains(" style=") && !PAGE.contains(" onclick="));
        let foreign = PAGE.replace("http://www.w3.org/2000/svg", "");
        assert!(
            !foreign.contains("http://") && !foreign.contains("https://") && ![SCRIPT, VOTES].concat().contains("://")
        );
    }
}
