use std::time::Duration;

use base64::{Engine as _, prelude::BASE64_STANDARD};
use reqwest::Method;
use serde_json::json;

use crate::harness::{TestApp, error, events, quick, read_all, with};

fn decoded(image: &serde_json::Value) -> Vec<u8> {
    BASE64_STANDARD.decode(image["b64_json"].as_str().expect("a picture")).expect("base64")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_picture_comes_back_as_a_png_of_the_packs_size() {
    let app = TestApp::start().await;
    let answer = app.generate(with(json!({"n": 2, "quality": "hd"}))).await;
    let data = answer["data"].as_array().expect("a list");
    assert_eq!(data.len(), 2);
    for (i, image) in data.iter().enumerate() {
        let bytes = decoded(image);
        assert_eq!(image::guess_format(&bytes).expect("a format"), image::ImageFormat::Png);
        let picture = image::load_from_memory(&bytes).expect("a picture");
        assert_eq!((picture.width(), picture.height()), (64, 64));
        assert_eq!(image["seed"], 7 + i as u64);
        assert!(image["reward"].is_null() && image["feedback_token"].is_string());
    }
    assert!(answer["model_version"].as_str().expect("a version").starts_with("miniature@"));
    assert_eq!(answer["warnings"], json!(["quality has no effect here"]));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_seed_gives_the_same_picture() {
    let app = TestApp::start().await;
    let [one, two, other] = [quick(), quick(), with(json!({"seed": 8}))];
    let (one, two, other) = tokio::join!(app.generate(one), app.generate(two), app.generate(other));
    assert_eq!(decoded(&one["data"][0]), decoded(&two["data"][0]));
    assert_ne!(decoded(&one["data"][0]), decoded(&other["data"][0]));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_picture_by_address_is_there_for_whoever_has_it_and_never_changes() {
    let app = TestApp::start().await;
    let answer = app.generate(with(json!({"response_format": "url", "output_format": "webp", "size": "32x64"}))).await;
    assert!(answer["data"][0]["b64_json"].is_null());
    let url = answer["data"][0]["url"].as_str().expect("an address");
    let path = url.strip_prefix(&format!("http://{}", app.address)).expect("this server's");
    let file = app.get(path).await;
    let header = |name: &str| file.headers().get(name).expect(name).to_str().expect("text").to_owned();
    assert_eq!((header("content-type").as_str(), header("x-content-type-options").as_str()), ("image/webp", "nosniff"));
    assert!(header("cache-control").contains("immutable"));
    let tag = header("etag");
    let picture = image::load_from_memory(&file.bytes().await.expect("bytes")).expect("a picture");
    assert_eq!((picture.width(), picture.height()), (32, 64));
    let again = app.ask(Method::GET, path).header("if-none-match", tag).send().await.expect("an answer");
    assert_eq!(again.status(), 304);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_drawn_is_refused_with_what_can() {
    let app = TestApp::start().await;
    let cases = [
        (json!({"colour": "blue"}), 400, "unknown_field", "colour"),
        (json!({"best_of": 4}), 400, "unknown_field", "best_of"),
        (json!({"size": "1024x1024"}), 400, "size_not_supported", "size"),
        (json!({"n": 0}), 400, "invalid_value", "n"),
        (json!({"num_inference_steps": 151}), 400, "invalid_value", "num_inference_steps"),
        (json!({"model": "dall-e-3"}), 404, "model_not_found", "model"),
    ];
    for (fields, status, code, param) in cases {
        let (found, error) = error(app.post("/v1/images/generations", with(fields.clone())).await).await;
        assert_eq!(
            (found, error["code"].as_str(), error["param"].as_str()),
            (status, Some(code), Some(param)),
            "{fields}"
        );
        assert_eq!(error["type"], "invalid_request_error");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_sends_previews_and_then_the_picture() {
    let app = TestApp::start().await;
    let body = with(json!({"stream": true, "partial_images": 2, "num_inference_steps": 6}));
    let answer = app.post("/v1/images/generations", body).await;
    assert_eq!(answer.headers()["content-type"], "text/event-stream");
    let events = events(&answer.text().await.expect("text"));
    let names: Vec<&str> = events.iter().map(|(name, _)| name.as_str()).collect();
    let (partial, completed) = ("image_generation.partial_image", "image_generation.completed");
    assert_eq!(names, [partial, partial, completed]);
    for (i, (name, data)) in events.iter().enumerate() {
        assert_eq!(data["type"], *name);
        assert!(image::load_from_memory(&decoded(data)).is_ok());
        if name == partial {
            assert_eq!(data["partial_image_index"], i);
        }
    }
    let whole = app.generate(with(json!({"num_inference_steps": 6}))).await;
    assert_eq!(decoded(&events[2].1), decoded(&whole["data"][0]));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_leaves_takes_its_job_with_it() {
    let app = TestApp::with(&["--limits-max-steps", "900"]).await;
    let connection = app.raw_generation("", &with(json!({"num_inference_steps": 900}))).await;
    app.until("plaudit_requests_running", 1.0).await;
    drop(connection);
    app.until("plaudit_cancelled_total{cause=\"disconnect\"}", 1.0).await;
    app.until("plaudit_requests_total{route=\"/v1/images/generations\",status=\"499\"}", 1.0).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reader_of_a_stream_that_leaves_takes_its_job_with_it() {
    let app = TestApp::with(&["--limits-max-steps", "900"]).await;
    let connection = app.raw_generation("", &with(json!({"num_inference_steps": 900, "stream": true}))).await;
    app.until("plaudit_requests_running", 1.0).await;
    drop(connection);
    app.until("plaudit_cancelled_total{cause=\"disconnect\"}", 1.0).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_kept_picture_is_found_again_by_its_idempotency_key() {
    let app = TestApp::start().await;
    let body = with(json!({"keep": true, "num_inference_steps": 30}));
    let headers = "Authorization: Bearer me\r\nIdempotency-Key: once\r\n";
    let connection = app.raw_generation(headers, &body).await;
    app.until("plaudit_requests_running", 1.0).await;
    drop(connection);
    let ask = |body: &serde_json::Value| {
        app.as_owner("me", Method::POST, "/v1/images/generations").header("Idempotency-Key", "once").json(body).send()
    };
    let answer = ask(&body).await.expect("an answer");
    assert_eq!(answer.status(), 200);
    let found: serde_json::Value = answer.json().await.expect("JSON");
    let jobs: serde_json::Value =
        app.as_owner("me", Method::GET, "/v1/jobs").send().await.expect("an answer").json().await.expect("JSON");
    assert_eq!(jobs["data"].as_array().expect("a list").len(), 1);
    assert_eq!(jobs["data"][0]["id"], found["id"]);
    assert!(!decoded(&found["data"][0]).is_empty());
    let (status, error) = error(ask(&with(json!({"seed": 99}))).await.expect("an answer")).await;
    assert_eq!((status, error["code"].as_str()), (422, Some("idempotency_mismatch")));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deadline_that_cannot_be_met_is_told_in_time() {
    let app = TestApp::with(&["--limits-max-steps", "900"]).await;
    let begun = std::time::Instant::now();
    let request = app.ask(Method::POST, "/v1/images/generations").header("X-Request-Timeout", "0.5");
    let answer = request.json(&with(json!({"num_inference_steps": 900}))).send().await.expect("an answer");
    let (status, error) = error(answer).await;
    assert_eq!((status, error["code"].as_str()), (504, Some("deadline_exceeded")));
    assert!(begun.elapsed() < Duration::from_secs(20));
}

#[tokio::test(flavor = "multi_thread")]
async fn many_requests_on_one_connection_are_answered_in_turn() {
    let app = TestApp::start().await;
    let body = quick().to_string();
    let one = |closing: &str| {
        format!(
            "POST /v1/images/generations HTTP/1.1\r\nHost: test\r\nContent-Type: application/json\r\n{closing}Content-Length: {}\r\n\r\n{body}",
            body.len()
        )
    };
    let answers = read_all(app.raw(&format!("{}{}", one(""), one("Connection: close\r\n"))).await).await;
    assert_eq!(answers.matches("HTTP/1.1 200 OK").count(), 2, "{answers}");
}
