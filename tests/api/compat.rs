//! The imitated APIs: AUTOMATIC1111's and Hugging Face's.

use base64::{Engine as _, prelude::BASE64_STANDARD};
use reqwest::{Method, Response, StatusCode};
use serde_json::{Value, json};

use crate::harness::{PATIENCE, TestApp};

/// What a PNG file begins with.
const PNG: &[u8] = b"\x89PNG\r\n\x1a\n";
/// Enough to be interrupted in between.
const LONG: usize = 150;

/// As AUTOMATIC1111's clients do it: a user and a password, which name a session where there are no keys.
async fn post(app: &TestApp, path: &str, body: &Value) -> anyhow::Result<Response> {
    Ok(app.ask(Method::POST, path).basic_auth("me", Some("any")).json(body).send().await?)
}

async fn get(app: &TestApp, path: &str) -> anyhow::Result<Value> {
    let answer = app.ask(Method::GET, path).basic_auth("me", Some("any")).send().await?;
    Ok(answer.error_for_status()?.json().await?)
}

#[tokio::test(flavor = "multi_thread")]
async fn open_webui_gets_its_pictures() -> anyhow::Result<()> {
    let app = TestApp::start().await;
    let models = get(&app, "/sdapi/v1/sd-models").await?;
    let mut options = get(&app, "/sdapi/v1/options").await?;
    assert_eq!(options["sd_model_checkpoint"], models[0]["title"]);
    options["sd_model_checkpoint"] = models[0]["title"].clone();
    assert_eq!(post(&app, "/sdapi/v1/options", &options).await?.status(), StatusCode::OK);

    let body = json!({"prompt": "a red star", "batch_size": 2, "width": 512, "height": 512, "steps": 3, "seed": 7});
    let answer = post(&app, "/sdapi/v1/txt2img", &body).await?;
    assert_eq!(answer.status(), StatusCode::OK);
    let answer: Value = answer.json().await?;
    let images = answer["images"].as_array().expect("a list");
    assert_eq!(images.len(), 2);
    for image in images {
        let file = BASE64_STANDARD.decode(image.as_str().expect("base64"))?;
        assert!(file.starts_with(PNG));
        assert_eq!(image::load_from_memory(&file)?.width(), 64, "512 is not the pack's: it falls back");
    }
    let info: Value = serde_json::from_str(answer["info"].as_str().expect("JSON in a text"))?;
    assert_eq!((&info["all_seeds"], &info["steps"]), (&json!([7, 8]), &json!(3)));
    assert_eq!(info["warnings"].as_array().map(Vec::len), Some(1), "{info}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_seed_is_the_same_picture_in_every_api() -> anyhow::Result<()> {
    let app = TestApp::start().await;
    let body = json!({"prompt": "two green fish", "steps": 3, "seed": 11, "cfg_scale": 4, "sampler_name": "Euler a"});
    let there: Value = post(&app, "/sdapi/v1/txt2img", &body).await?.json().await?;
    let parameters = json!({"num_inference_steps": 3, "seed": 11, "guidance_scale": 4, "scheduler": "euler_a"});
    let bytes = post(&app, "/models/miniature", &json!({"inputs": "two green fish", "parameters": parameters})).await?;
    assert_eq!(bytes.headers()["content-type"], "image/png");
    let name = bytes.headers()["x-plaudit-image-id"].to_str()?.to_owned();
    let bytes = bytes.bytes().await?;
    let of = |file: &[u8]| image::load_from_memory(file).map(|image| image.into_rgb8());
    assert_eq!(of(&BASE64_STANDARD.decode(there["images"][0].as_str().expect("base64"))?)?, of(&bytes)?);
    let kept = app.get(&format!("/v1/images/{name}")).await.bytes().await?;
    assert_eq!(kept, bytes);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_picture_starts_from_a_picture() -> anyhow::Result<()> {
    let app = TestApp::start().await;
    let first: Value =
        post(&app, "/sdapi/v1/txt2img", &json!({"prompt": "a blue car", "steps": 3})).await?.json().await?;
    let start = format!("data:image/png;base64,{}", first["images"][0].as_str().expect("base64"));
    let body = json!({"prompt": "a red car", "init_images": [start], "denoising_strength": 0.5, "steps": 4});
    let answer = post(&app, "/sdapi/v1/img2img", &body).await?;
    assert_eq!(answer.status(), StatusCode::OK);
    let answer: Value = answer.json().await?;
    assert_eq!(answer["images"].as_array().map(Vec::len), Some(1));
    let body = json!({"prompt": "a red car", "init_images": ["bm8gcGljdHVyZQ=="]});
    assert_eq!(post(&app, "/sdapi/v1/img2img", &body).await?.status(), StatusCode::BAD_REQUEST);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn an_interrupt_ends_ones_own_drawing_and_nobody_elses() -> anyhow::Result<()> {
    let app = TestApp::start().await;
    let body = json!({"prompt": "a cat", "batch_size": 4, "steps": LONG});
    let request = app.ask(Method::POST, "/sdapi/v1/txt2img").basic_auth("me", Some("any")).json(&body);
    let drawing = tokio::spawn(request.send());
    let begun = std::time::Instant::now();
    let job = loop {
        assert!(begun.elapsed() < PATIENCE, "nothing is ever drawn");
        let progress = get(&app, "/sdapi/v1/progress").await?;
        if progress["progress"].as_f64() > Some(0.0) {
            break progress["state"]["job"].clone();
        }
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    };
    let stranger = app.as_owner("stranger", Method::POST, "/sdapi/v1/interrupt").send().await?;
    assert_eq!(stranger.status(), StatusCode::OK);
    let progress = get(&app, "/sdapi/v1/progress").await?;
    assert_eq!(progress["state"]["job"], job, "a stranger's interrupt changes nothing");
    assert_eq!(post(&app, "/sdapi/v1/interrupt", &json!({})).await?.status(), StatusCode::OK);
    let answer: Value = drawing.await??.error_for_status()?.json().await?;
    let info: Value = serde_json::from_str(answer["info"].as_str().expect("JSON in a text"))?;
    assert_eq!(info["interrupted"], true);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn errors_have_the_form_of_the_api_that_is_imitated() -> anyhow::Result<()> {
    let app = TestApp::start().await;
    let cases = [
        ("/sdapi/v1/txt2img", json!({"prompt": "a", "sampler_name": "Heun"}), StatusCode::BAD_REQUEST, "detail"),
        ("/sdapi/v1/options", json!({"sd_model_checkpoint": "sd-v1-5"}), StatusCode::NOT_FOUND, "detail"),
        ("/", json!({"inputs": "a", "parameters": {"stepz": 3}}), StatusCode::BAD_REQUEST, "error"),
        ("/models/sd-v1-5", json!({"inputs": "a"}), StatusCode::NOT_FOUND, "error"),
        ("/models/stabilityai/sd-turbo", json!({"inputs": "a"}), StatusCode::NOT_FOUND, "error"),
    ];
    for (path, body, status, field) in cases {
        let answer = post(&app, path, &body).await?;
        assert_eq!(answer.status(), status, "{path}");
        let told: Value = answer.json().await?;
        assert!(told[field].is_string(), "{path}: {told}");
        assert!(!told.to_string().contains("nothing at"), "{path} is a route: {told}");
    }
    assert!(app.get("/").await.text().await?.contains("<title>Plaudit</title>"));
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_as_password_opens_what_keys_lock() -> anyhow::Result<()> {
    let data = tempfile::tempdir()?;
    let store = plaudit::store::Store::open(data.path()).await?;
    let (_, key) = store.create_key("open-webui", plaudit::domain::Role::Client).await?;
    store.close().await;
    drop(store);
    let app = TestApp::over(data, &[]).await;
    let ask = |password: String| app.ask(Method::GET, "/sdapi/v1/options").basic_auth("user", Some(password)).send();
    assert_eq!(ask(key).await?.status(), StatusCode::OK);
    let refused = ask("wrong".to_owned()).await?;
    assert_eq!(refused.status(), StatusCode::UNAUTHORIZED);
    assert!(refused.json::<Value>().await?["detail"].is_string());
    Ok(())
}
