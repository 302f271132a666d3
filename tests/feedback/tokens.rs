use super::*;
use crate::harness::{events as frames, quick, with};

/// Who sends: with the key that made the picture, with another key, with nothing.
#[derive(Debug, Clone, Copy)]
enum By {
    Key,
    Stranger,
    Nobody,
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_says_who_votes_and_nobody_else_does() {
    let scene = Scene::new(2, &[]).await;
    let stranger = key(&scene.store, Role::Client).await;
    let (image, other) = (scene.images[0], scene.images[1]);
    let old = Tokens::new(scene.store.feedback_secret(), 0).issue(image, None, None, now() - 1);
    let forged = Tokens::new(&[1; 32], HOUR as u64).issue(image, None, None, now());
    let bound = scene.tokens().issue(image, Some("u"), None, now());
    let open = scene.tokens().issue(image, None, None, now());
    let vote = |fields: Value| {
        let mut body = json!({"rating": "up"});
        body.as_object_mut().expect("an object").extend(fields.as_object().expect("an object").clone());
        body
    };
    let me = scene.key.owner.to_string();
    let cases = [
        (By::Nobody, vote(json!({"token": bound})), Ok("u")),
        (By::Nobody, vote(json!({"token": bound, "rater": "u", "image_id": image})), Ok("u")),
        (By::Stranger, vote(json!({"token": bound})), Ok("u")),
        (By::Nobody, vote(json!({"token": bound, "rater": "v"})), Err((403, "token_rater_mismatch"))),
        (By::Key, vote(json!({"token": bound, "rater": "v"})), Err((403, "token_rater_mismatch"))),
        (By::Nobody, vote(json!({"token": open})), Ok("token_")),
        (By::Nobody, vote(json!({"token": open, "rater": "v"})), Err((403, "token_rater_mismatch"))),
        (By::Nobody, vote(json!({"token": open, "image_id": other})), Err((403, "token_invalid"))),
        (By::Nobody, vote(json!({"token": forged})), Err((403, "token_invalid"))),
        (By::Nobody, vote(json!({"token": format!("{open}A")})), Err((403, "token_invalid"))),
        (By::Key, vote(json!({"token": forged, "image_id": image})), Err((403, "token_invalid"))),
        (By::Nobody, vote(json!({"token": old})), Err((410, "token_expired"))),
        (By::Nobody, vote(json!({"image_id": image})), Err((404, "not_found"))),
        (By::Stranger, vote(json!({"image_id": image})), Err((404, "not_found"))),
        (By::Stranger, vote(json!({"image_id": image, "rater": "u"})), Err((404, "not_found"))),
        (By::Key, vote(json!({"image_id": image})), Ok(me.as_str())),
        (By::Key, vote(json!({"image_id": image, "rater": "w"})), Ok("w")),
    ];
    for (by, body, expected) in cases {
        let request = match by {
            By::Key => scene.app.as_owner(&scene.key.secret, Method::POST, "/v1/feedback"),
            By::Stranger => scene.app.as_owner(&stranger.secret, Method::POST, "/v1/feedback"),
            By::Nobody => scene.app.ask(Method::POST, "/v1/feedback"),
        };
        let answer = request.json(&body).send().await.expect("an answer");
        match expected {
            Err((status, code)) => {
                let (found, told, _) = refused(answer).await;
                assert_eq!((found, told.as_str()), (status, code), "{by:?} {body}");
            }
            Ok(voter) => {
                counted(answer).await;
                let event = events(&scene.store, "vote").await.pop().expect("a vote");
                let rater = event.body["rater"].as_str().expect("a rater").to_owned();
                assert!(rater.starts_with(voter) && event.owner == scene.key.owner, "{by:?} {body}: {rater}");
            }
        }
    }
    let raters: Vec<String> = scene.standing().await.into_iter().map(|(_, rater, _)| rater).collect();
    assert_eq!(raters.len(), 4, "u, the token's, the key itself, w: {raters:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_is_one_person_with_or_without_its_token() {
    let app = TestApp::start().await;
    let made = app.as_owner("alice", Method::POST, "/v1/images/generations").json(&quick());
    let made: Value = made.send().await.expect("an answer").json().await.expect("JSON");
    let (image, token) = (&made["data"][0]["image_id"], &made["data"][0]["feedback_token"]);
    let vote = async |owner: &str, body: Value| {
        app.as_owner(owner, Method::POST, "/v1/feedback").json(&body).send().await.expect("an answer")
    };
    counted(vote("alice", json!({"image_id": image, "rating": "up"})).await).await;
    counted(vote("bob", json!({"token": token, "rating": "down"})).await).await;
    let list = app.as_owner("alice", Method::GET, "/v1/feedback").send().await.expect("an answer");
    let list: Value = list.json().await.expect("JSON");
    assert_eq!((list["data"].as_array().map(Vec::len), &list["data"][0]["rating"]), (Some(1), &json!("down")));
    let named = vote("alice", json!({"image_id": image, "rating": "up", "rater": "somebody"})).await;
    assert_eq!(refused(named).await, (403, "forbidden".into(), Some("rater".into())));
    assert_eq!(refused(vote("bob", json!({"image_id": image, "rating": "up"})).await).await.0, 404);
}

#[tokio::test(flavor = "multi_thread")]
async fn every_route_that_draws_gives_tokens_that_are_taken() {
    let app = TestApp::start().await;
    let ask = async |method: Method, path: &str, body: Value| {
        app.as_owner("alice", method, path).json(&body).send().await.expect("an answer")
    };
    let mut found = Vec::new();
    let plain: Value =
        ask(Method::POST, "/v1/images/generations", with(json!({"rater": "u"}))).await.json().await.expect("JSON");
    found.push(("generation", plain["data"][0]["feedback_token"].clone()));
    let stream = ask(Method::POST, "/v1/images/generations", with(json!({"stream": true}))).await;
    let stream = frames(&stream.text().await.expect("text"));
    found.push(("stream", stream.last().expect("an event").1["feedback_token"].clone()));
    let job: Value = ask(Method::POST, "/v1/jobs", quick()).await.json().await.expect("JSON");
    let id = job["id"].as_str().expect("a name");
    found.push(("job", app.ended("alice", id).await["result"]["data"][0]["feedback_token"].clone()));
    let followed = ask(Method::GET, &format!("/v1/jobs/{id}/events"), json!({})).await;
    let followed = frames(&followed.text().await.expect("text"));
    found.push(("events", followed.last().expect("an event").1["data"][0]["feedback_token"].clone()));
    let drawn = ask(Method::POST, "/sdapi/v1/txt2img", json!({"prompt": "a", "steps": 2})).await;
    let drawn: Value = drawn.json().await.expect("JSON");
    let info: Value = serde_json::from_str(drawn["info"].as_str().expect("a text")).expect("JSON");
    found.push(("A1111", info["feedback_tokens"][0].clone()));
    let picture =
        ask(Method::POST, "/models/miniature", json!({"inputs": "a", "parameters": {"num_inference_steps": 2}})).await;
    found.push(("Hugging Face", picture.headers()["x-plaudit-feedback-token"].to_str().expect("text").into()));
    for (route, token) in found {
        let answer = app.post("/v1/feedback", json!({"token": token, "rating": "up"})).await;
        assert_eq!(answer.status(), 201, "{route}: {}", answer.text().await.unwrap_or_default());
    }
    let mine: Value = ask(Method::GET, "/v1/feedback", json!({})).await.json().await.expect("JSON");
    let raters: Vec<_> = mine["data"].as_array().expect("a list").iter().map(|vote| vote["rater"].as_str()).collect();
    // The job's token and its stream's are two tokens for one picture.
    assert_eq!((raters.len(), raters.last()), (5, Some(&Some("u"))), "{raters:?}");
}
