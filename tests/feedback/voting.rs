use super::*;

#[tokio::test(flavor = "multi_thread")]
async fn a_vote_stands_until_it_is_changed_or_taken_back_and_the_log_has_it_all() {
    let scene = Scene::new(1, &[]).await;
    let (image, me) = (scene.images[0].to_string(), scene.key.owner.to_string());
    let mut last = 0;
    for rating in ["up", "down", "clear", "up"] {
        let told = counted(scene.vote(json!({"image_id": image, "rating": rating})).await).await;
        assert_eq!(told["rating"], rating);
        let sequence = told["sequence"].as_i64().expect("a place");
        assert!(sequence > last, "{told}");
        last = sequence;
        let standing = scene.standing().await;
        match rating {
            "clear" => assert_eq!(standing, []),
            _ => assert_eq!(standing, [(image.clone(), me.clone(), rating.to_owned())]),
        }
    }
    let log = events(&scene.store, "vote").await;
    let ratings: Vec<_> = log.iter().map(|event| event.body["rating"].as_str().unwrap_or_default()).collect();
    assert_eq!(ratings, ["up", "down", "clear", "up"]);
    assert_eq!(log[3].sequence, last);
    for rating in ["up", "down", "clear"] {
        let line = format!("plaudit_votes_total{{model_version=\"tiny@0123\",rating=\"{rating}\"}}");
        assert_eq!(scene.app.metric(&line).await, if rating == "up" { 2.0 } else { 1.0 }, "{line}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_event_has_what_a_row_of_a_dataset_needs() {
    let scene = Scene::new(1, &[]).await;
    let context = json!({"surface": "grid", "position": 3, "dwell_ms": 900, "reward_visible": true});
    let body = json!({"image_id": scene.images[0], "rating": "down", "rater": "Zoë", "reasons": ["hands", "colour"],
        "comment": "six fingers", "context": context});
    counted(scene.vote(body).await).await;
    let event = events(&scene.store, "vote").await.remove(0);
    let body = &event.body;
    assert!(event.job.is_some(), "it leads to the candidate set");
    assert_eq!(
        (&body["rater"], &body["reasons"], &body["via"]),
        (&json!("Zoë"), &json!(["hands", "colour"]), &json!("key"))
    );
    assert_eq!((&body["comment"], &body["context"]), (&json!("six fingers"), &context));
    assert_eq!(
        (&body["model_version"], &body["parameters"]["prompt"]),
        (&json!("tiny@0123"), &json!("two blue stars"))
    );
    let picture = &body["picture"];
    assert_eq!((&picture["seed"], &picture["width"], &picture["format"]), (&json!(7), &json!(64), &json!("png")));
    assert_eq!(picture["blob"].as_str().map(str::len), Some(64));
}

#[tokio::test(flavor = "multi_thread")]
async fn of_a_batch_all_count_or_none_does() {
    let scene = Scene::new(3, &[]).await;
    let item = |image: &ImageId| json!({"image_id": image, "rating": "up"});
    let mut items: Vec<Value> = scene.images.iter().map(item).collect();
    let told = counted(scene.vote(json!({"items": items})).await).await;
    let told = told["items"].as_array().expect("a list").clone();
    assert!(told.len() == 3 && told.is_sorted_by_key(|one| one["sequence"].as_i64()), "{told:?}");

    items.iter_mut().for_each(|item| item["rating"] = "down".into());
    items[2]["image_id"] = json!(ImageId::new());
    let answer = scene.vote(json!({"items": items})).await;
    assert_eq!(refused(answer).await, (404, "not_found".into(), Some("items.2.image_id".into())));
    assert!(scene.standing().await.iter().all(|(.., rating)| rating == "up"));
    assert_eq!(events(&scene.store, "vote").await.len(), 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_idempotency_key_is_told_the_same_again_even_by_the_next_server() {
    let mut scene = Scene::new(2, &[]).await;
    let send = async |scene: &Scene, secret: &str, body: Value| {
        let request = scene.app.as_owner(secret, Method::POST, "/v1/feedback").header("Idempotency-Key", "k1");
        request.json(&body).send().await.expect("an answer")
    };
    let (secret, body) = (scene.key.secret.clone(), json!({"image_id": scene.images[0], "rating": "up"}));
    let first = counted(send(&scene, &secret, body.clone()).await).await;
    assert_eq!(counted(send(&scene, &secret, body.clone()).await).await, first);
    let other = json!({"image_id": scene.images[1], "rating": "up"});
    let answer = refused(send(&scene, &secret, other.clone()).await).await;
    assert_eq!((answer.0, answer.1.as_str()), (422, "idempotency_mismatch"));

    scene.app.stop().await.expect("it ends").expect("in good order");
    let data = std::mem::replace(&mut scene.app.data, tempfile::tempdir().expect("a folder"));
    scene.store = attached(data.path()).await;
    scene.app = TestApp::over(data, &["--allow-anonymous"]).await;
    assert_eq!(counted(send(&scene, &secret, body.clone()).await).await, first);
    assert_eq!(events(&scene.store, "vote").await.len(), 1);

    let another = key(&scene.store, Role::Client).await;
    let answer = refused(send(&scene, &another.secret, body).await).await;
    assert_eq!((answer.0, answer.1.as_str()), (404, "not_found"), "another's key is another key");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_shown_is_written_down_with_how() {
    let scene = Scene::new(2, &[]).await;
    let item = |image: &ImageId, position: u32| json!({"image_id": image, "rater": "u", "context": {"position": position, "surface": "grid", "reward_visible": false}});
    let body = json!({"items": [item(&scene.images[0], 0), item(&scene.images[1], 1)]});
    let told = counted(scene.post("/v1/impressions", &body).await).await;
    assert_eq!(told["items"].as_array().map(Vec::len), Some(2));
    let log = events(&scene.store, "impression").await;
    let shown = |event: &EventRecord| (event.body["image_id"].clone(), event.body["context"]["position"].clone());
    let expected = [(json!(scene.images[0]), json!(0)), (json!(scene.images[1]), json!(1))];
    assert_eq!(log.iter().map(shown).collect::<Vec<_>>(), expected);
    assert_eq!(scene.standing().await, [], "nobody voted");
}

#[tokio::test(flavor = "multi_thread")]
async fn lists_have_pages_and_filters() {
    let scene = Scene::new(5, &[]).await;
    for image in &scene.images {
        counted(scene.vote(json!({"image_id": image, "rating": "up", "rater": "u"})).await).await;
    }
    counted(scene.vote(json!({"image_id": scene.images[0], "rating": "down", "rater": "v"})).await).await;
    let get = async |query: &str| -> Value {
        let request = scene.app.as_owner(&scene.key.secret, Method::GET, &format!("/v1/feedback?{query}"));
        request.send().await.expect("an answer").json().await.expect("JSON")
    };
    let (mut seen, mut before) = (Vec::new(), String::new());
    loop {
        let page = get(&format!("limit=4{before}")).await;
        seen.extend(page["data"].as_array().expect("a list").iter().map(|vote| vote["sequence"].as_i64()));
        let last = page["data"].as_array().and_then(|list| list.last()).expect("an entry").clone();
        before = format!("&before={}", last["feedback_id"].as_str().expect("a name"));
        if page["has_more"] == false {
            break;
        }
    }
    assert!(seen.len() == 6 && seen.is_sorted_by(|a, b| a > b), "{seen:?}");
    let of = get(&format!("image_id={},{}", scene.images[0], scene.images[1])).await;
    assert_eq!(of["data"].as_array().map(Vec::len), Some(3));
    let of = get(&format!("image_id={}&rater=v", scene.images[0])).await;
    assert_eq!(of["data"][0]["rating"], "down");
}

/// Promise 22: nothing that looks like an address or a path is followed.
#[tokio::test(flavor = "multi_thread")]
async fn addresses_and_paths_are_no_pictures() {
    let scene = Scene::new(1, &[]).await;
    let cases = [
        "http://127.0.0.1/a.png",
        "https://example.com/a.png",
        "file:///etc/passwd",
        "ftp://a/b",
        "//a/b",
        "../../etc/passwd",
        "/etc/passwd",
        "..\\..\\a",
        "img_../../../../etc/passwd",
        "img_%2e%2e%2f",
        "img_\u{0}",
        "data:image/png;base64,AAAA",
        "img_",
        "C:\\a",
    ];
    for case in cases {
        for path in ["/v1/feedback", "/v1/impressions"] {
            let mut body = json!({"image_id": case});
            if path == "/v1/feedback" {
                body["rating"] = "up".into();
            }
            let answer = refused(scene.post(path, &body).await).await;
            assert_eq!((answer.0, answer.2.as_deref()), (400, Some("image_id")), "{case:?} at {path}");
        }
        let token = json!({"token": case, "rating": "up"});
        assert_eq!(refused(scene.vote(token).await).await.1, "token_invalid", "{case:?}");
        let url = json!({"image_id": scene.images[0], "rating": "up", "image_url": case});
        assert_eq!(refused(scene.vote(url).await).await.1, "unknown_field", "{case:?}");
    }
}
