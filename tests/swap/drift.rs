//! What is drawn changes: it is seen, and no trial goes on.

use super::*;

const WATCHFUL: &[&str] = &[
    "--trial-drift-window",
    "4",
    "--trial-drift-reference",
    "8",
    "--trial-drift-reward",
    "0.02",
    "--limits-rate",
    "0",
    "--limits-sessions",
    "1000000",
];

/// So many requests of the same prompt with other seeds; in one step nothing of it can be seen.
async fn draw(scene: &Scene, seeds: std::ops::Range<u64>, steps: u64) {
    for seed in seeds {
        let body = json!({"prompt": "two blue stars", "best_of": 4, "seed": 4 * seed, "num_inference_steps": steps});
        scene.app.generate(harness::with(body)).await;
    }
}

async fn pauses(scene: &Scene) -> Vec<Value> {
    let log: Value = scene.admin(Method::GET, "/v1/admin/promotions", Value::Null).await.json().await.expect("JSON");
    let entries = log["data"].as_array().expect("a list");
    entries.iter().filter(|entry| entry["action"] == "pause").cloned().collect()
}

async fn newest_trial(scene: &Scene) -> Value {
    let list: Value = scene.admin(Method::GET, "/v1/admin/trials", Value::Null).await.json().await.expect("JSON");
    list["data"][0].clone()
}

#[tokio::test(flavor = "multi_thread")]
async fn pictures_that_are_liked_less_than_before_pause_the_trial_that_goes_on() {
    let scene = Scene::with(WATCHFUL).await;
    let tuned = scene.tuned(0.1).await;
    let path = format!("/v1/admin/versions/generator/{tuned}/trial");
    let body = json!({"expected": scene.first.as_str(), "share": 0.01, "shadow": 0, "reason": "a test"});
    assert_eq!(scene.admin(Method::POST, &path, body).await.status(), 200);
    draw(&scene, 0..12, 12).await;
    assert_eq!(scene.app.metric("plaudit_drift{of=\"reward\"}").await, 0.0);
    assert!(pauses(&scene).await.is_empty(), "nothing has changed");

    draw(&scene, 12..16, 1).await;
    scene.until("a pause", async |scene| !pauses(scene).await.is_empty()).await;
    let pause = pauses(&scene).await.remove(0);
    assert_eq!(pause["actor"], "drift", "{pause}");
    assert!(pause["reason"].as_str().is_some_and(|why| why.contains("in the last 4 requests")), "{pause}");
    scene.until("a paused trial", async |scene| newest_trial(scene).await["state"] == "paused").await;
    scene.until("the gauge", async |scene| scene.app.metric("plaudit_drift{of=\"reward\"}").await == 1.0).await;
    // A person may still decide.
    assert_eq!(scene.promote(Kind::Generator, &tuned, &scene.first).await.status(), 200);
}
