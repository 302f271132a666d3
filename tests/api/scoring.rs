use std::io::Cursor;

use base64::{Engine as _, prelude::BASE64_STANDARD};
use image::{DynamicImage, ImageFormat, Rgb, RgbImage};
use reqwest::{
    Method,
    multipart::{Form, Part},
};
use serde_json::{Value, json};

use crate::harness::{TestApp, error, quick, with};

/// Features of the bundled pack's CLIP.
const WIDTH: usize = 128;

fn file(width: u32, height: u32, shade: u8) -> Vec<u8> {
    let mut bytes = Cursor::new(Vec::new());
    let picture = RgbImage::from_fn(width, height, |x, y| Rgb([x as u8, y as u8, shade]));
    DynamicImage::ImageRgb8(picture).write_to(&mut bytes, ImageFormat::Png).expect("a file");
    bytes.into_inner()
}

fn coded(shade: u8) -> String {
    BASE64_STANDARD.encode(file(64, 48, shade))
}

fn uri(shade: u8) -> String {
    format!("data:image/png;base64,{}", coded(shade))
}

async fn ask(app: &TestApp, path: &str, body: Value) -> Value {
    let answer = app.post(path, body).await;
    assert_eq!(answer.status(), 200, "{}", answer.text().await.unwrap_or_default());
    answer.json().await.expect("JSON")
}

fn number(value: &Value) -> f64 {
    value.as_f64().unwrap_or_else(|| panic!("{value} is no number"))
}

#[tokio::test(flavor = "multi_thread")]
async fn every_picture_is_scored_for_every_prompt_alike_as_json_and_as_a_form() {
    let app = TestApp::start().await;
    let body =
        json!({"prompts": ["two blue stars", "noise"], "images": [{"b64_json": coded(0)}, {"b64_json": coded(200)}]});
    let scores = ask(&app, "/v1/score", body).await;
    let data = scores["data"].as_array().expect("a list");
    let places: Vec<_> = data.iter().map(|row| (number(&row["prompt_index"]), number(&row["image_index"]))).collect();
    assert_eq!(places, [(0.0, 0.0), (0.0, 1.0), (1.0, 0.0), (1.0, 1.0)]);
    for row in data {
        assert!((-1.0..=1.0).contains(&number(&row["clip_score"])), "{row}");
        let contrasted = number(&row["prompt_index"]) == 0.0;
        assert_eq!(row["normalized_score"].is_number(), contrasted, "{row}");
        assert_eq!(row["reward"].is_number(), scores["reward_version"].is_string(), "{row}");
    }
    let part = |shade| Part::bytes(file(64, 48, shade)).file_name("a.png");
    let form = Form::new().text("prompts", "two blue stars").text("prompts", "noise");
    let form = form.part("images", part(0)).part("images", part(200));
    let answer = app.ask(Method::POST, "/v1/score").multipart(form).send().await.expect("an answer");
    let again: Value = answer.json().await.expect("JSON");
    assert_eq!(again["data"], scores["data"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_picture_that_was_drawn_here_is_scored_by_its_name_for_its_owner_only() {
    let app = TestApp::start().await;
    let drawn = app
        .as_owner("alice", Method::POST, "/v1/images/generations")
        .json(&with(json!({"response_format": "b64_json"})));
    let drawn: Value = drawn.send().await.expect("an answer").json().await.expect("JSON");
    let (id, bytes) = (drawn["data"][0]["image_id"].clone(), drawn["data"][0]["b64_json"].clone());
    let body = json!({"prompts": [quick()["prompt"]], "images": [{"image_id": id}, {"b64_json": bytes}]});
    let scores = app.as_owner("alice", Method::POST, "/v1/score").json(&body).send().await.expect("an answer");
    let scores: Value = scores.json().await.expect("JSON");
    assert_eq!(scores["data"][0]["clip_score"], scores["data"][1]["clip_score"], "{scores}");
    for (path, body) in [
        ("/v1/score", body),
        ("/rerank", json!({"query": "a fish", "texts": [id]})),
        ("/v1/embeddings", json!({"input": [{"image_id": id}]})),
    ] {
        let answer = app.as_owner("bob", Method::POST, path).json(&body).send().await.expect("an answer");
        let (status, error) = error(answer).await;
        assert_eq!((status, error["code"].as_str()), (404, Some("not_found")), "{path}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn pictures_are_put_in_order_as_text_embeddings_inference_answers() {
    let app = TestApp::start().await;
    let texts: Vec<String> = [0, 90, 255].map(uri).to_vec();
    let body = json!({"query": "two blue stars", "texts": texts, "return_text": true, "raw_scores": false});
    let ranked = ask(&app, "/rerank", body).await;
    let ranked = ranked.as_array().expect("a list");
    assert!(ranked.windows(2).all(|pair| number(&pair[0]["score"]) >= number(&pair[1]["score"])), "{ranked:?}");
    let mut places: Vec<_> = ranked.iter().map(|row| number(&row["index"]) as usize).collect();
    assert!(ranked.iter().all(|row| row["text"] == json!(texts[number(&row["index"]) as usize])));
    places.sort_unstable();
    assert_eq!(places, [0, 1, 2]);
}

#[tokio::test(flavor = "multi_thread")]
async fn texts_and_pictures_have_points_in_one_space_in_either_coding() {
    let app = TestApp::start().await;
    let input = json!(["two blue stars", uri(90), {"b64_json": coded(90)}]);
    let floats = ask(&app, "/v1/embeddings", json!({"input": input, "model": "miniature", "dimensions": WIDTH})).await;
    let coded = ask(&app, "/v1/embeddings", json!({"input": input, "encoding_format": "base64", "user": "me"})).await;
    for (index, entry) in floats["data"].as_array().expect("a list").iter().enumerate() {
        let point: Vec<f64> = entry["embedding"].as_array().expect("numbers").iter().map(number).collect();
        let length = point.iter().map(|x| x * x).sum::<f64>().sqrt();
        assert!(point.len() == WIDTH && (length - 1.0).abs() < 1e-5, "{index}: {length}");
        let bytes = BASE64_STANDARD.decode(coded["data"][index]["embedding"].as_str().expect("text")).expect("base64");
        let same: Vec<f64> =
            bytes.chunks_exact(4).map(|four| f64::from(f32::from_le_bytes(four.try_into().expect("four")))).collect();
        assert!(point.iter().zip(&same).all(|(a, b)| (a - b).abs() < 1e-6), "{index}");
    }
    assert_eq!(floats["data"][1]["embedding"], floats["data"][2]["embedding"]);
    let one = ask(&app, "/v1/embeddings", json!({"input": "two blue stars"})).await;
    assert_eq!(one["data"].as_array().map(Vec::len), Some(1));
}

#[tokio::test(flavor = "multi_thread")]
async fn requests_that_cannot_be_scored_say_why() {
    let app =
        TestApp::with(&["--scoring-max-images", "2", "--scoring-max-texts", "2", "--server-max-upload-side", "100"])
            .await;
    let picture = || json!([{"b64_json": coded(1)}]);
    let url = "http://127.0.0.1:1/a.png";
    let big = BASE64_STANDARD.encode(file(101, 8, 0));
    let cases = [
        ("/v1/score", json!({"images": picture()}), "invalid_value", "prompts"),
        ("/v1/score", json!({"prompts": [], "images": picture()}), "invalid_value", "prompts"),
        ("/v1/score", json!({"prompts": [7], "images": picture()}), "invalid_value", "prompts"),
        ("/v1/score", json!({"prompts": "a fish", "images": picture()}), "invalid_value", "prompts"),
        ("/v1/score", json!({"prompts": ["a", "b", "c"], "images": picture()}), "invalid_value", "prompts"),
        ("/v1/score", json!({"prompts": ["x".repeat(32_001)], "images": picture()}), "invalid_value", "prompts"),
        ("/v1/score", json!({"prompts": ["a"]}), "invalid_value", "images"),
        ("/v1/score", json!({"prompts": ["a"], "images": [{"b64_json": "a"}, {}, {}]}), "invalid_value", "images"),
        ("/v1/score", json!({"prompts": ["a"], "images": [{"url": url}]}), "invalid_value", "images"),
        ("/v1/score", json!({"prompts": ["a"], "images": [{"b64_json": url}]}), "invalid_value", "images"),
        ("/v1/score", json!({"prompts": ["a"], "images": [{"b64_json": uri(1)}]}), "invalid_value", "images"),
        ("/v1/score", json!({"prompts": ["a"], "images": [{"b64_json": "aGVsbG8="}]}), "invalid_value", "images"),
        ("/v1/score", json!({"prompts": ["a"], "images": [{"b64_json": big}]}), "too_large", "images"),
        ("/v1/score", json!({"prompts": ["a"], "images": [{"image_id": "img_1"}]}), "invalid_value", "images"),
        ("/v1/score", json!({"prompts": ["a"], "images": picture(), "n": 1}), "unknown_field", "n"),
        ("/rerank", json!({"texts": [uri(1)]}), "invalid_value", "query"),
        ("/rerank", json!({"query": "a", "texts": [url]}), "invalid_value", "texts"),
        ("/rerank", json!({"query": "a", "texts": [uri(1), uri(1), uri(1)]}), "invalid_value", "texts"),
        ("/v1/embeddings", json!({"input": [[1, 2]]}), "invalid_value", "input"),
        ("/v1/embeddings", json!({"input": []}), "invalid_value", "input"),
        ("/v1/embeddings", json!({"input": "a", "dimensions": 64}), "invalid_value", "dimensions"),
        ("/v1/embeddings", json!({"input": "a", "model": "other"}), "model_not_found", "model"),
        ("/v1/embeddings", json!({"input": "a", "encoding_format": "int8"}), "invalid_value", "encoding_format"),
    ];
    let mut failures = Vec::new();
    for (path, body, code, param) in cases {
        let shown: String = body.to_string().chars().take(90).collect();
        let (_, error) = error(app.post(path, body).await).await;
        if (error["code"].as_str(), error["param"].as_str()) != (Some(code), Some(param)) {
            failures.push(format!("{path} {shown}: {error}"));
        }
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

#[tokio::test(flavor = "multi_thread")]
async fn addresses_are_never_fetched() {
    let app = TestApp::start().await;
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let url = format!("http://{}/a.png", listener.local_addr().expect("an address"));
    for (path, body) in [
        ("/v1/score", json!({"prompts": ["a"], "images": [{"b64_json": url}]})),
        ("/rerank", json!({"query": "a", "texts": [url]})),
        ("/v1/embeddings", json!({"input": [{"b64_json": url}]})),
    ] {
        let (status, error) = error(app.post(path, body).await).await;
        assert_eq!(status, 400, "{path}");
        assert!(error["message"].as_str().expect("text").contains("never fetched"), "{error}");
    }
    // A text is a text, whatever it looks like.
    ask(&app, "/v1/embeddings", json!({"input": url})).await;
    let nobody = tokio::time::timeout(std::time::Duration::from_millis(200), listener.accept()).await;
    assert!(nobody.is_err(), "somebody asked for the picture");
}

#[tokio::test(flavor = "multi_thread")]
async fn scores_are_counted() {
    let app = TestApp::start().await;
    ask(&app, "/v1/score", json!({"prompts": ["a fish"], "images": [{"b64_json": coded(1)}, {"b64_json": coded(2)}]}))
        .await;
    assert_eq!(app.metric("plaudit_scoring_rows_sum").await, 2.0);
    assert_eq!(app.metric("plaudit_scoring_waiting").await, 0.0);
}

#[tokio::test(flavor = "multi_thread")]
async fn scoring_counts_against_the_callers_rate() {
    let app = TestApp::with(&["--limits-rate", "1", "--limits-burst", "2"]).await;
    let body = json!({"input": "a star"});
    let mut answers = Vec::new();
    for _ in 0..3 {
        let answer =
            app.as_owner("greedy", Method::POST, "/v1/embeddings").json(&body).send().await.expect("an answer");
        answers.push((answer.status().as_u16(), answer.headers().contains_key("retry-after")));
    }
    assert_eq!(answers, [(200, false), (200, false), (429, true)]);
}
