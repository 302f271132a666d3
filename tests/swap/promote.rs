//! What a promotion does, over HTTP and beside the server.

use std::{process::Command, time::Instant};

use plaudit::{scoring::RewardPack, store::Store};

use super::*;

#[tokio::test(flavor = "multi_thread")]
async fn once_a_promotion_has_answered_the_new_version_draws_and_a_rollback_brings_the_old_one_back() {
    let scene = Scene::start().await;
    assert_eq!(scene.drawn_by().await, scene.first.as_str());
    let tuned = scene.tuned(0.1).await;
    let before = scene.app.generate(harness::quick()).await;
    let (status, written) = said(scene.promote(Kind::Generator, &tuned, &scene.first).await).await;
    assert_eq!((status, &written["version"], &written["previous"]), (200, &json!(tuned), &json!(scene.first)));
    let after = scene.app.generate(harness::quick()).await;
    assert_eq!(after["model_version"], tuned.as_str());
    assert_ne!(after["data"][0]["b64_json"], before["data"][0]["b64_json"]);
    let info: Value = scene.app.get("/info").await.json().await.expect("JSON");
    assert_eq!(info["model_version"], tuned.as_str());
    let models: Value = scene.app.get("/v1/models").await.json().await.expect("JSON");
    assert_eq!((&models["data"][0]["id"], &models["data"][0]["version"]), (&json!("miniature"), &json!(tuned)));

    const LOADS: &str = "plaudit_swap_seconds_count{phase=\"load\"}";
    let loaded = scene.app.metric(LOADS).await;
    let began = Instant::now();
    let (status, written) = said(scene.roll_back(&tuned).await).await;
    println!("a rollback took {:?}", began.elapsed());
    assert_eq!((status, &written["action"]), (200, &json!("rollback")));
    let again = scene.app.generate(harness::quick()).await;
    assert_eq!(again["model_version"], scene.first.as_str());
    assert_eq!(again["data"][0]["b64_json"], before["data"][0]["b64_json"], "the old version, bit for bit");
    assert_eq!((loaded, scene.app.metric(LOADS).await), (1.0, 1.0), "it was kept warm: nothing was loaded again");
    assert_eq!(scene.app.metric("plaudit_swaps_total{kind=\"generator\",result=\"served\"}").await, 2.0);
    assert_eq!(scene.app.metric(&format!("plaudit_model_info{{kind=\"generator\",version=\"{tuned}\"}}")).await, 0.0);

    // What somebody else changed meanwhile is not promoted over.
    let (status, error) = said(scene.promote(Kind::Generator, &tuned, &tuned).await).await;
    assert_eq!((status, &error["error"]["code"]), (409, &json!("version_conflict")), "{error}");
    let unknown = "miniature@000000000000".parse().expect("a name");
    assert_eq!(scene.promote(Kind::Generator, &unknown, &scene.first).await.status(), 404);
    assert_eq!(scene.drawn_by().await, scene.first.as_str());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_version_brings_its_own_scheduler() {
    let scene = Scene::start().await;
    let sampler = async || {
        let body = json!({"prompt": "a blue car", "steps": 3, "seed": 1});
        let drawn: Value = scene.app.post("/sdapi/v1/txt2img", body).await.json().await.expect("JSON");
        let info = drawn["info"].as_str().unwrap_or_else(|| panic!("{drawn}"));
        serde_json::from_str::<Value>(info).expect("JSON")["sampler_name"].clone()
    };
    let folder = tempfile::tempdir().expect("a folder");
    packs::rescheduled(folder.path());
    let other = scene.publish(folder.path()).await;
    let before = sampler().await;
    assert_eq!(scene.promote(Kind::Generator, &other, &scene.first).await.status(), 200);
    assert_eq!(scene.drawn_by().await, other.as_str());
    let models: Value = scene.app.get("/v1/models").await.json().await.expect("JSON");
    assert_eq!(models["data"][0]["scheduler"], "ddim");
    assert_eq!((before, sampler().await), (json!("PLMS"), json!("DDIM")));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_promotion_from_the_command_line_is_followed_and_what_served_when_is_told() {
    let scene = Scene::start().await;
    let tuned = scene.tuned(0.1).await;
    let data = scene.app.data.path().to_str().expect("a path").to_owned();
    let plaudit = |arguments: &[&str]| {
        let library = Path::new(env!("CARGO_MANIFEST_DIR")).join(".ort/libonnxruntime.so");
        let mut command = Command::new(env!("CARGO_BIN_EXE_plaudit"));
        let output =
            command.env("ORT_DYLIB_PATH", library).args(arguments).args(["--data", &data]).output().expect("a run");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).expect("text")
    };
    let (first, version) = (scene.first.as_str(), tuned.as_str());
    plaudit(&["registry", "promote", "generator", version, "--expected", first, "--reason", "it is better"]);
    let began = Instant::now();
    scene.until("the new version", async |scene| scene.drawn_by().await == version).await;
    println!("followed within {:?}", began.elapsed());
    // The log of servings is written after the first picture may have been drawn.
    scene.until("a serving", async |scene| scene.place(Kind::Generator).await["state"] == "serving").await;
    let served: Value = scene.admin(Method::GET, "/v1/admin/served", Value::Null).await.json().await.expect("JSON");
    let generators: Vec<&Value> =
        served["data"].as_array().expect("a list").iter().filter(|one| one["kind"] == "generator").collect();
    assert!(generators.iter().any(|one| one["version"] == version && one["until"].is_null()), "{served}");
    assert!(plaudit(&["registry", "list"]).contains(version));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reward_is_exchanged_by_itself_and_scores_say_whose_they_are() {
    let scene = Scene::start().await;
    let old = scene.champion(Kind::Reward).await.expect("the pack's own");
    // The same graph under another name is another version.
    let folder = tempfile::tempdir().expect("a folder");
    for entry in std::fs::read_dir(packs::bundled().join("reward")).expect("the reward") {
        let path = entry.expect("an entry").path();
        std::fs::copy(&path, folder.path().join(path.file_name().expect("a name"))).expect("a file");
    }
    let pack = Pack::open(&packs::bundled()).expect("the pack");
    RewardPack::seal(folder.path(), "another-reward", &pack).expect("a reward");
    let lineage = Lineage { published_by: "a test".into(), ..Lineage::default() };
    let new = scene.registry.publish(Kind::Reward, folder.path(), lineage).await.expect("published").version;
    let drawn = scene.app.generate(harness::with(json!({"best_of": 4}))).await;
    assert_eq!(drawn["reward_version"], old.as_str());
    let (status, _) = said(scene.promote(Kind::Reward, &new, &old).await).await;
    assert_eq!(status, 200);
    let drawn = scene.app.generate(harness::with(json!({"best_of": 4}))).await;
    assert_eq!((&drawn["reward_version"], &drawn["model_version"]), (&json!(new), &json!(scene.first)));
    let picture = &drawn["data"][0]["b64_json"];
    let body = json!({"prompts": ["two blue stars"], "images": [{"b64_json": picture}]});
    let scores: Value = scene.app.post("/v1/score", body).await.json().await.expect("JSON");
    assert_eq!(scores["reward_version"], new.as_str(), "{scores}");
}

#[tokio::test(flavor = "multi_thread")]
async fn events_of_pictures_name_the_version_that_drew_them() {
    let scene = Scene::start().await;
    let tuned = scene.tuned(0.1).await;
    scene.drawn_by().await;
    assert_eq!(scene.promote(Kind::Generator, &tuned, &scene.first).await.status(), 200);
    scene.drawn_by().await;
    let store = Store::attach(scene.app.data.path()).await.expect("the store");
    let events = store.events(0, 100).await.expect("events");
    let drawn: Vec<&Value> =
        events.iter().filter(|event| event.kind == "candidates").map(|event| &event.body["model_version"]).collect();
    assert_eq!(drawn, [&json!(scene.first), &json!(tuned)]);
}
