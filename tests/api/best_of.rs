//! Best of N, as clients meet it: the pack's own reward chooses.

use base64::{Engine as _, prelude::BASE64_STANDARD};
use plaudit::store::Store;
use reqwest::Method;
use serde_json::{Value, json};

use crate::harness::{TestApp, events, with};

/// The best is shown, always.
const BEST: [&str; 2] = ["--best-of-random-share", "0"];

fn seeds(answer: &Value) -> Vec<u64> {
    answer["data"].as_array().expect("a list").iter().filter_map(|image| image["seed"].as_u64()).collect()
}

fn rewards(answer: &Value) -> Vec<f64> {
    answer["data"].as_array().expect("a list").iter().filter_map(|image| image["reward"].as_f64()).collect()
}

/// The seeds of a plain request's pictures, best first.
fn by_reward(plain: &Value) -> Vec<u64> {
    let mut order: Vec<(f64, u64)> = rewards(plain).into_iter().zip(seeds(plain)).collect();
    order.sort_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(&b.1)));
    order.into_iter().map(|(_, seed)| seed).collect()
}

async fn candidates(mut app: TestApp) -> Vec<Value> {
    app.stop().await.expect("a task").expect("it stopped");
    let store = Store::open(app.data.path()).await.expect("the store");
    let events = store.events(0, 100).await.expect("events");
    events.into_iter().filter(|event| event.kind == "candidates").map(|event| event.body).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_best_come_first_and_are_those_that_all_together_would_show() {
    let app = TestApp::with(&BEST).await;
    let plain = app.generate(with(json!({"n": 6}))).await;
    assert!(plain["reward_version"].as_str().is_some_and(|version| version.contains('@')), "{plain}");
    assert!(rewards(&plain).iter().all(|reward| (0.0..=1.0).contains(reward)));
    let order = by_reward(&plain);
    let ranks: Vec<u64> =
        order.iter().map(|seed| seeds(&plain).iter().position(|own| own == seed).expect("there") as u64).collect();
    for (place, at) in ranks.iter().enumerate() {
        assert_eq!(plain["data"][*at as usize]["rank"], place + 1);
    }
    let best = app.generate(with(json!({"n": 2, "best_of": 6}))).await;
    assert_eq!((seeds(&best), &best["candidates_completed"]), (order[..2].to_vec(), &json!(6)));
    assert_eq!((&best["data"][0]["rank"], &best["data"][1]["rank"]), (&json!(1), &json!(2)));
    let same = plain["data"].as_array().expect("a list").iter().find(|image| image["seed"] == order[0]);
    let pixels = |image: &Value| {
        let bytes = BASE64_STANDARD.decode(image["b64_json"].as_str().expect("a picture")).expect("base64");
        image::load_from_memory(&bytes).expect("a picture").into_rgb8()
    };
    assert_eq!(pixels(&best["data"][0]), pixels(same.expect("it is among them")));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_log_has_every_candidate_with_its_chance_of_being_shown() {
    let app = TestApp::with(&["--best-of-random-share", "0.2"]).await;
    app.generate(with(json!({"n": 2, "best_of": 5}))).await;
    let all = candidates(app).await;
    let body = &all[0];
    assert_eq!((&body["parameters"]["n"], &body["parameters"]["best_of"]), (&json!(2), &json!(5)));
    assert_eq!(body["random_share"], 0.2);
    let candidates = body["candidates"].as_array().expect("a list");
    assert_eq!(candidates.len(), 5);
    let shown: Vec<&Value> = candidates.iter().filter(|one| one["position"].is_u64()).collect();
    assert_eq!(shown.len(), 2);
    let total: f64 = candidates.iter().filter_map(|one| one["propensity"].as_f64()).sum();
    assert!((total - 2.0).abs() < 1e-9, "two are shown: {total}");
    for one in candidates {
        let (rank, propensity) = (one["rank"].as_u64().expect("a rank"), one["propensity"].as_f64().expect("a number"));
        let expected = 0.2 * 2.0 / 5.0 + if rank <= 2 { 0.8 } else { 0.0 };
        assert!((propensity - expected).abs() < 1e-9, "{one}");
        assert!(one["reward"].is_f64() && one["clip_score"].is_f64() && one["image_id"].is_string(), "{one}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn chance_shows_what_the_reward_would_not() {
    let app = TestApp::with(&["--best-of-random-share", "1"]).await;
    let mut ranks = Vec::new();
    for seed in 0..6 {
        let answer = app.generate(with(json!({"best_of": 4, "seed": 100 * seed}))).await;
        ranks.push(answer["data"][0]["rank"].as_u64().expect("a rank"));
    }
    assert!(
        ranks.iter().any(|rank| *rank > 1),
        "six times the best by chance happens once in four thousand: {ranks:?}"
    );
    let all = candidates(app).await;
    assert!(all.iter().all(|body| body["random_pick"] == true), "{all:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_threshold_ends_the_drawing_early() {
    let app = TestApp::with(&[&BEST[..], &["--engine-max-rows", "2"]].concat()).await;
    let any = app.generate(with(json!({"reward_threshold": 0.0, "num_inference_steps": 10}))).await;
    let drawn = any["candidates_completed"].as_u64().expect("a number");
    assert!((1..32).contains(&drawn), "{drawn} were drawn though the first will do");
    let none = app.generate(with(json!({"best_of": 3, "reward_threshold": 1.0}))).await;
    assert_eq!(none["candidates_completed"], 3);
    assert_eq!(none["data"].as_array().map(Vec::len), Some(1));
    let warning = none["warnings"][0].as_str().expect("a warning");
    assert!(warning.contains("0 of 1"), "{warning}");
}

#[tokio::test(flavor = "multi_thread")]
async fn when_the_deadline_comes_the_best_of_those_that_are_done_is_shown() {
    let app = TestApp::with(&[&BEST[..], &["--engine-max-rows", "2"]].concat()).await;
    let steps = 40;
    let began = std::time::Instant::now();
    app.generate(with(json!({"num_inference_steps": steps}))).await;
    // Time for a few of the thirty-two, even where the machine is busier than it was just now.
    let enough = began.elapsed().as_secs_f64() * 6.0;
    let body = with(json!({"best_of": 32, "num_inference_steps": steps}));
    let asked = app.ask(Method::POST, "/v1/images/generations").header("x-request-timeout", enough.to_string());
    let answer = asked.json(&body).send().await.expect("an answer");
    assert_eq!(answer.status(), 200, "{}", answer.text().await.unwrap_or_default());
    let answer: Value = answer.json().await.expect("JSON");
    let done = answer["candidates_completed"].as_u64().expect("a number");
    assert!((1..32).contains(&done), "{done}");
    assert!(answer["warnings"][0].as_str().is_some_and(|warning| warning.contains("deadline")), "{answer}");
    assert_eq!(answer["data"][0]["rank"], 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_quick_look_leaves_candidates_out_and_the_rest_is_drawn_as_ever() {
    let pruned = [&BEST[..], &["--best-of-preview-steps", "3", "--best-of-survivors", "2"]].concat();
    let app = TestApp::with(&pruned).await;
    let plain = app.generate(with(json!({"n": 6, "num_inference_steps": 8}))).await;
    let best = app.generate(with(json!({"best_of": 6, "num_inference_steps": 8}))).await;
    assert_eq!(best["candidates_completed"], 2);
    let (seed, reward) = (seeds(&best)[0], rewards(&best)[0]);
    let same = seeds(&plain).iter().position(|own| *own == seed).expect("one of the six");
    assert!((rewards(&plain)[same] - reward).abs() < 1e-4, "it is drawn as ever");
    let all = candidates(app).await;
    let body = all.last().expect("an event");
    assert_eq!(
        (body["looks"].as_array().map(Vec::len), body["candidates"].as_array().map(Vec::len)),
        (Some(6), Some(2))
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn every_way_in_knows_the_best_of_many() {
    let app = TestApp::with(&BEST).await;
    let fields = json!({"best_of": 5});
    let best = seeds(&app.generate(with(fields.clone())).await)[0];

    let body = json!({"prompt": "two blue stars", "steps": 2, "seed": 7, "best_of": 5});
    let there: Value = app.post("/sdapi/v1/txt2img", body).await.json().await.expect("JSON");
    let info: Value = serde_json::from_str(there["info"].as_str().expect("a text")).expect("JSON");
    assert_eq!((&info["all_seeds"], &info["ranks"]), (&json!([best]), &json!([1])));

    let parameters = json!({"num_inference_steps": 2, "seed": 7, "best_of": 5});
    let task = app.post("/models/miniature", json!({"inputs": "two blue stars", "parameters": parameters})).await;
    assert_eq!(task.headers()["x-plaudit-seed"].to_str().expect("text"), best.to_string());

    let job: Value = app.post("/v1/jobs", with(fields)).await.json().await.expect("JSON");
    let owner = app.post("/v1/jobs", with(json!({}))).await;
    assert_eq!(owner.status(), 202);
    assert!(job["id"].is_string(), "{job}");

    let body = with(json!({"n": 2, "best_of": 5, "stream": true, "partial_images": 2}));
    let text = app.post("/v1/images/generations", body).await.text().await.expect("text");
    let completed: Vec<Value> =
        events(&text).into_iter().filter(|(name, _)| name.ends_with("completed")).map(|(_, data)| data).collect();
    assert_eq!(completed.len(), 2);
    assert_eq!(
        (&completed[0]["rank"], &completed[0]["seed"], &completed[1]["rank"]),
        (&json!(1), &json!(best), &json!(2))
    );
    assert!(!text.contains("partial_image\""), "no previews of what may not be shown");
}
