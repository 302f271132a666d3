//! The server, and what is voted on.

use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use anyhow::{Result, ensure};
use bytes::Bytes;
use plaudit::{
    domain::{ImageId, JobId, Owner, Role},
    jobs::{ImageFormat, JobState},
    store::{Ending, ImageRecord, NewJob, Store, StoreSettings},
};
use serde_json::{Value, json};

/// Pictures and raters: nine in ten votes of half a minute are first votes, the rest changes of mind.
const IMAGES: usize = 500;
const RATERS: u64 = 997;
/// Until the server is ready.
const PATIENCE: Duration = Duration::from_secs(120);
/// Longer than the bench, in seconds.
const DAY: i64 = 86_400;

pub(crate) struct Scene {
    child: Child,
    pub(crate) address: SocketAddr,
    data: tempfile::TempDir,
    places: StoreSettings,
    secret: String,
    images: Vec<ImageId>,
}

impl Drop for Scene {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Scene {
    /// Under a new folder of `data`, by default the system's for temporary files; rows in an empty PostgreSQL `database` where one is named.
    pub(crate) async fn start(data: Option<&str>, database: Option<&str>) -> Result<Self> {
        let data = data.map_or_else(tempfile::tempdir, tempfile::tempdir_in)?;
        let places = StoreSettings { database: database.map(str::parse).transpose()?, ..StoreSettings::default() };
        let store = Store::attach_with(data.path(), &places).await?;
        let (record, secret) = store.create_key("bench", Role::Client).await?;
        let images = pictures(&store, &Owner::key(record.id)).await?;
        store.close().await;
        let address = std::net::TcpListener::bind("127.0.0.1:0")?.local_addr()?;
        let pack = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("onnx/packs/miniature");
        let mut command = Command::new(env!("CARGO_BIN_EXE_plaudit"));
        command.args(["serve", "--device", "cpu", "--feedback-rate", "0", "--log-level", "warn", "--listen"]);
        command.arg(address.to_string()).arg("--pack").arg(pack).arg("--data").arg(data.path());
        if let Some(database) = database {
            command.arg("--store-database").arg(database);
        }
        let child = command.stdout(Stdio::null()).stderr(Stdio::inherit()).spawn()?;
        let scene = Self { child, address, data, places, secret, images };
        let since = Instant::now();
        while !reqwest::get(format!("http://{address}/readyz")).await.is_ok_and(|answer| answer.status() == 200) {
            ensure!(since.elapsed() < PATIENCE, "the server never became ready");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        Ok(scene)
    }

    /// A request's bytes.
    pub(crate) fn request(&self, number: u64, batch: usize) -> Vec<u8> {
        let vote = |vote: u64| -> Value {
            let image = self.images[vote as usize % self.images.len()];
            let context = json!({"surface": "bench", "position": 0, "dwell_ms": 900, "reward_visible": false});
            let rating = if vote.is_multiple_of(3) { "down" } else { "up" };
            json!({"image_id": image, "rating": rating, "rater": format!("u{}", vote % RATERS), "context": context})
        };
        let body = match batch {
            1 => vote(number),
            _ => json!({"items": (0..batch as u64).map(|item| vote(number * batch as u64 + item)).collect::<Vec<_>>()}),
        };
        let body = body.to_string();
        format!(
            "POST /v1/feedback HTTP/1.1\r\nHost: {}\r\nAuthorization: Bearer {}\r\nContent-Type: application/json\r\n\
             Idempotency-Key: bench-{number}\r\nContent-Length: {}\r\n\r\n{body}",
            self.address,
            self.secret,
            body.len()
        )
        .into_bytes()
    }

    /// Kills the server and counts the votes in its database.
    pub(crate) async fn count(mut self) -> Result<usize> {
        self.child.kill()?;
        self.child.wait()?;
        count(self.data.path(), &self.places).await
    }
}

async fn count(data: &Path, places: &StoreSettings) -> Result<usize> {
    const PAGE: usize = 1000;
    let store = Store::attach_with(data, places).await?;
    let (mut votes, mut after) = (0, 0);
    loop {
        let page = store.events(after, PAGE).await?;
        let Some(last) = page.last() else { return Ok(votes) };
        after = last.sequence;
        votes += page.iter().filter(|event| event.kind == "vote").count();
    }
}

async fn pictures(store: &Store, owner: &Owner) -> Result<Vec<ImageId>> {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH)?;
    let (now, parameters) = (since.as_secs() as i64, json!({"prompt": "two blue stars on the beach", "seed": 7}));
    let mut images = Vec::with_capacity(IMAGES);
    for index in 0..IMAGES {
        let (id, image) = (JobId::new(), ImageId::new());
        let (owner, request) = (owner.clone(), json!({"prompt": "two blue stars on the beach"}));
        let job =
            NewJob { id, owner: owner.clone(), keep: true, request, start: None, idempotency: None, created: now };
        store.insert_job(job, u64::MAX).await?;
        let bytes = Bytes::from(format!("picture {index}"));
        let record = ImageRecord {
            id: image,
            job: id,
            index: 0,
            created: now,
            expires: now + DAY,
            format: ImageFormat::Png,
            bytes: bytes.len() as u64,
            width: 64,
            height: 64,
            seed: 7,
            model_version: "miniature@0123456789ab".into(),
            chosen_by: None,
            rater: None,
            parameters: parameters.clone(),
        };
        store.add_image(&owner, &record, bytes, u64::MAX).await?;
        let (result, failure, event, expires) = (Some(json!({"images": []})), None, None, now + DAY);
        let state = JobState::Completed;
        store
            .finish_job(id, &Ending { state, result, failure, last_sequence: 1, finished: now, expires, event })
            .await?;
        images.push(image);
    }
    Ok(images)
}
