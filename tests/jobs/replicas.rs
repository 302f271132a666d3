//! Two `plaudit serve` on one PostgreSQL database and one bucket, and the death of one.

use std::{
    io::{BufRead, BufReader},
    process::{Child, Command, Stdio},
};

use reqwest::{Client, Method, StatusCode};
use serde_json::{Value, json};
use sqlx::Connection;

use super::*;
use crate::servers::{BUCKET, Servers};

/// The shortest.
const LEASE: &str = "2";

/// A `plaudit serve` of its own directory; killed when dropped.
struct Replica {
    process: Child,
    url: String,
    key: String,
    client: Client,
    _data: tempfile::TempDir,
}

impl Drop for Replica {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn plaudit(servers: &Servers, data: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_plaudit"));
    command.args(arguments).arg("--data").arg(data).envs(servers.environment());
    command.env("PLAUDIT_STORE_DATABASE", servers.database("replicas"));
    command.env("PLAUDIT_STORE_BLOBS", format!("s3://{BUCKET}/replicas"));
    command
}

impl Replica {
    fn start(servers: &Servers, key: &str) -> Result<Self> {
        let data = tempfile::tempdir()?;
        let pack = Path::new(env!("CARGO_MANIFEST_DIR")).join("onnx/packs/miniature");
        let mut command = plaudit(servers, data.path(), &["serve", "--listen", "127.0.0.1:0", "--device", "cpu"]);
        command.args(["--store-lease", LEASE, "--limits-max-steps", "900", "--pack"]).arg(pack);
        let mut process = command.stderr(Stdio::piped()).spawn()?;
        let mut lines = BufReader::new(process.stderr.take().expect("it is piped")).lines();
        let mut said = String::new();
        let url = loop {
            let line = lines.next().unwrap_or_else(|| panic!("it ended: {said}"))?;
            if let Some(url) = line.trim().strip_prefix("page ") {
                break url.trim().trim_end_matches('/').to_owned();
            }
            said += &(line + "\n");
        };
        // Nobody reads on: a full pipe would stop it.
        std::thread::spawn(move || lines.for_each(drop));
        Ok(Self { process, url, key: key.to_owned(), client: Client::new(), _data: data })
    }

    async fn ask(&self, method: Method, path: &str, body: Option<Value>) -> Result<(StatusCode, Vec<u8>)> {
        let request =
            self.client.request(method, format!("{}{path}", self.url)).bearer_auth(&self.key).timeout(PATIENCE);
        let answer = match body {
            Some(body) => request.header("Idempotency-Key", body["seed"].to_string()).json(&body),
            None => request,
        };
        let answer = answer.send().await?;
        Ok((answer.status(), answer.bytes().await?.to_vec()))
    }

    async fn json(&self, method: Method, path: &str, body: Option<Value>) -> Result<Value> {
        let (status, bytes) = self.ask(method, path, body).await?;
        anyhow::ensure!(status.is_success(), "{status}: {}", String::from_utf8_lossy(&bytes));
        Ok(serde_json::from_slice(&bytes)?)
    }

    /// A job that is kept, under an `Idempotency-Key` of its seed.
    async fn keep(&self, steps: usize, seed: u32) -> Result<String> {
        let body = json!({"prompt": "two blue stars", "num_inference_steps": steps, "seed": seed});
        let job = self.json(Method::POST, "/v1/jobs", Some(body)).await?;
        Ok(job["id"].as_str().expect("a name").to_owned())
    }

    async fn view(&self, id: &str) -> Result<Value> {
        self.json(Method::GET, &format!("/v1/jobs/{id}"), None).await
    }

    async fn until(&self, id: &str, wanted: impl Fn(&str) -> bool) -> Result<Value> {
        let since = Instant::now();
        loop {
            let job = self.view(id).await?;
            if wanted(job["state"].as_str().expect("a state")) {
                return Ok(job);
            }
            assert!(since.elapsed() < PATIENCE, "{job}");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    async fn picture(&self, job: &Value) -> Result<Vec<u8>> {
        let id = job["result"]["data"][0]["image_id"].as_str().unwrap_or_else(|| panic!("no picture: {job}"));
        let (status, bytes) = self.ask(Method::GET, &format!("/v1/images/{id}"), None).await?;
        anyhow::ensure!(status.is_success(), "{status}");
        Ok(bytes)
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_server_has_its_kept_jobs_drawn_once_by_the_other() -> Result<()> {
    const STEPS: usize = 300;
    let servers = Servers::start()?;
    let database = servers.create("replicas")?;
    let keys = tempfile::tempdir()?;
    let made = plaudit(&servers, keys.path(), &["keys", "create", "tests"]).output()?;
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    let key = String::from_utf8(made.stdout)?.trim().to_owned();
    let (mut one, two) = (Replica::start(&servers, &key)?, Replica::start(&servers, &key)?);
    let nobody = one.client.get(format!("{}/v1/jobs", two.url)).bearer_auth("plaudit_wrong").send().await?;
    assert_eq!(nobody.status(), StatusCode::UNAUTHORIZED, "the key is known to both, another to none");

    // What one made the other has, under the same Idempotency-Key too.
    let ended = |state: &str| !matches!(state, "queued" | "running");
    let early = one.keep(2, 1).await?;
    let there = two.until(&early, ended).await?;
    assert_eq!(two.picture(&there).await?, one.picture(&one.view(&early).await?).await?);
    assert_eq!(two.keep(2, 1).await?, early);

    // A stream tells the end of a job that the other server draws; so does calling it off.
    let followed = one.keep(40, 2).await?;
    let (_, told) = two.ask(Method::GET, &format!("/v1/jobs/{followed}/events"), None).await?;
    assert!(String::from_utf8_lossy(&told).contains("event: completed"), "{}", String::from_utf8_lossy(&told));
    let called_off = one.keep(900, 3).await?;
    let (status, _) = two.ask(Method::POST, &format!("/v1/jobs/{called_off}/cancel"), None).await?;
    assert_eq!((status, two.view(&called_off).await?["state"].as_str()), (StatusCode::OK, Some("cancelled")));

    let mut orphans = Vec::new();
    for seed in 10..13 {
        orphans.push(one.keep(STEPS, seed).await?);
    }
    let own = two.keep(STEPS, 20).await?;
    one.until(&orphans[0], |state| state == "running").await?;
    one.process.kill()?;
    one.process.wait()?;
    for id in &orphans {
        let job = two.until(id, ended).await?;
        assert_eq!(job["state"], "completed", "{job}");
        assert!(two.picture(&job).await?.starts_with(b"\x89PNG"));
    }
    two.until(&own, ended).await?;

    let mut connection = sqlx::PgConnection::connect(&database).await?;
    for (id, attempts) in orphans.iter().map(|id| (id, 1)).chain([(&own, 0)]) {
        let found: (i64, i64, i64) = sqlx::query_as(
            "SELECT attempts, (SELECT COUNT(*) FROM images WHERE job = jobs.id), \
             (SELECT COUNT(*) FROM events WHERE job = jobs.id) FROM jobs WHERE id = $1",
        )
        .bind(id)
        .fetch_one(&mut connection)
        .await?;
        assert_eq!(found, (attempts, 1, 1), "{id}: attempts, pictures, events");
    }
    Ok(())
}
