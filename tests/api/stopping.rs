use std::time::Duration;

use reqwest::Method;
use serde_json::json;

use crate::harness::{TestApp, error, quick, with};

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_stops_finishes_what_is_in_flight_and_takes_nothing_new() {
    let mut app = TestApp::with(&["--server-grace", "60"]).await;
    let begun = app.ask(Method::POST, "/v1/images/generations").json(&with(json!({"num_inference_steps": 100})));
    let in_flight = tokio::spawn(begun.send());
    app.until("plaudit_requests_running", 1.0).await;
    let stopped = app.stop();
    tokio::time::sleep(Duration::from_millis(100)).await;
    for request in [app.ask(Method::GET, "/readyz"), app.ask(Method::POST, "/v1/images/generations").json(&quick())] {
        let answer = request.send().await.expect("an answer");
        assert!(answer.headers().contains_key("retry-after"));
        let (status, error) = error(answer).await;
        assert_eq!((status, error["code"].as_str()), (503, Some("draining")));
    }
    let answer = in_flight.await.expect("a task").expect("an answer");
    assert_eq!(answer.status(), 200);
    stopped.await.expect("a task").expect("a clean end");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_kept_job_goes_on_after_a_restart() {
    let flags = ["--server-grace", "0", "--limits-max-steps", "900"];
    let mut app = TestApp::with(&flags).await;
    let body = with(json!({"num_inference_steps": 60}));
    let answer = app.as_owner("me", Method::POST, "/v1/jobs").json(&body).send().await.expect("an answer");
    let job: serde_json::Value = answer.json().await.expect("JSON");
    app.stop().await.expect("a task").expect("a clean end");
    let data = std::mem::replace(&mut app.data, tempfile::tempdir().expect("a folder"));
    let again = TestApp::over(data, &flags).await;
    let ended = again.ended("me", job["id"].as_str().expect("a name")).await;
    assert_eq!(ended["state"], "completed", "{ended}");
}
