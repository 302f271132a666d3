use super::*;

#[tokio::test(flavor = "multi_thread")]
async fn a_picture_that_was_voted_on_outlives_its_job_and_the_others_do_not() {
    let scene = Scene::new(2, &[]).await;
    counted(scene.vote(json!({"image_id": scene.images[0], "rating": "up"})).await).await;
    scene.store.sweep(now() + 2 * HOUR, ROOMY).await.expect("swept");
    let voted = scene.store.voted_bytes(scene.images[0]).await.expect("read").expect("kept");
    assert_eq!(voted.1, scene.images[0].to_string());
    assert_eq!(scene.store.voted_bytes(scene.images[1]).await.expect("read"), None);
    let blobs = walk(&scene.app.data.path().join("blobs"));
    assert_eq!(blobs, 1, "the other's is gone");
    for image in &scene.images {
        assert_eq!(scene.app.get(&format!("/v1/images/{image}")).await.status(), 404, "its time is over all the same");
    }
    let standing = scene.standing().await;
    assert_eq!(standing.len(), 1);
    counted(scene.vote(json!({"image_id": scene.images[0], "rating": "clear"})).await).await;
    let late = scene.vote(json!({"image_id": scene.images[1], "rating": "up"})).await;
    assert_eq!(refused(late).await.0, 404);

    // A start removes what nobody names, and this is named.
    let mut scene = scene;
    scene.app.stop().await.expect("it ends").expect("in good order");
    let store = Store::open(scene.app.data.path()).await.expect("a store");
    assert!(store.voted_bytes(scene.images[0]).await.expect("read").is_some());
}

fn walk(folder: &Path) -> usize {
    let entries = std::fs::read_dir(folder).expect("a folder").flatten();
    entries.map(|entry| if entry.path().is_dir() { walk(&entry.path()) } else { 1 }).sum()
}

#[tokio::test(flavor = "multi_thread")]
async fn who_deletes_a_job_deletes_its_voted_pictures() {
    let app = TestApp::start().await;
    let ask = async |method: Method, path: &str, body: Value| -> Response {
        app.as_owner("alice", method, path).json(&body).send().await.expect("an answer")
    };
    let made = ask(Method::POST, "/v1/images/generations", crate::harness::quick()).await;
    let made: Value = made.json().await.expect("JSON");
    let image = &made["data"][0]["image_id"];
    counted(ask(Method::POST, "/v1/feedback", json!({"image_id": image, "rating": "up"})).await).await;
    let path = format!("/v1/jobs/{}", made["id"].as_str().expect("a name"));
    assert_eq!(ask(Method::DELETE, &path, json!({})).await.status(), 200);
    let store = attached(app.data.path()).await;
    let image = image.as_str().and_then(|id| id.parse().ok()).expect("a name");
    assert_eq!(store.voted_bytes(image).await.expect("read"), None);
    assert_eq!(walk(&app.data.path().join("blobs")), 0);
    let votes = store.votes_after(0, 9).await.expect("votes");
    assert_eq!(votes.len(), 1, "the vote is in the log");
}

#[tokio::test(flavor = "multi_thread")]
async fn beyond_their_quota_votes_count_and_pictures_leave() {
    let length = ImageId::new().to_string().len();
    let scene = Scene::new(2, &["--feedback-quota", &length.to_string()]).await;
    for image in &scene.images {
        counted(scene.vote(json!({"image_id": image, "rating": "up"})).await).await;
    }
    assert_eq!(scene.standing().await.len(), 2);
    let mut kept = Vec::new();
    for image in &scene.images {
        kept.push(scene.store.voted_bytes(*image).await.expect("read").is_some());
    }
    assert_eq!(kept, [true, false]);
}
