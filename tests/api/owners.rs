use plaudit::{domain::Role, store::Store};
use reqwest::Method;
use serde_json::{Value, json};

use crate::harness::{TestApp, error, quick};

async fn key(data: &std::path::Path, name: &str) -> (plaudit::store::KeyRecord, String) {
    let store = Store::attach(data).await.expect("a store");
    let made = store.create_key(name, Role::Client).await.expect("a key");
    store.close().await;
    made
}

#[tokio::test(flavor = "multi_thread")]
async fn two_owners_do_not_see_each_others_jobs_or_pictures() {
    let app = TestApp::start().await;
    let answer = app.as_owner("alice", Method::POST, "/v1/jobs").json(&quick()).send().await.expect("an answer");
    let job: Value = answer.json().await.expect("JSON");
    let id = job["id"].as_str().expect("a name");
    let ended = app.ended("alice", id).await;
    let image = ended["result"]["data"][0]["image_id"].as_str().expect("a name");
    let vote = format!("{{\"image_id\":\"{image}\",\"rating\":\"up\"}}");
    let shown = format!("{{\"image_id\":\"{image}\"}}");
    for (path, body, expected) in [
        ("/v1/feedback", vote.clone(), 404),
        ("/v1/feedback", format!("{{\"items\":[{vote}]}}"), 404),
        ("/v1/impressions", shown, 404),
        ("/v1/admin/gold", vote, 403),
    ] {
        let request = app.as_owner("bob", Method::POST, path).header("content-type", "application/json").body(body);
        let (status, error) = error(request.send().await.expect("an answer")).await;
        assert_eq!(status, expected, "{path}: {error}");
    }
    let mine = app.as_owner("alice", Method::POST, "/v1/feedback").json(&json!({"image_id": image, "rating": "up"}));
    assert_eq!(mine.send().await.expect("an answer").status(), 201);
    let next = app.as_owner("bob", Method::POST, "/v1/rating/next").json(&json!({})).send().await.expect("an answer");
    assert_eq!(next.status(), 204, "nothing of hers is his to rate");
    let path = format!("/v1/feedback?image_id={image}");
    let list = app.as_owner("bob", Method::GET, &path).send().await.expect("an answer");
    assert_eq!(list.json::<Value>().await.expect("JSON")["data"], json!([]));
    let gold = app.as_owner("bob", Method::GET, "/v1/admin/gold").send().await.expect("an answer");
    assert_eq!(gold.status(), 403);
    let foreign = [
        (Method::GET, format!("/v1/jobs/{id}")),
        (Method::DELETE, format!("/v1/jobs/{id}")),
        (Method::POST, format!("/v1/jobs/{id}/cancel")),
        (Method::GET, format!("/v1/jobs/{id}/events")),
        (Method::GET, format!("/v1/images/{image}/metadata")),
    ];
    for (method, path) in foreign {
        let (status, error) = error(app.as_owner("bob", method, &path).send().await.expect("an answer")).await;
        assert_eq!((status, error["code"].as_str()), (404, Some("not_found")), "{path}");
    }
    for path in ["/v1/jobs", "/v1/images", "/v1/feedback"] {
        let answer = app.as_owner("bob", Method::GET, path).send().await.expect("an answer");
        let list: Value = answer.json().await.expect("JSON");
        assert_eq!(list["data"], serde_json::json!([]), "{path}");
    }
    assert_eq!(app.ended("alice", id).await["state"], "completed");
}

#[tokio::test(flavor = "multi_thread")]
async fn once_there_is_a_key_only_keys_are_served() {
    let data = tempfile::tempdir().expect("a folder");
    let (record, secret) = key(data.path(), "app").await;
    let app = TestApp::over(data, &[]).await;
    let answer = app.post("/v1/images/generations", quick()).await;
    assert_eq!(answer.headers()["www-authenticate"], "Bearer");
    let (status, code) = error(answer).await;
    assert_eq!((status, code["code"].as_str()), (401, Some("invalid_api_key")));
    let answer = app.as_owner("plaudit_wrong", Method::GET, "/v1/jobs").send().await.expect("an answer");
    assert_eq!(error(answer).await.0, 401);
    let answer = app.as_owner(&secret, Method::GET, "/v1/jobs").send().await.expect("an answer");
    assert_eq!(answer.status(), 200);
    let store = Store::attach(app.data.path()).await.expect("a store");
    assert!(store.revoke_key(record.id).await.expect("revoked"));
    // Whoever held it is a stranger at once; that no key is left opens the server a second later at most.
    let answer = app.as_owner(&secret, Method::GET, "/v1/jobs").send().await.expect("an answer");
    let owner_sees: Option<Value> = if answer.status() == 200 { answer.json().await.ok() } else { None };
    assert!(owner_sees.is_none_or(|list| list["data"] == serde_json::json!([])));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_browser_is_known_again_by_its_cookie() {
    let app = TestApp::start().await;
    let first = app.post("/v1/jobs", quick()).await;
    let cookie = first.headers()["set-cookie"].to_str().expect("text").to_owned();
    assert!(cookie.contains("HttpOnly") && cookie.contains("SameSite=Lax"), "{cookie}");
    let pair = cookie.split(';').next().expect("a pair").to_owned();
    let list = |cookie: String| app.ask(Method::GET, "/v1/jobs").header("cookie", cookie).send();
    let again = list(pair.clone()).await.expect("an answer");
    assert!(again.headers().get("set-cookie").is_none());
    let jobs: Value = again.json().await.expect("JSON");
    assert_eq!(jobs["data"].as_array().expect("a list").len(), 1);
    let forged = list(format!("{}AAAA", &pair[..pair.len() - 4])).await.expect("an answer");
    let jobs: Value = forged.json().await.expect("JSON");
    assert_eq!(jobs["data"], serde_json::json!([]));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_address_that_others_reach_needs_a_key_or_a_word() {
    let folder = tempfile::tempdir().expect("a folder");
    let data = folder.path().to_str().expect("a path");
    let flags = ["--listen", "0.0.0.0:0", "--data", data, "--device", "cpu"];
    let settings = plaudit::settings::Settings::from_flags(flags).expect("settings");
    let refused = plaudit::app::Application::start(settings, &crate::harness::pack()).await.expect_err("refused");
    let message = refused.to_string();
    assert!(message.contains("plaudit keys create") && message.contains("--allow-anonymous"), "{message}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_address_begins_a_few_sessions_and_those_that_there_are_go_on() {
    let app = TestApp::with(&["--limits-sessions", "2"]).await;
    let page = app.get("/").await;
    let cookie = page.headers()["set-cookie"].to_str().expect("text").split(';').next().expect("a pair").to_owned();
    assert_eq!(app.get("/v1/jobs").await.status(), 200);
    let answer = app.post("/v1/images/generations", quick()).await;
    let wait: u64 = answer.headers()["retry-after"].to_str().expect("text").parse().expect("whole seconds");
    assert!((1..=30).contains(&wait), "{wait}");
    assert!(answer.headers().get("set-cookie").is_none());
    let (status, error) = error(answer).await;
    assert_eq!((status, error["code"].as_str()), (429, Some("rate_limited")));
    assert_eq!(app.metric("plaudit_rejected_total{reason=\"rate_limited\"}").await, 1.0);
    let page = app.get("/").await;
    assert_eq!((page.status().as_u16(), page.headers().get("set-cookie")), (200, None));
    let known = app.ask(Method::GET, "/v1/jobs").header("cookie", cookie).send().await.expect("an answer");
    assert_eq!(known.status(), 200);
    let named = app.as_owner("me", Method::GET, "/v1/jobs").send().await.expect("an answer");
    assert_eq!(named.status(), 200);
}
