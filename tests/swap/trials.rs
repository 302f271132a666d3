//! A version on trial: who sees it, and how it ends.

use plaudit::pack::{Component, seal};
use plaudit_onnx::Tensor;

use super::*;

/// Sure of few votes; no test waits for people.
pub(super) const QUICK: &[&str] =
    &["--trial-min-votes", "10", "--trial-alpha", "0.2", "--limits-rate", "0", "--limits-sessions", "1000000"];

pub(super) async fn begin(
    scene: &Scene,
    kind: Kind,
    version: &VersionId,
    champion: &VersionId,
    share: f64,
    shadow: u32,
) -> (u16, Value) {
    let path = format!("/v1/admin/versions/{kind}/{version}/trial");
    let body = json!({"expected": champion.as_str(), "share": share, "shadow": shadow, "reason": "a test"});
    said(scene.admin(Method::POST, &path, body).await).await
}

async fn try_generator(scene: &Scene, version: &VersionId, share: f64, shadow: u32) -> (u16, Value) {
    begin(scene, Kind::Generator, version, &scene.first, share, shadow).await
}

/// The newest trial.
pub(super) async fn trial(scene: &Scene) -> Value {
    let list: Value = scene.admin(Method::GET, "/v1/admin/trials", Value::Null).await.json().await.expect("JSON");
    list["data"][0].clone()
}

pub(super) async fn until_state(scene: &Scene, state: &str) -> Value {
    scene.until(state, async |scene| trial(scene).await["state"] == state).await;
    trial(scene).await
}

fn one(rater: &str) -> Value {
    harness::with(json!({"rater": rater, "num_inference_steps": 1}))
}

async fn drawn_for(scene: &Scene, rater: &str) -> Value {
    scene.app.generate(one(rater)).await
}

async fn vote(scene: &Scene, candidate: &VersionId, up: impl Fn(bool, usize) -> bool) -> Value {
    vote_with(scene, one, "model_version", candidate, up).await
}

/// Raters draw and vote until the trial is over: `up` says what they think of a picture of the champion or the candidate, whichever
/// the answer's field `by` names.
pub(super) async fn vote_with(
    scene: &Scene,
    request: impl Fn(&str) -> Value,
    by: &str,
    candidate: &VersionId,
    up: impl Fn(bool, usize) -> bool,
) -> Value {
    for at in 0..400 {
        let made = scene.app.generate(request(&format!("rater {at}"))).await;
        let of_candidate = made[by] == candidate.as_str();
        let picture = &made["data"][0];
        let rating = if up(of_candidate, at) { "up" } else { "down" };
        let vote = json!({"image_id": picture["image_id"], "token": picture["feedback_token"], "rating": rating});
        assert_eq!(scene.app.post("/v1/feedback", vote).await.status(), 201);
        let trial = trial(scene).await;
        if trial["state"] != "canary" {
            return trial;
        }
    }
    panic!("400 votes were not enough: {}", trial(scene).await)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_candidate_draws_for_its_share_only_and_everybody_stays_with_a_version() {
    let scene = Scene::with(QUICK).await;
    let tuned = scene.tuned(0.1).await;
    let (status, error) = try_generator(&scene, &scene.first, 0.5, 0).await;
    assert_eq!(status, 409, "the champion beside itself: {error}");
    assert!(trial(&scene).await.is_null(), "and nothing is written down of that");
    let (status, begun) = try_generator(&scene, &tuned, 0.5, 3).await;
    assert_eq!((status, &begun["state"]), (200, &json!("shadow")), "{begun}");
    until_state(&scene, "canary").await;
    // The share holds from the server's next look on.
    scene.until("its share", async |scene| drawn(scene).await.contains(&json!(tuned))).await;
    let mut of_candidate = 0;
    for rater in 0..20 {
        let name = format!("rater {rater}");
        let (one, two) = (drawn_for(&scene, &name).await, drawn_for(&scene, &name).await);
        assert_eq!(one["model_version"], two["model_version"], "{name}");
        of_candidate += usize::from(one["model_version"] == tuned.as_str());
    }
    assert!((2..=18).contains(&of_candidate), "{of_candidate} of 20");
    // Who names a version gets it.
    for version in [&tuned, &scene.first] {
        let made = scene.app.generate(harness::with(json!({"model": version, "num_inference_steps": 1}))).await;
        assert_eq!(made["model_version"], version.as_str());
    }
    let (status, error) = try_generator(&scene, &tuned, 0.5, 0).await;
    assert_eq!((status, &error["error"]["code"]), (409, &json!("version_conflict")), "{error}");

    let body = json!({"reason": "enough seen"});
    let (status, ended) = said(scene.admin(Method::POST, "/v1/admin/trials/end", body).await).await;
    assert_eq!((status, &ended["state"]), (200, &json!("withdrawn")), "{ended}");
    scene
        .until("the champion alone", async |scene| {
            let named = harness::with(json!({"model": tuned, "num_inference_steps": 1}));
            scene.app.post("/v1/images/generations", named).await.status() == 404
        })
        .await;
    assert_eq!(scene.drawn_by().await, scene.first.as_str());
}

#[tokio::test(flavor = "multi_thread")]
async fn people_who_like_it_less_roll_it_back() {
    let scene = Scene::with(QUICK).await;
    let tuned = scene.tuned(0.1).await;
    assert_eq!(try_generator(&scene, &tuned, 0.5, 0).await.0, 200);
    until_state(&scene, "canary").await;
    let ended = vote(&scene, &tuned, |candidate, at| if candidate { at % 10 == 0 } else { at % 10 != 0 }).await;
    assert_eq!(ended["state"], "rolled_back", "{ended}");
    assert!(ended["reason"].as_str().is_some_and(|why| why.contains("like it less")), "{ended}");
    assert!(ended["evidence"]["thumbs_up"]["log_evidence_of_less"].as_f64().is_some_and(|sure| sure > 1.0), "{ended}");
    assert_eq!(scene.champion(Kind::Generator).await.as_ref(), Some(&scene.first));
    assert_eq!(scene.drawn_by().await, scene.first.as_str());
}

#[tokio::test(flavor = "multi_thread")]
async fn people_who_like_it_more_make_it_champion() {
    let scene = Scene::with(QUICK).await;
    let tuned = scene.tuned(0.1).await;
    assert_eq!(try_generator(&scene, &tuned, 0.5, 0).await.0, 200);
    until_state(&scene, "canary").await;
    let ended = vote(&scene, &tuned, |candidate, at| if candidate { at % 20 != 0 } else { at % 3 == 0 }).await;
    assert_eq!(ended["state"], "promoted", "{ended}");
    assert_eq!(scene.champion(Kind::Generator).await.as_ref(), Some(&tuned));
    scene.until("the new champion", async |scene| scene.drawn_by().await == tuned.as_str()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn where_votes_show_nothing_somebody_has_to_decide() {
    let scene = Scene::with(&[QUICK, &["--trial-max-votes", "12", "--trial-min-votes", "1000"]].concat()[2..]).await;
    let tuned = scene.tuned(0.1).await;
    assert_eq!(try_generator(&scene, &tuned, 0.5, 0).await.0, 200);
    until_state(&scene, "canary").await;
    let paused = vote(&scene, &tuned, |_, at| at % 2 == 0).await;
    assert_eq!(paused["state"], "paused", "{paused}");
    scene
        .until("the champion alone", async |scene| {
            let named = harness::with(json!({"model": tuned, "num_inference_steps": 1}));
            scene.app.post("/v1/images/generations", named).await.status() == 404
        })
        .await;
    assert_eq!(scene.promote(Kind::Generator, &tuned, &scene.first).await.status(), 200);
    assert_eq!(scene.drawn_by().await, tuned.as_str());
    assert_eq!(try_generator(&scene, &scene.first, 0.5, 0).await.0, 409, "the champion has changed");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_candidate_that_draws_black_never_reaches_anybody() {
    let scene = Scene::with(QUICK).await;
    let folder = tempfile::tempdir().expect("a folder");
    packs::copy(folder.path());
    packs::edit(folder.path(), Component::VaeDecoder, |model| {
        let bias = model.graph.initializers.iter_mut().find(|(name, _)| name.ends_with("conv_out.bias"));
        let (_, bias) = bias.expect("a last bias");
        let shape = bias.shape.clone();
        *bias = Tensor::f32(&shape, &vec![-100.0; shape.iter().product()]);
    });
    seal(folder.path(), "miniature", &Default::default(), &packs::quiet(), |_| ()).expect("a pack");
    let black = scene.publish(folder.path()).await;
    assert_eq!(try_generator(&scene, &black, 0.5, 4).await.0, 200);
    let ended = until_state(&scene, "rolled_back").await;
    assert!(ended["reason"].as_str().is_some_and(|why| why.contains("blank")), "{ended}");
    assert_eq!(scene.drawn_by().await, scene.first.as_str());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_trial_goes_on_after_a_restart() {
    let scene = Scene::with(QUICK).await;
    let tuned = scene.tuned(0.1).await;
    assert_eq!(try_generator(&scene, &tuned, 0.5, 0).await.0, 200);
    until_serves(&scene, &tuned).await;
    let before = drawn(&scene).await;
    let scene = restart::restarted(scene, QUICK).await;
    until_serves(&scene, &tuned).await;
    assert_eq!(drawn(&scene).await, before);
}

async fn until_serves(scene: &Scene, version: &VersionId) {
    scene
        .until("the candidate", async |scene| {
            let named = harness::with(json!({"model": version, "num_inference_steps": 1}));
            scene.app.post("/v1/images/generations", named).await.status() == 200
        })
        .await;
}

async fn drawn(scene: &Scene) -> Vec<Value> {
    let mut versions = Vec::new();
    for rater in 0..8 {
        versions.push(drawn_for(scene, &format!("rater {rater}")).await["model_version"].clone());
    }
    versions
}
