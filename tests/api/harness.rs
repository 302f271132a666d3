//! A server on a free port over the bundled pack, and what tests ask of it.

use std::{net::SocketAddr, path::PathBuf, time::Duration};

use plaudit::{app::Application, settings::Settings};
use reqwest::{Method, RequestBuilder, Response};
use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    sync::oneshot,
    task::JoinHandle,
};

/// Longer than anything here takes on a busy machine.
pub const PATIENCE: Duration = Duration::from_secs(60);

pub struct TestApp {
    pub address: SocketAddr,
    pub data: tempfile::TempDir,
    client: reqwest::Client,
    stop: Option<oneshot::Sender<()>>,
    serving: Option<JoinHandle<anyhow::Result<()>>>,
}

pub fn pack() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("onnx/packs/miniature")
}

impl TestApp {
    pub async fn start() -> Self {
        Self::with(&[]).await
    }

    pub async fn with(flags: &[&str]) -> Self {
        Self::over(tempfile::tempdir().expect("a folder"), flags).await
    }

    /// Over state that may be there already.
    pub async fn over(data: tempfile::TempDir, flags: &[&str]) -> Self {
        let folder = data.path().to_str().expect("a path").to_owned();
        let usual = ["--listen", "127.0.0.1:0", "--device", "cpu", "--jobs-ballast", "0", "--data", &folder];
        let settings = Settings::from_flags(usual.into_iter().chain(flags.iter().copied())).expect("settings");
        let application = Application::start(settings, &pack()).await.expect("a server");
        let (stop, stopped) = oneshot::channel();
        let address = application.address();
        let serving = tokio::spawn(application.run_until(async { drop(stopped.await) }));
        let client = reqwest::Client::new();
        Self { address, data, client, stop: Some(stop), serving: Some(serving) }
    }

    /// Tells the server to stop; the second value is ready when it has.
    pub fn stop(&mut self) -> JoinHandle<anyhow::Result<()>> {
        self.stop.take().expect("it runs").send(()).expect("it listens");
        self.serving.take().expect("it runs")
    }

    pub fn ask(&self, method: Method, path: &str) -> RequestBuilder {
        self.client.request(method, format!("http://{}{path}", self.address)).timeout(PATIENCE)
    }

    /// As the session of this name.
    pub fn as_owner(&self, owner: &str, method: Method, path: &str) -> RequestBuilder {
        self.ask(method, path).bearer_auth(owner)
    }

    pub async fn get(&self, path: &str) -> Response {
        self.ask(Method::GET, path).send().await.expect("an answer")
    }

    pub async fn post(&self, path: &str, body: Value) -> Response {
        self.ask(Method::POST, path).json(&body).send().await.expect("an answer")
    }

    pub async fn generate(&self, body: Value) -> Value {
        let answer = self.post("/v1/images/generations", body).await;
        assert_eq!(answer.status(), 200, "{}", answer.text().await.unwrap_or_default());
        answer.json().await.expect("JSON")
    }

    /// The value of a metric's line that begins so.
    pub async fn metric(&self, line: &str) -> f64 {
        let text = self.get("/metrics").await.text().await.expect("text");
        let found = text.lines().find_map(|candidate| candidate.strip_prefix(line)?.trim().parse().ok());
        found.unwrap_or(0.0)
    }

    /// Waits until a metric has at least this value.
    pub async fn until(&self, line: &str, least: f64) {
        let waited = tokio::time::timeout(PATIENCE, async {
            while self.metric(line).await < least {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        });
        waited.await.unwrap_or_else(|_| panic!("{line} never became {least}"));
    }

    /// A job's view once it has ended.
    pub async fn ended(&self, owner: &str, id: &str) -> Value {
        let waited = tokio::time::timeout(PATIENCE, async {
            loop {
                let answer =
                    self.as_owner(owner, Method::GET, &format!("/v1/jobs/{id}")).send().await.expect("an answer");
                let job: Value = answer.json().await.expect("JSON");
                if !matches!(job["state"].as_str(), Some("queued" | "running")) {
                    return job;
                }
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        });
        waited.await.expect("an end")
    }

    /// Sends these bytes and leaves the connection open.
    pub async fn raw(&self, bytes: &str) -> TcpStream {
        let mut stream = TcpStream::connect(self.address).await.expect("a connection");
        stream.write_all(bytes.as_bytes()).await.expect("written");
        stream
    }

    /// A generation sent over a bare connection, which the caller may drop.
    pub async fn raw_generation(&self, headers: &str, body: &Value) -> TcpStream {
        let body = body.to_string();
        let head = "POST /v1/images/generations HTTP/1.1\r\nHost: test\r\nContent-Type: application/json\r\n";
        self.raw(&format!("{head}{headers}Content-Length: {}\r\n\r\n{body}", body.len())).await
    }
}

/// Everything until the other side closes.
pub async fn read_all(mut stream: TcpStream) -> String {
    let mut bytes = Vec::new();
    let read = tokio::time::timeout(PATIENCE, stream.read_to_end(&mut bytes)).await;
    read.expect("an end").ok();
    String::from_utf8_lossy(&bytes).into_owned()
}

/// A picture in two steps.
pub fn quick() -> Value {
    json!({"prompt": "two blue stars", "num_inference_steps": 2, "seed": 7})
}

/// [`quick`] with other fields.
pub fn with(fields: Value) -> Value {
    let mut body = quick();
    body.as_object_mut().expect("an object").extend(fields.as_object().expect("an object").clone());
    body
}

pub async fn error(answer: Response) -> (u16, Value) {
    let status = answer.status().as_u16();
    let kind = answer.headers().get("content-type").map(|kind| kind.to_str().expect("text").to_owned());
    assert_eq!(kind.as_deref(), Some("application/json"), "{status}");
    let body: Value = answer.json().await.expect("JSON");
    (status, body["error"].clone())
}

/// Events of a stream: name and data.
pub fn events(text: &str) -> Vec<(String, Value)> {
    let field = |block: &str, name: &str| {
        block.lines().find_map(|line| line.strip_prefix(name)).map(|value| value.trim().to_owned())
    };
    let event =
        |block: &str| Some((field(block, "event:")?, serde_json::from_str(&field(block, "data:")?).expect("JSON")));
    text.split("\n\n").filter_map(event).collect()
}
