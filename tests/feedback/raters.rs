use plaudit::{
    domain::Rater,
    feedback::{FeedbackSettings, review},
    store::VoteFilter,
};

use super::*;

fn rater(name: &str) -> Rater {
    name.parse().expect("a rater")
}

/// Votes of a rater: all, and how many are in quarantine.
async fn quarantined(scene: &Scene, name: &str) -> (usize, usize) {
    let filter = VoteFilter { rater: Some(rater(name)), ..VoteFilter::default() };
    let votes = scene.store.list_votes(&scene.key.owner, &filter, 999).await.expect("votes");
    (votes.len(), votes.iter().filter(|vote| vote.quarantined).count())
}

#[tokio::test(flavor = "multi_thread")]
async fn who_does_not_look_is_told_nothing_and_counts_for_nothing() {
    let scene = Scene::new(12, &["--feedback-rate", "0"]).await;
    let settings = FeedbackSettings::default();
    let vote = async |image: &ImageId, name: &str, rating: &str, dwell: u32| {
        let context = json!({"dwell_ms": dwell});
        let body = json!({"image_id": image, "rating": rating, "rater": name, "context": context});
        counted(scene.vote(body).await).await
    };
    for (index, image) in scene.images.iter().enumerate() {
        let (right, wrong) = if index % 2 == 0 { ("up", "down") } else { ("down", "up") };
        for name in ["ann", "ben", "cho"] {
            vote(image, name, right, 900).await;
        }
        vote(image, "contrary", wrong, 900).await;
        vote(image, "hasty", right, 20).await;
    }
    let seen = review(&scene.store, &settings, 0).await.expect("reviewed");
    for (name, expected) in [("ann", 0), ("ben", 0), ("cho", 0), ("contrary", 12), ("hasty", 12)] {
        assert_eq!(quarantined(&scene, name).await, (12, expected), "{name}");
    }
    assert_eq!(scene.store.votes_to_learn().await.expect("counted"), 36);
    // Still 201, still marked.
    vote(&scene.images[0], "contrary", "down", 900).await;
    assert_eq!(quarantined(&scene, "contrary").await, (12, 12));
    assert_eq!(review(&scene.store, &settings, seen).await.expect("reviewed"), seen + 3, "two notes and a vote later");
    // Whoever comes to look is let out again.
    for (index, image) in scene.images.iter().enumerate() {
        vote(image, "contrary", if index % 2 == 0 { "up" } else { "down" }, 900).await;
    }
    review(&scene.store, &settings, seen).await.expect("reviewed");
    assert_eq!(quarantined(&scene, "contrary").await, (12, 0));
    let log = events(&scene.store, "quarantine").await;
    let told: Vec<_> = log.iter().map(|event| (event.body["rater"].as_str(), event.body["reason"].as_str())).collect();
    let expected = [("contrary", Some("agreement")), ("hasty", Some("dwell")), ("contrary", None)];
    assert_eq!(told, expected.map(|(rater, reason)| (Some(rater), reason)));
}

#[tokio::test(flavor = "multi_thread")]
async fn gold_items_reach_raters_of_other_keys_and_outlive_their_jobs() {
    let scene = Scene::new(0, &["--feedback-gold-share", "1"]).await;
    let admin = key(&scene.store, Role::Admin).await;
    let gold = pictures(&scene.store, &admin.owner, 1).await.remove(0);
    let set = async |secret: &str, body: Value| {
        scene.app.as_owner(secret, Method::POST, "/v1/admin/gold").json(&body).send().await.expect("an answer")
    };
    let answer = json!({"image_id": gold, "rating": "down"});
    assert_eq!(refused(set(&scene.key.secret, answer.clone()).await).await.1, "forbidden");
    assert_eq!(set(&admin.secret, answer.clone()).await.status(), 200);
    assert_eq!(refused(set(&admin.secret, json!({"image_id": ImageId::new(), "rating": "up"})).await).await.0, 404);
    let list = scene.app.as_owner(&admin.secret, Method::GET, "/v1/admin/gold").send().await.expect("an answer");
    assert_eq!(list.json::<Value>().await.expect("JSON")["data"], json!([answer]));
    scene.store.sweep(now() + 2 * HOUR, ROOMY).await.expect("swept");

    let next = scene.post("/v1/rating/next", &json!({"rater": "u"})).await;
    let next: Value = next.json().await.expect("JSON");
    assert_eq!(
        (&next["image_id"], next.as_object().map(serde_json::Map::len)),
        (&json!(gold), Some(4)),
        "as any other"
    );
    assert_eq!(scene.app.get(&format!("/v1/images/{gold}")).await.status(), 200);
    let foreign = scene.vote(json!({"image_id": gold, "rating": "up", "rater": "u"})).await;
    assert_eq!(refused(foreign).await.0, 404, "without the token it is somebody else's");
    counted(scene.vote(json!({"token": next["feedback_token"], "rating": "up"})).await).await;
    assert_eq!(scene.post("/v1/rating/next", &json!({"rater": "u"})).await.status(), 204);
    let looks = scene.store.looks(&scene.key.owner, &rater("u")).await.expect("looks");
    assert_eq!((looks.len(), looks[0].gold), (1, Some(plaudit::domain::Rating::Down)));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_next_picture_is_one_that_few_have_rated_and_this_rater_has_not() {
    let scene = Scene::new(3, &["--feedback-gold-share", "0"]).await;
    let next = async |name: &str| -> Option<Value> {
        let answer = scene.post("/v1/rating/next", &json!({"rater": name})).await;
        if answer.status() == 204 { None } else { Some(answer.json().await.expect("JSON")) }
    };
    counted(scene.vote(json!({"image_id": scene.images[2], "rating": "up", "rater": "v"})).await).await;
    let mut seen = Vec::new();
    while let Some(picture) = next("u").await {
        counted(scene.app.post("/v1/feedback", json!({"token": picture["feedback_token"], "rating": "up"})).await)
            .await;
        seen.push(picture["image_id"].clone());
    }
    let expected = [scene.images[1], scene.images[0], scene.images[2]].map(|image| json!(image));
    assert_eq!(seen, expected, "the newest of those with the fewest votes");
    counted(scene.vote(json!({"image_id": scene.images[0], "rating": "clear", "rater": "u"})).await).await;
    assert_eq!(next("u").await.map(|picture| picture["image_id"].clone()), Some(json!(scene.images[0])));
    assert_eq!(refused(scene.app.post("/v1/rating/next", json!({"rater": "u"})).await).await.1, "forbidden");
}

#[tokio::test(flavor = "multi_thread")]
async fn one_rater_votes_so_often_and_no_oftener() {
    let scene = Scene::new(1, &["--feedback-rate", "3"]).await;
    let vote = async |name: &str| scene.vote(json!({"image_id": scene.images[0], "rating": "up", "rater": name})).await;
    for _ in 0..3 {
        counted(vote("u").await).await;
    }
    let early = vote("u").await;
    let wait: u64 = early.headers()["retry-after"].to_str().expect("text").parse().expect("seconds");
    assert!((1..=20).contains(&wait), "{wait}");
    assert_eq!(refused(early).await.1, "rate_limited");
    counted(vote("v").await).await;
}
