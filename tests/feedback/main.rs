//! Votes over HTTP against a real server and a real database: whose they are, what survives, what cannot be done.
#![allow(missing_docs)]

#[allow(dead_code, unreachable_pub)] // other tests use the rest
#[path = "../api/harness.rs"]
mod harness;

mod disk;
mod kills;
mod model;
mod pictures;
mod raters;
mod tokens;
mod voting;

use std::path::Path;

use bytes::Bytes;
use plaudit::{
    domain::{ImageId, JobId, Owner, Role},
    feedback::Tokens,
    jobs::{ImageFormat, JobState},
    store::{Ending, EventRecord, ImageRecord, NewJob, Store},
};
use reqwest::{Method, Response};
use serde_json::{Value, json};

use harness::TestApp;

/// No test reaches it.
const ROOMY: u64 = 1 << 40;
/// Longer than any test.
const HOUR: i64 = 3600;

fn now() -> i64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    since.expect("after 1970").as_secs() as i64
}

/// A key's holder.
#[derive(Clone)]
struct Key {
    owner: Owner,
    secret: String,
}

async fn key(store: &Store, role: Role) -> Key {
    let (record, secret) = store.create_key("test", role).await.expect("a key");
    Key { owner: Owner::key(record.id), secret }
}

/// A finished job's picture, as if it had been drawn: nothing here depends on what it shows.
async fn picture(store: &Store, owner: &Owner, rater: Option<&str>, expires: i64) -> ImageId {
    let (id, image) = (JobId::new(), ImageId::new());
    let request = json!({"prompt": "two blue stars", "rater": rater});
    let job = NewJob { id, owner: owner.clone(), keep: true, request, start: None, idempotency: None, created: now() };
    store.insert_job(job, ROOMY).await.expect("a job");
    let bytes = Bytes::from(image.to_string());
    let record = ImageRecord {
        id: image,
        job: id,
        index: 0,
        created: now(),
        expires,
        format: ImageFormat::Png,
        bytes: bytes.len() as u64,
        width: 64,
        height: 64,
        seed: 7,
        model_version: "tiny@0123".into(),
        chosen_by: None,
        rater: rater.map(str::to_owned),
        parameters: json!({"prompt": "two blue stars", "seed": 7}),
    };
    store.add_image(owner, &record, bytes, ROOMY).await.expect("a picture");
    let (result, failure, event) = (Some(json!({"images": []})), None, None);
    let ending =
        Ending { state: JobState::Completed, result, failure, last_sequence: 1, finished: now(), expires, event };
    store.finish_job(id, &ending).await.expect("an end");
    image
}

async fn pictures(store: &Store, owner: &Owner, count: usize) -> Vec<ImageId> {
    let mut made = Vec::with_capacity(count);
    for _ in 0..count {
        made.push(picture(store, owner, None, now() + HOUR).await);
    }
    made
}

/// A server with a key and some pictures under it, and the store beside it.
struct Scene {
    app: TestApp,
    store: Store,
    key: Key,
    images: Vec<ImageId>,
}

impl Scene {
    async fn new(count: usize, flags: &[&str]) -> Self {
        let data = tempfile::tempdir().expect("a folder");
        let store = Store::attach(data.path()).await.expect("a store");
        let key = key(&store, Role::Client).await;
        let images = pictures(&store, &key.owner, count).await;
        let flags = [&["--allow-anonymous"], flags].concat();
        let app = TestApp::over(data, &flags).await;
        Self { app, store, key, images }
    }

    fn tokens(&self) -> Tokens {
        Tokens::new(self.store.feedback_secret(), HOUR as u64)
    }

    async fn post(&self, path: &str, body: &Value) -> Response {
        let request = self.app.as_owner(&self.key.secret, Method::POST, path).json(body);
        request.send().await.expect("an answer")
    }

    async fn vote(&self, body: Value) -> Response {
        self.post("/v1/feedback", &body).await
    }

    /// Of one's own votes: rating by image and rater.
    async fn standing(&self) -> Vec<(String, String, String)> {
        let answer = self.app.as_owner(&self.key.secret, Method::GET, "/v1/feedback?limit=100");
        let list: Value = answer.send().await.expect("an answer").json().await.expect("JSON");
        let text = |entry: &Value, name: &str| entry[name].as_str().expect("a text").to_owned();
        let entries = list["data"].as_array().expect("a list").iter();
        entries.map(|entry| (text(entry, "image_id"), text(entry, "rater"), text(entry, "rating"))).collect()
    }
}

/// A response that must be 201.
async fn counted(answer: Response) -> Value {
    assert_eq!(answer.status(), 201, "{}", answer.text().await.unwrap_or_default());
    answer.json().await.expect("JSON")
}

/// Status, code and field of a refusal.
async fn refused(answer: Response) -> (u16, String, Option<String>) {
    let (status, error) = harness::error(answer).await;
    let text = |name: &str| error[name].as_str().map(str::to_owned);
    (status, text("code").expect("a code"), text("param"))
}

/// All events of one kind.
async fn events(store: &Store, kind: &str) -> Vec<EventRecord> {
    const PAGE: usize = 1000;
    let (mut found, mut after) = (Vec::new(), 0);
    loop {
        let page = store.events(after, PAGE).await.expect("events");
        let Some(last) = page.last() else { return found };
        after = last.sequence;
        found.extend(page.into_iter().filter(|event| event.kind == kind));
    }
}

async fn attached(data: &Path) -> Store {
    Store::attach(data).await.expect("a store")
}
