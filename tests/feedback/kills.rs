//! Promise 14: an acknowledged vote survives a SIGKILL, once.

use std::{
    collections::HashMap,
    net::SocketAddr,
    process::{Child, Command, Stdio},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use super::*;

const CLIENTS: usize = 8;
const IMAGES: usize = 32;
/// Kills of the suite; `PLAUDIT_KILLS` sets those of the ignored test (1,000 by default).
const SHORT: u64 = 30;
const LONG: u64 = 1_000;
/// A server that is up takes votes for a part of this, in milliseconds, before it is killed.
const LIVES_MS: u64 = 120;

/// A server in a process of its own.
struct Server {
    child: Child,
    address: SocketAddr,
}

impl Server {
    /// On this port, so that clients find it again.
    async fn start(data: &Path, port: u16) -> Self {
        let address = SocketAddr::from(([127, 0, 0, 1], port));
        let mut command = Command::new(env!("CARGO_BIN_EXE_plaudit"));
        command.args(["serve", "--device", "cpu", "--jobs-ballast", "0", "--feedback-rate", "0", "--listen"]);
        command.arg(address.to_string()).arg("--data").arg(data).arg("--pack").arg(harness::pack());
        let child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("a process");
        let server = Self { child, address };
        let since = Instant::now();
        let ready = format!("http://{address}/readyz");
        while !reqwest::get(&ready).await.is_ok_and(|answer| answer.status() == 200) {
            assert!(since.elapsed() < harness::PATIENCE, "the server never became ready");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        server
    }

    /// SIGKILL.
    fn kill(mut self) {
        self.child.kill().expect("it lives");
        self.child.wait().expect("it is over");
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// What every client knows.
struct Voting {
    address: SocketAddr,
    secret: String,
    images: Vec<ImageId>,
    over: AtomicBool,
    retries: AtomicU64,
}

/// Votes until it is over, each until it is acknowledged: by key, the last answer.
async fn client(voting: Arc<Voting>, number: usize) -> Vec<(String, Value, Value)> {
    let http = reqwest::Client::builder().timeout(Duration::from_secs(5)).build().expect("a client");
    let mut acknowledged = Vec::new();
    for vote in 0.. {
        if voting.over.load(Ordering::Relaxed) {
            break;
        }
        let image = voting.images[(number + vote) % voting.images.len()];
        let rating = ["up", "down", "clear"][vote % 3];
        let body = json!({"image_id": image, "rater": format!("u{number}"), "rating": rating});
        let key = format!("{number}-{vote}");
        let answer = loop {
            let request = http.post(format!("http://{}/v1/feedback", voting.address)).bearer_auth(&voting.secret);
            let sent = request.header("Idempotency-Key", &key).json(&body).send().await;
            let answer = match sent {
                Ok(answer) if answer.status() == 201 => answer.json::<Value>().await.ok(),
                // While it starts it says so.
                Ok(answer) => {
                    assert_eq!(answer.status(), 503, "{}", answer.text().await.unwrap_or_default());
                    None
                }
                Err(_) => None,
            };
            if let Some(answer) = answer {
                break answer;
            }
            voting.retries.fetch_add(1, Ordering::Relaxed);
            tokio::time::sleep(Duration::from_millis(5)).await;
        };
        acknowledged.push((key, body, answer));
    }
    acknowledged
}

async fn survive(kills: u64) {
    let data = tempfile::tempdir().expect("a folder");
    let store = attached(data.path()).await;
    let key = key(&store, Role::Client).await;
    let images = pictures(&store, &key.owner, IMAGES).await;
    store.close().await;
    let port = std::net::TcpListener::bind("127.0.0.1:0").expect("a port").local_addr().expect("a port").port();
    let mut server = Server::start(data.path(), port).await;
    let voting = Arc::new(Voting {
        address: server.address,
        secret: key.secret,
        images,
        over: AtomicBool::new(false),
        retries: AtomicU64::new(0),
    });
    let clients: Vec<_> = (0..CLIENTS).map(|number| tokio::spawn(client(voting.clone(), number))).collect();
    for kill in 0..kills {
        // At any moment of a commit: the times are spread by a golden ratio.
        let moment = kill.wrapping_mul(11_400_714_819_323_198_485) >> 32;
        tokio::time::sleep(Duration::from_millis(20 + moment % LIVES_MS)).await;
        server.kill();
        server = Server::start(data.path(), port).await;
    }
    voting.over.store(true, Ordering::Relaxed);
    let mut acknowledged = Vec::new();
    for client in clients {
        acknowledged.extend(client.await.expect("every vote is acknowledged in the end"));
    }
    server.kill();
    let retries = voting.retries.load(Ordering::Relaxed);
    count(data.path(), &acknowledged).await;
    eprintln!("{kills} kills, {} votes acknowledged, {retries} retries: 0 lost, 0 doubled", acknowledged.len());
}

/// From the database: every acknowledged vote once, and no other.
async fn count(data: &Path, acknowledged: &[(String, Value, Value)]) {
    let store = attached(data).await;
    let mut written: HashMap<String, (i64, Value)> = HashMap::new();
    let log = events(&store, "vote").await;
    for event in &log {
        let name = event.body["feedback_id"].as_str().expect("a name").to_owned();
        assert!(written.insert(name, (event.sequence, event.body.clone())).is_none(), "an event is there twice");
    }
    let mut last = HashMap::new();
    for (key, body, answer) in acknowledged {
        let name = answer["feedback_id"].as_str().expect("a name");
        let (sequence, event) = written.get(name).unwrap_or_else(|| panic!("vote {key} is lost"));
        assert_eq!(Some(*sequence), answer["sequence"].as_i64(), "{key}");
        for field in ["image_id", "rater", "rating"] {
            assert_eq!(event[field], body[field], "{key}");
        }
        let of = (body["image_id"].to_string(), body["rater"].to_string());
        let newest = last.entry(of).or_insert((*sequence, body["rating"].clone()));
        if *sequence > newest.0 {
            *newest = (*sequence, body["rating"].clone());
        }
    }
    assert_eq!(log.len(), acknowledged.len(), "a vote was doubled: every one was acknowledged under one key");
    let votes = store.votes_after(0, usize::MAX >> 1).await.expect("votes");
    assert_eq!(votes.len(), last.len());
    for vote in votes {
        let of = (json!(vote.image).to_string(), json!(vote.rater).to_string());
        assert_eq!(last[&of], (vote.sequence, json!(vote.rating)), "{of:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn kills_lose_no_acknowledged_vote_and_double_none() {
    survive(SHORT).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "a thousand kills, or PLAUDIT_KILLS: more than half an hour"]
async fn a_thousand_kills_lose_no_acknowledged_vote_and_double_none() {
    survive(std::env::var("PLAUDIT_KILLS").map_or(LONG, |kills| kills.parse().expect("a number"))).await;
}
