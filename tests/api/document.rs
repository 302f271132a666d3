use std::path::Path;

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

#[tokio::test(flavor = "multi_thread")]
async fn every_documented_field_is_read_and_every_operation_says_what_can_go_wrong() {
    let app = TestApp::start().await;
    let document: Value = app.get("/openapi.json").await.json().await.expect("JSON");
    let fields = document["components"]["schemas"]["GenerationRequest"]["properties"].as_object().expect("fields");
    for name in fields.keys().filter(|name| *name != "prompt") {
        // A value of a type that no field has: the answer tells whether the field exists.
        let answer = app.post("/v1/images/generations", with(json!({name: {"no": "value"}, "n": 99}))).await;
        let (status, error) = error(answer).await;
        assert_eq!(status, 400, "{name}");
        assert_ne!(error["code"], "unknown_field", "{name}");
    }
    for (path, operations) in document["paths"].as_object().expect("paths") {
        for (method, operation) in operations.as_object().expect("operations") {
            assert!(operation["operationId"].is_string() && operation["summary"].is_string(), "{method} {path}");
            assert!(operation["responses"].as_object().is_some_and(|answers| !answers.is_empty()), "{method} {path}");
        }
    }
}
