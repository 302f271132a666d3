//! A reward on trial: whose pictures it picks, whose thumbs count, and how it ends.

use super::{
    trials::{QUICK, begin, trial, until_state, vote_with},
    *,
};

/// Nothing is left to chance.
fn settled() -> Vec<&'static str> {
    [QUICK, &["--best-of-random-share", "0"]].concat()
}

async fn publish(scene: &Scene, make: impl FnOnce(&Path)) -> VersionId {
    let folder = tempfile::tempdir().expect("a folder");
    make(folder.path());
    let lineage = Lineage { published_by: "a test".into(), ..Lineage::default() };
    scene.registry.publish(Kind::Reward, folder.path(), lineage).await.expect("published").version
}

/// The best of four, of the same four whoever it is for.
fn four(rater: &str) -> Value {
    harness::with(json!({"rater": rater, "num_inference_steps": 2, "best_of": 4, "seed": 7}))
}

async fn picked_for(scene: &Scene, rater: &str) -> Value {
    scene.app.generate(four(rater)).await
}

/// The rewards of a rater's last four candidates, and the place of the one that was shown.
async fn judged(scene: &Scene, rater: &str) -> (Vec<f64>, usize) {
    let store = Store::attach(scene.app.data.path()).await.expect("the store");
    let events = store.events(0, 1000).await.expect("events");
    let event = events.iter().rev().find(|event| event.kind == "candidates" && event.body["rater"] == rater);
    let candidates = event.expect("an event").body["candidates"].as_array().expect("a list").clone();
    let shown = candidates.iter().position(|one| one["position"] == 0).expect("one is shown");
    (candidates.iter().map(|one| one["reward"].as_f64().expect("a reward")).collect(), shown)
}

fn best(rewards: &[f64]) -> usize {
    (0..rewards.len()).max_by(|&a, &b| rewards[a].total_cmp(&rewards[b])).expect("some")
}

async fn until_judges(scene: &Scene, version: &VersionId) {
    scene
        .until("its share", async |scene| {
            for rater in 0..8 {
                if picked_for(scene, &format!("rater {rater}")).await["reward_version"] == version.as_str() {
                    return true;
                }
            }
            false
        })
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_candidate_picks_for_its_share_only_and_everybody_stays_with_a_reward() {
    let scene = Scene::with(&settled()).await;
    let old = scene.champion(Kind::Reward).await.expect("the pack's own");
    let contrary = publish(&scene, rewards::contrary).await;
    for at in 0..3 {
        picked_for(&scene, &format!("early {at}")).await;
    }
    let (status, error) = begin(&scene, Kind::Reward, &old, &old, 0.5, 0).await;
    assert_eq!(status, 409, "the champion beside itself: {error}");
    let (status, begun) = begin(&scene, Kind::Reward, &contrary, &old, 0.5, 2).await;
    assert_eq!((status, &begun["kind"]), (200, &json!("reward")), "{begun}");
    let seen = until_state(&scene, "canary").await;
    // The same four pictures twice: what one likes best the other likes least.
    let shadow = &seen["evidence"]["shadow"];
    assert_eq!(shadow["requests"], 2, "the last two of three: {seen}");
    assert_eq!(
        (&shadow["failed"], &shadow["picks"], &shadow["same_picks"]),
        (&json!(0), &json!(2), &json!(0)),
        "{seen}"
    );
    assert!(shadow["mean_difference"].is_f64(), "{seen}");
    until_judges(&scene, &contrary).await;

    let mut sides: [Option<(Vec<f64>, usize)>; 2] = [None, None];
    let mut of_candidate = 0;
    for rater in 0..12 {
        let name = format!("rater {rater}");
        let (one, two) = (picked_for(&scene, &name).await, picked_for(&scene, &name).await);
        assert_eq!(one["reward_version"], two["reward_version"], "{name}");
        assert_eq!(one["model_version"], scene.first.as_str());
        let tried = one["reward_version"] == contrary.as_str();
        of_candidate += usize::from(tried);
        let (rewards, shown) = judged(&scene, &name).await;
        assert_eq!(shown, best(&rewards), "what is shown is best by the reward that is named: {rewards:?}");
        let reported = one["data"][0]["reward"].as_f64().expect("a reward");
        assert!((reported - rewards[shown]).abs() < 1e-6, "and its reward is reported: {one}");
        sides[usize::from(tried)] = Some((rewards, shown));
    }
    assert!((1..12).contains(&of_candidate), "{of_candidate} of 12");
    let [Some((champion, theirs)), Some((candidate, ours))] = sides else { panic!("both were asked") };
    assert_ne!(theirs, ours, "they pick other pictures of the same four");
    for (champion, candidate) in champion.iter().zip(&candidate) {
        assert!((champion + candidate - 1.0).abs() < 1e-4, "{champion} and {candidate}");
    }
    // Nobody votes on scores alone.
    let picture = &picked_for(&scene, "rater 0").await["data"][0]["b64_json"];
    let body = json!({"prompts": ["two blue stars"], "images": [{"b64_json": picture}]});
    let scores: Value = scene.app.post("/v1/score", body).await.json().await.expect("JSON");
    assert_eq!(scores["reward_version"], old.as_str());

    let body = json!({"reason": "enough seen"});
    let (status, ended) = said(scene.admin(Method::POST, "/v1/admin/trials/end", body).await).await;
    assert_eq!((status, &ended["state"]), (200, &json!("withdrawn")), "{ended}");
    scene
        .until("the champion alone", async |scene| {
            scene.app.metric(&format!("plaudit_model_info{{kind=\"reward\",version=\"{contrary}\"}}")).await == 0.0
        })
        .await;
    for rater in 0..6 {
        assert_eq!(picked_for(&scene, &format!("rater {rater}")).await["reward_version"], old.as_str());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn people_who_like_its_picks_less_roll_it_back_and_only_picks_count() {
    let scene = Scene::with(&settled()).await;
    let old = scene.champion(Kind::Reward).await.expect("the pack's own");
    let contrary = publish(&scene, rewards::contrary).await;
    assert_eq!(begin(&scene, Kind::Reward, &contrary, &old, 0.5, 0).await.0, 200);
    until_judges(&scene, &contrary).await;
    // Where nothing is left out both show the same: thumbs on that are no thumbs of the trial.
    for rater in 0..8 {
        let body = harness::with(json!({"rater": format!("plain {rater}"), "num_inference_steps": 1}));
        let picture = scene.app.generate(body).await["data"][0].clone();
        let vote = json!({"image_id": picture["image_id"], "token": picture["feedback_token"], "rating": "down"});
        assert_eq!(scene.app.post("/v1/feedback", vote).await.status(), 201);
    }
    let thumbs = trial(&scene).await["evidence"]["thumbs_up"].clone();
    assert_eq!((&thumbs["champion"], &thumbs["candidate"]), (&json!([0, 0]), &json!([0, 0])), "{thumbs}");

    let liked = |candidate: bool, at: usize| if candidate { at.is_multiple_of(10) } else { !at.is_multiple_of(10) };
    let ended = vote_with(&scene, four, "reward_version", &contrary, liked).await;
    assert_eq!(ended["state"], "rolled_back", "{ended}");
    assert!(ended["reason"].as_str().is_some_and(|why| why.contains("like it less")), "{ended}");
    assert_eq!(scene.champion(Kind::Reward).await.as_ref(), Some(&old));
    let log = scene.registry.promotions(Some(Kind::Reward), 0, 100).await.expect("the log");
    let last = log.last().expect("an entry");
    assert_eq!((last.action.name(), last.actor.as_str()), ("withdraw", "trial"));
}

#[tokio::test(flavor = "multi_thread")]
async fn people_who_like_its_picks_more_make_it_champion() {
    let scene = Scene::with(&settled()).await;
    let old = scene.champion(Kind::Reward).await.expect("the pack's own");
    let contrary = publish(&scene, rewards::contrary).await;
    assert_eq!(begin(&scene, Kind::Reward, &contrary, &old, 0.5, 0).await.0, 200);
    // One at a time, whatever it is of.
    let tuned = scene.tuned(0.1).await;
    let (status, error) = begin(&scene, Kind::Generator, &tuned, &scene.first, 0.5, 0).await;
    assert_eq!((status, &error["error"]["code"]), (409, &json!("version_conflict")), "{error}");
    until_judges(&scene, &contrary).await;
    let liked = |candidate: bool, at: usize| if candidate { !at.is_multiple_of(20) } else { at.is_multiple_of(3) };
    let ended = vote_with(&scene, four, "reward_version", &contrary, liked).await;
    assert_eq!(ended["state"], "promoted", "{ended}");
    assert_eq!(scene.champion(Kind::Reward).await.as_ref(), Some(&contrary));
    assert_eq!(scene.champion(Kind::Generator).await.as_ref(), Some(&scene.first));
    scene
        .until("the new champion", async |scene| scene.place(Kind::Reward).await["version"] == contrary.as_str())
        .await;
    for rater in 0..6 {
        assert_eq!(picked_for(&scene, &format!("rater {rater}")).await["reward_version"], contrary.as_str());
    }
    // It is candidate no more.
    scene
        .until("one role", async |scene| {
            let served: Value =
                scene.admin(Method::GET, "/v1/admin/served", Value::Null).await.json().await.expect("JSON");
            let mut open = served["data"].as_array().expect("a list").iter().filter(|one| one["until"].is_null());
            open.all(|one| one["role"] == "champion")
        })
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_candidate_that_fails_on_real_pictures_never_judges_for_anybody() {
    let scene = Scene::with(&settled()).await;
    let old = scene.champion(Kind::Reward).await.expect("the pack's own");
    let broken = publish(&scene, rewards::broken).await;
    for at in 0..3 {
        picked_for(&scene, &format!("early {at}")).await;
    }
    assert_eq!(begin(&scene, Kind::Reward, &broken, &old, 0.5, 20).await.0, 200);
    let ended = until_state(&scene, "rolled_back").await;
    assert!(ended["reason"].as_str().is_some_and(|why| why.contains("3 of 3 requests")), "{ended}");
    assert_eq!(scene.champion(Kind::Reward).await.as_ref(), Some(&old));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_candidate_that_fails_in_front_of_people_is_rolled_back_and_the_champions_scores_are_unharmed() {
    // Room for both sides' contrasts in a call.
    let scene = Scene::with(&[settled(), vec!["--scoring-max-batch", "64"]].concat()).await;
    let old = scene.champion(Kind::Reward).await.expect("the pack's own");
    let broken = publish(&scene, rewards::broken).await;
    assert_eq!(begin(&scene, Kind::Reward, &broken, &old, 0.5, 0).await.0, 200);
    until_judges(&scene, &broken).await;
    for round in 0..40 {
        // At once, so that both share calls.
        let raters: Vec<String> = (0..4).map(|at| format!("rater {round} {at}")).collect();
        let drawn = futures_util::future::join_all(raters.iter().map(|rater| picked_for(&scene, rater))).await;
        for made in drawn {
            let scored = made["data"][0]["reward"].is_number();
            assert_eq!(scored, made["reward_version"] == old.as_str(), "{made}");
        }
        if trial(&scene).await["state"] != "canary" {
            break;
        }
    }
    let ended = until_state(&scene, "rolled_back").await;
    assert!(ended["reason"].as_str().is_some_and(|why| why.contains("not scored")), "{ended}");
    assert!(ended["evidence"]["seen"]["black"].is_null(), "what is drawn is not its doing: {ended}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reward_of_another_clip_is_not_tried() {
    let scene = Scene::start().await;
    let old = scene.champion(Kind::Reward).await.expect("the pack's own");
    let stranger = publish(&scene, rewards::of_another_clip).await;
    let (status, error) = begin(&scene, Kind::Reward, &stranger, &old, 0.5, 0).await;
    assert_eq!((status, &error["error"]["code"]), (422, &json!("version_refused")), "{error}");
    let message = error["error"]["message"].as_str().unwrap_or_default();
    assert!(message.contains("trained on clip_"), "{message}");
    assert!(trial(&scene).await.is_null(), "and nothing is written down of that");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reward_s_trial_goes_on_after_a_restart() {
    let scene = Scene::with(&settled()).await;
    let old = scene.champion(Kind::Reward).await.expect("the pack's own");
    let contrary = publish(&scene, rewards::contrary).await;
    assert_eq!(begin(&scene, Kind::Reward, &contrary, &old, 0.5, 0).await.0, 200);
    until_judges(&scene, &contrary).await;
    let judges = async |scene: &Scene| {
        let mut versions = Vec::new();
        for rater in 0..8 {
            versions.push(picked_for(scene, &format!("rater {rater}")).await["reward_version"].clone());
        }
        versions
    };
    let before = judges(&scene).await;
    let scene = restart::restarted(scene, &settled()).await;
    until_judges(&scene, &contrary).await;
    assert_eq!(judges(&scene).await, before);
}
