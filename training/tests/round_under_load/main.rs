//! A server under load goes through a whole round of learning: votes, reward, gate, tuning, gate, publication, trial, promotion. No request fails.
#![allow(missing_docs)]

mod clients;
#[path = "../support/daemon.rs"]
mod daemon;

use std::{
    path::Path,
    sync::Arc,
    time::{Duration, Instant},
};

use plaudit::store::{ExportScope, Store};
use plaudit_training::{
    daemon::{Daemon, DaemonSettings, Passing, Release},
    simulate::{Server, locate},
};
use reqwest::Method;
use serde_json::{Value, json};

use clients::{Answered, Clients};

const LOOKERS: u64 = 3;
const VOTERS: usize = 2;
/// With fewer, some part of the reward's data has votes of one kind only.
const ENOUGH_VOTES: usize = 140;
/// Short requests before the round, and after the promotion.
const CALM: usize = 50;
const AFTERWARDS: usize = 30;
/// Longer than anything here takes on a busy machine.
const PATIENCE: Duration = Duration::from_secs(300);
const LOOK_EVERY: Duration = Duration::from_millis(100);
/// The trial is ended by this test, neither by thumbs nor by figures of a busy machine.
const TRIAL: [&str; 8] = [
    "--trial-min-votes",
    "1000000",
    "--trial-alpha",
    "0.000001",
    "--trial-slowdown",
    "1000",
    "--trial-drift-window",
    "0",
];

struct Scene {
    _server: Server,
    store: Store,
    clients: Arc<Clients>,
}

impl Scene {
    async fn start(data: &Path) -> Self {
        let program = locate(None).expect("plaudit is built");
        let pack = Path::new(env!("CARGO_MANIFEST_DIR")).join("../onnx/packs/miniature");
        let server = Server::start(&program, data, &pack, &TRIAL.map(str::to_owned)).await.expect("a server");
        let store = Store::attach(data).await.expect("a store");
        let clients = Arc::new(Clients::of(&server));
        Self { _server: server, store, clients }
    }

    async fn get(&self, path: &str) -> Value {
        self.clients.ask(Method::GET, path, &Value::Null).await.expect("an answer")
    }

    async fn serves(&self) -> String {
        let version = self.get("/info").await["model_version"].as_str().map(str::to_owned);
        version.expect("a version")
    }

    /// Waits; the first failed request ends it.
    async fn until(&self, what: &str, is: impl Fn(&Clients) -> bool) {
        let began = Instant::now();
        while !is(&self.clients) {
            assert_eq!(self.clients.failures(), Vec::<String>::new(), "before {what}");
            assert!(began.elapsed() < PATIENCE, "there never were {what}");
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }

    /// Takes a round's version from the trial on to champion, as the operator.
    async fn promote(&self, version: &str, champion: &str) {
        let path = format!("/v1/admin/versions/generator/{version}/promote");
        let body = json!({"expected": champion, "reason": "a test"});
        self.clients.ask(Method::POST, &path, &body).await.expect("promoted");
    }

    /// Votes as the database has them.
    async fn votes(&self) -> usize {
        self.store.votes_to_export(&ExportScope::default(), 1.0).await.expect("votes").votes.len()
    }
}

fn settings(data: &Path) -> DaemonSettings {
    let usual = daemon::daemon();
    // No shadow requests: they are bulk work, for which clients who never pause leave no time.
    let passing = Passing { release: Release::Trial, share: 0.5, shadow: 0, ..usual.passing.clone() };
    DaemonSettings { data: data.to_owned(), passing, ..usual }
}

#[tokio::test(flavor = "multi_thread")]
async fn no_request_fails_while_a_version_is_learned_tried_and_promoted() {
    let folder = tempfile::tempdir().expect("a folder");
    let data = folder.path().join("data");
    let scene = Scene::start(&data).await;
    let first = scene.serves().await;
    let looking = (0..LOOKERS).map(|number| {
        let clients = scene.clients.clone();
        tokio::spawn(async move { clients.look(number).await })
    });
    let voting = (0..VOTERS).map(|_| {
        let clients = scene.clients.clone();
        tokio::spawn(async move { clients.vote().await })
    });
    let tasks: Vec<_> = looking.chain(voting).collect();
    scene
        .until("votes enough", |clients| clients.votes() >= ENOUGH_VOTES && glances(&clients.answered()) >= CALM)
        .await;

    let begun = Instant::now();
    let done = Daemon::open(settings(&data)).await.expect("a daemon").once().await.expect("a look");
    let learned = Instant::now();
    assert_eq!(done.name(), "released", "{done}");
    let round = scene.store.rounds(1).await.expect("rounds").remove(0);
    assert!(round.facts["export"]["rows"].as_u64() >= Some(ENOUGH_VOTES as u64), "{:#}", round.facts);
    let second = round.facts["generator"]["version"].as_str().expect("a version").to_owned();
    assert_ne!(second, first);

    let of = |clients: &Clients, version: &str| {
        clients.answered().iter().filter(|one| one.begun > learned && one.version == version).count()
    };
    scene.until("pictures of both versions", |clients| of(clients, &first) > 0 && of(clients, &second) > 0).await;
    let trial = scene.get("/v1/admin/trials").await["data"][0].clone();
    assert_eq!((&trial["state"], &trial["version"]), (&json!("canary"), &json!(second)), "{trial:#}");
    scene.promote(&second, &first).await;
    let promoted = Instant::now();
    let afterwards = |clients: &Clients| glances(&begun_after(&clients.answered(), promoted)) >= AFTERWARDS;
    scene.until("pictures after the promotion", afterwards).await;
    assert_eq!(scene.serves().await, second);

    scene.clients.end();
    for task in tasks {
        task.await.expect("a client");
    }
    assert_eq!(scene.clients.failures(), Vec::<String>::new());
    let answered = scene.clients.answered();
    let strange: Vec<_> = answered.iter().filter(|one| one.version != first && one.version != second).collect();
    assert!(strange.is_empty(), "{strange:?}");
    let stale: Vec<_> = begun_after(&answered, promoted).into_iter().filter(|one| one.version != second).collect();
    assert!(stale.is_empty(), "{stale:?}");
    assert_eq!(scene.votes().await, scene.clients.votes(), "votes in the database, and acknowledged ones");
    report(&answered, scene.clients.votes(), begun, learned);
}

fn glances(answered: &[Answered]) -> usize {
    answered.iter().filter(|one| one.glance).count()
}

fn begun_after(answered: &[Answered], moment: Instant) -> Vec<Answered> {
    answered.iter().filter(|one| one.begun > moment).cloned().collect()
}

/// Times of equal requests before the round and during it.
fn report(answered: &[Answered], votes: usize, begun: Instant, learned: Instant) {
    let times = |within: &dyn Fn(&Answered) -> bool| {
        let mut times: Vec<f64> =
            answered.iter().filter(|one| one.glance && within(one)).map(|one| one.seconds).collect();
        times.sort_by(f64::total_cmp);
        let at = |share: usize| times[(times.len() * share / 100).min(times.len() - 1)];
        format!("p50 {:.3} s, p99 {:.3} s of {}", at(50), at(99), times.len())
    };
    println!(
        "{} requests and {votes} votes, none failed; a round of {:.0} s: before {}; meanwhile {}",
        answered.len(),
        (learned - begun).as_secs_f64(),
        times(&|one| one.begun < begun),
        times(&|one| one.begun >= begun && one.begun < learned),
    );
}
