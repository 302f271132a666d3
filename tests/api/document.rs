use std::path::Path;

use reqwest::{
    Method,
    multipart::{Form, Part},
};
use serde_json::{Value, json};

use crate::harness::{TestApp, error, with};

const COMMITTED: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/openapi/openapi.json");

#[tokio::test(flavor = "multi_thread")]
async fn the_committed_document_is_the_one_that_is_served() {
    let app = TestApp::start().await;
    let served: Value = app.get("/openapi.json").await.json().await.expect("JSON");
    let text = serde_json::to_string_pretty(&served).expect("text") + "\n";
    if std::env::var_os("PLAUDIT_RENEW").is_some() {
        std::fs::create_dir_all(Path::new(COMMITTED).parent().expect("a folder")).expect("a folder");
        std::fs::write(COMMITTED, &text).expect("written");
    }
    let committed = std::fs::read_to_string(COMMITTED).unwrap_or_default();
    assert!(
        committed == text,
        "openapi/openapi.json is not what is served; renew it with\n  PLAUDIT_RENEW=1 cargo test --test api the_committed_document"
    );
}

fn picture() -> Vec<u8> {
    let mut bytes = std::io::Cursor::new(Vec::new());
    let picture = image::DynamicImage::ImageRgb8(image::RgbImage::new(8, 8));
    picture.write_to(&mut bytes, image::ImageFormat::Png).expect("a file");
    bytes.into_inner()
}

#[tokio::test(flavor = "multi_thread")]
async fn every_documented_field_is_read_and_every_operation_says_what_can_go_wrong() {
    let app = TestApp::start().await;
    let document: Value = app.get("/openapi.json").await.json().await.expect("JSON");
    let fields = document["components"]["schemas"]["GenerationRequest"]["properties"].as_object().expect("fields");
    for name in fields.keys().filter(|name| *name != "prompt") {
        // A value of a type that no field has: the answer tells whether the field exists.
        let answer = app.post("/v1/images/generations", with(json!({name: {"no": "value"}}))).await;
        let (status, error) = error(answer).await;
        assert_eq!((status, &error["code"], &error["param"]), (400, &json!("invalid_value"), &json!(name)));
    }
    let mut edits = document["components"]["schemas"]["EditRequest"]["properties"].as_object().expect("fields").clone();
    for name in edits.keys().filter(|name| !["prompt", "image"].contains(&name.as_str())) {
        // No typed field has this value; a text is read, and then only the other one is left over.
        let form = Form::new().part("image", Part::bytes(picture())).text("prompt", "a").text("colour", "blue");
        let form = form.text(name.clone(), "\u{1}");
        let answer = app.ask(Method::POST, "/v1/images/edits").multipart(form).send().await.expect("an answer");
        let (_, error) = error(answer).await;
        let left_over = error["message"].as_str().expect("text").starts_with("there is no field \"colour\"");
        assert!(error["param"] == json!(name) && error["code"] != "unknown_field" || left_over, "{name}: {error}");
    }
    assert!(edits.remove("image").is_some() && edits.remove("strength").is_some());
    // The handler reads a form as it reads JSON: what the one document names the other has to name.
    let same = edits.len() == fields.len() && edits.keys().all(|name| fields.contains_key(name));
    assert!(same, "{:?} and {:?}", edits.keys(), fields.keys());
    for (path, operations) in document["paths"].as_object().expect("paths") {
        for (method, operation) in operations.as_object().expect("operations") {
            assert!(operation["operationId"].is_string() && operation["summary"].is_string(), "{method} {path}");
            assert!(operation["responses"].as_object().is_some_and(|answers| !answers.is_empty()), "{method} {path}");
        }
    }
}
