use reqwest::Method;
use serde_json::{Value, json};

use crate::harness::{TestApp, error, events, with};

async fn create(app: &TestApp, fields: Value) -> Value {
    let answer = app.as_owner("me", Method::POST, "/v1/jobs").json(&with(fields)).send().await.expect("an answer");
    assert_eq!(answer.status(), 202);
    answer.json().await.expect("JSON")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_is_taken_up_at_once_and_found_when_it_is_done() {
    let app = TestApp::start().await;
    let job = create(&app, json!({"n": 2})).await;
    let id = job["id"].as_str().expect("a name");
    assert!(["queued", "running"].contains(&job["state"].as_str().expect("a state")), "{job}");
    let ended = app.ended("me", id).await;
    assert_eq!(ended["state"], "completed", "{ended}");
    assert_eq!(ended["progress"], json!({"done": 4, "total": 4}));
    let images = ended["result"]["data"].as_array().expect("a list");
    assert_eq!(images.len(), 2);
    let answer = app.as_owner("me", Method::GET, "/v1/images").send().await.expect("an answer");
    let kept: Value = answer.json().await.expect("JSON");
    assert_eq!(kept["data"].as_array().expect("a list").len(), 2);
    let path = format!("/v1/images/{}/metadata", images[0]["image_id"].as_str().expect("a name"));
    let answer = app.as_owner("me", Method::GET, &path).send().await.expect("an answer");
    let facts: Value = answer.json().await.expect("JSON");
    assert_eq!((facts["job_id"].as_str(), facts["parameters"]["prompt"].as_str()), (Some(id), Some("two blue stars")));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_that_was_cut_off_goes_on_after_the_last_event() {
    let app = TestApp::start().await;
    let id = create(&app, json!({"num_inference_steps": 4})).await["id"].as_str().expect("a name").to_owned();
    let follow = |after: &str| {
        let request = app.as_owner("me", Method::GET, &format!("/v1/jobs/{id}/events"));
        request.header("Last-Event-ID", after).send()
    };
    let whole = follow("0").await.expect("an answer").text().await.expect("text");
    assert_eq!(events(&whole).last().expect("an event").0, "completed", "{whole}");
    let ids =
        |text: &str| text.lines().filter_map(|line| line.strip_prefix("id: ")?.parse().ok()).collect::<Vec<u64>>();
    assert!(ids(&whole).is_sorted_by(|a, b| a < b), "{whole}");
    let rest = follow("2").await.expect("an answer").text().await.expect("text");
    assert!(ids(&rest)[0] > 2, "{rest}");
    assert_eq!(events(&rest).last().expect("an event").0, "completed", "{rest}");
    let (status, _) = error(follow("soon").await.expect("an answer")).await;
    assert_eq!(status, 400);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_can_be_called_off() {
    let app = TestApp::with(&["--limits-max-steps", "900"]).await;
    let id = create(&app, json!({"num_inference_steps": 900})).await["id"].as_str().expect("a name").to_owned();
    let answer = app.as_owner("me", Method::POST, &format!("/v1/jobs/{id}/cancel")).send().await.expect("an answer");
    assert_eq!(answer.status(), 200);
    assert_eq!(app.ended("me", &id).await["state"], "cancelled");
    let list = app.as_owner("me", Method::GET, "/v1/jobs?state=cancelled&limit=5").send().await.expect("an answer");
    let list: Value = list.json().await.expect("JSON");
    assert_eq!((list["data"][0]["id"].as_str(), list["has_more"].as_bool()), (Some(id.as_str()), Some(false)));
}

#[tokio::test(flavor = "multi_thread")]
async fn only_a_deadline_that_its_caller_named_ends_a_kept_job() {
    let app = TestApp::with(&["--limits-max-steps", "900", "--limits-deadline", "1"]).await;
    let long = with(json!({"num_inference_steps": 900, "n": 10}));
    let ask = |path: &str| app.as_owner("me", Method::POST, path).json(&long);
    for late in [ask("/v1/images/generations"), ask("/v1/jobs").header("X-Request-Timeout", "1")] {
        let (status, error) = error(late.send().await.expect("an answer")).await;
        assert_eq!((status, error["code"].as_str()), (504, Some("deadline_exceeded")));
    }
    let id =
        create(&app, json!({"num_inference_steps": 900, "n": 10})).await["id"].as_str().expect("a name").to_owned();
    let answer = app.as_owner("me", Method::DELETE, &format!("/v1/jobs/{id}")).send().await.expect("an answer");
    assert_eq!(answer.json::<Value>().await.expect("JSON")["state"], "cancelled");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deleted_job_is_gone_with_its_pictures() {
    let app = TestApp::with(&["--limits-max-steps", "900"]).await;
    let ask = |method, path: String| app.as_owner("me", method, &path).send();
    let done = create(&app, json!({})).await["id"].as_str().expect("a name").to_owned();
    let image = app.ended("me", &done).await["result"]["data"][0]["image_id"].as_str().expect("a name").to_owned();
    let under_way = create(&app, json!({"num_inference_steps": 900})).await["id"].as_str().expect("a name").to_owned();
    for (id, state) in [(&done, "completed"), (&under_way, "cancelled")] {
        let answer = ask(Method::DELETE, format!("/v1/jobs/{id}")).await.expect("an answer");
        let job: Value = answer.json().await.expect("JSON");
        assert_eq!(job["state"], state);
        for path in [format!("/v1/jobs/{id}"), format!("/v1/jobs/{id}/events")] {
            let (status, error) = error(ask(Method::GET, path).await.expect("an answer")).await;
            assert_eq!((status, error["code"].as_str()), (404, Some("not_found")));
        }
    }
    assert_eq!(app.get(&format!("/v1/images/{image}")).await.status(), 404);
    let left = ask(Method::GET, "/v1/jobs".into()).await.expect("an answer");
    assert_eq!(left.json::<Value>().await.expect("JSON")["data"], json!([]));
}
