//! Clients that ask for pictures all the time, and vote. Whatever is not answered as it should be is a failure; nothing is tried twice.

use std::{
    sync::{
        Mutex,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use base64::{Engine, engine::general_purpose::STANDARD};
use plaudit_training::{
    miniature::{
        grammar::{Category, Object, Scene},
        rate::{Vote, observe},
    },
    random::Random,
    simulate::{Population, Server, Shares},
};
use reqwest::Method;
use serde_json::{Value, json};

/// A dead server never answers.
const PATIENCE: Duration = Duration::from_secs(120);
const RATERS: usize = 10;
/// Votes on each picture, by different raters.
const VOTES: usize = 3;
/// Pictures of a request that is voted on, and their steps: fewer do not show what was asked for.
const JUDGED: (usize, usize) = (2, 6);
/// Steps of the other requests.
const GLANCE_STEPS: usize = 2;
/// Names that lookers ask under in turn; a trial divides people by name.
const GUESTS: u64 = 12;
const SHARES: Shares = Shares { lenient: 0.2, careless: 0.1, hostile: 0.0 };

/// A request that was answered.
#[derive(Debug, Clone)]
pub(crate) struct Answered {
    pub(crate) begun: Instant,
    pub(crate) seconds: f64,
    pub(crate) version: String,
    /// Whether it is one of the short, equal ones whose times are compared.
    pub(crate) glance: bool,
}

/// What all clients share.
pub(crate) struct Clients {
    url: String,
    key: String,
    http: reqwest::Client,
    population: Population,
    answered: Mutex<Vec<Answered>>,
    failures: Mutex<Vec<String>>,
    /// Votes that the server acknowledged.
    votes: AtomicUsize,
    asked: AtomicUsize,
    over: AtomicBool,
}

impl Clients {
    pub(crate) fn of(server: &Server) -> Self {
        Self {
            url: server.url.clone(),
            key: server.key.clone(),
            http: reqwest::Client::new(),
            population: Population::new(RATERS, SHARES, 0),
            answered: Mutex::default(),
            failures: Mutex::default(),
            votes: AtomicUsize::new(0),
            asked: AtomicUsize::new(0),
            over: AtomicBool::new(false),
        }
    }

    pub(crate) fn answered(&self) -> Vec<Answered> {
        self.answered.lock().expect("no client panicked").clone()
    }

    pub(crate) fn failures(&self) -> Vec<String> {
        self.failures.lock().expect("no client panicked").clone()
    }

    pub(crate) fn votes(&self) -> usize {
        self.votes.load(Ordering::SeqCst)
    }

    pub(crate) fn end(&self) {
        self.over.store(true, Ordering::SeqCst);
    }

    fn is_over(&self) -> bool {
        self.over.load(Ordering::SeqCst)
    }

    /// Asks for short pictures without a pause.
    pub(crate) async fn look(&self, client: u64) {
        let mut random = Random::stream(client, "a looker");
        for number in 0.. {
            if self.is_over() {
                return;
            }
            let prompt = scene(number, &mut random).prompt();
            let body = json!({"prompt": prompt, "rater": format!("guest {client} {}", number % GUESTS), "seed": number,
                "num_inference_steps": GLANCE_STEPS});
            self.draw(&body, true).await;
        }
    }

    /// Asks for pictures, and has a panel of raters vote on them.
    pub(crate) async fn vote(&self) {
        while !self.is_over() {
            let number = self.asked.fetch_add(1, Ordering::SeqCst);
            self.one(number as u64).await;
        }
    }

    async fn one(&self, number: u64) {
        let place = format!("request {number}");
        let asked = scene(number, &mut Random::stream(number, "a voter"));
        let panel = self.population.panel(&place, VOTES);
        let (pictures, steps) = JUDGED;
        let body = json!({"prompt": asked.prompt(), "rater": panel[0].name, "n": pictures, "seed": 1000 * number, "num_inference_steps": steps});
        let Some(answer) = self.draw(&body, false).await else { return };
        let mut items = Vec::new();
        for (at, one) in answer["data"].as_array().into_iter().flatten().enumerate() {
            let Some(seen) = picture(one) else {
                return self.fail(format!("an answer without a picture: {one}"));
            };
            let seen = observe(&seen);
            for (turn, person) in panel.iter().enumerate() {
                let said = self.population.answer(person, &format!("{place}, picture {at}"), &seen, &asked);
                let rating = match said.vote {
                    Vote::Up => "up",
                    Vote::Down => "down",
                    Vote::Skip => continue,
                };
                let mut item =
                    json!({"image_id": one["image_id"], "rating": rating, "context": {"dwell_ms": said.dwell_ms}});
                match turn {
                    0 => item["token"] = one["feedback_token"].clone(),
                    _ => item["rater"] = json!(person.name),
                }
                items.push(item);
            }
        }
        let count = items.len();
        if count > 0 && self.ask(Method::POST, "/v1/feedback", &json!({"items": items})).await.is_some() {
            self.votes.fetch_add(count, Ordering::SeqCst);
        }
    }

    async fn draw(&self, body: &Value, glance: bool) -> Option<Value> {
        let begun = Instant::now();
        let answer = self.ask(Method::POST, "/v1/images/generations", body).await?;
        let (seconds, version) = (begun.elapsed().as_secs_f64(), answer["model_version"].as_str().unwrap_or_default());
        if picture(&answer["data"][0]).is_none() {
            self.fail(format!("an answer without a picture: {answer}"));
            return None;
        }
        let one = Answered { begun, seconds, version: version.to_owned(), glance };
        self.answered.lock().expect("no client panicked").push(one);
        Some(answer)
    }

    /// A request; `None`, and a failure, where it is not answered by a success.
    pub(crate) async fn ask(&self, method: Method, path: &str, body: &Value) -> Option<Value> {
        let request = self.http.request(method, format!("{}{path}", self.url)).timeout(PATIENCE).bearer_auth(&self.key);
        let request = if body.is_null() { request } else { request.json(body) };
        let found = async {
            let answer = request.send().await.map_err(|error| error.to_string())?;
            let (status, text) = (answer.status(), answer.text().await.map_err(|error| error.to_string())?);
            let value = serde_json::from_str(&text).map_err(|error| format!("{error}: {text}"))?;
            if status.is_success() { Ok(value) } else { Err(format!("{status}: {text}")) }
        };
        match found.await {
            Ok(value) => Some(value),
            Err(fault) => {
                self.fail(format!("{path}: {fault}"));
                None
            }
        }
    }

    fn fail(&self, fault: String) {
        self.failures.lock().expect("no client panicked").push(fault);
    }
}

fn scene(number: u64, random: &mut Random) -> Scene {
    let objects: Vec<Object> = Object::seen().collect();
    Scene::sample(Category::ALL[number as usize % Category::ALL.len()], &objects, random)
}

fn picture(one: &Value) -> Option<image::RgbImage> {
    let bytes = STANDARD.decode(one["b64_json"].as_str()?).ok()?;
    Some(image::load_from_memory(&bytes).ok()?.to_rgb8())
}
