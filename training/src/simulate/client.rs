//! The server over HTTP, as an application uses it: pictures for a rater, votes with their tokens.

use std::time::Duration;

use base64::{Engine, engine::general_purpose::STANDARD};
use image::RgbImage;
use reqwest::{Method, RequestBuilder, Response, StatusCode};
use serde_json::{Value, json};

use super::SimulateError;

/// A busy server answers later; a dead one never.
const PATIENCE: Duration = Duration::from_secs(300);
/// Tries of a request that the server is too busy for.
const TRIES: u32 = 60;
/// Where an answer says no time itself.
const PAUSE: Duration = Duration::from_secs(1);

/// A client with a key.
#[derive(Debug, Clone)]
pub struct Client {
    url: String,
    key: String,
    http: reqwest::Client,
}

/// A picture that a rater was shown.
#[derive(Debug, Clone)]
pub struct Shown {
    /// Its name.
    pub image_id: String,
    /// Lets its rater vote.
    pub token: String,
    /// What drew it.
    pub model_version: String,
    /// The picture.
    pub picture: RgbImage,
}

impl Client {
    /// Of a server's address and a key.
    pub fn new(url: &str, key: &str) -> Self {
        Self { url: url.trim_end_matches('/').to_owned(), key: key.to_owned(), http: reqwest::Client::new() }
    }

    /// Pictures of a prompt, for a rater.
    ///
    /// # Errors
    /// A server that refuses or does not answer.
    pub async fn draw(
        &self,
        prompt: &str,
        rater: &str,
        pictures: usize,
        steps: usize,
        seed: u32,
    ) -> Result<Vec<Shown>, SimulateError> {
        let body = json!({"prompt": prompt, "rater": rater, "n": pictures, "num_inference_steps": steps, "seed": seed});
        let answer = self.ask(Method::POST, "/v1/images/generations", Some(&body), None).await?;
        let version = answer["model_version"].as_str().unwrap_or_default().to_owned();
        let all = answer["data"].as_array().map(Vec::as_slice).unwrap_or_default();
        all.iter().map(|one| shown(one, &version)).collect()
    }

    /// Votes, all or none. `once` makes a second try count once.
    ///
    /// # Errors
    /// As [`Client::draw`].
    pub async fn vote(&self, items: &[Value], once: &str) -> Result<(), SimulateError> {
        if items.is_empty() {
            return Ok(());
        }
        self.ask(Method::POST, "/v1/feedback", Some(&json!({"items": items})), Some(once)).await.map(drop)
    }

    /// The version that serves.
    ///
    /// # Errors
    /// As [`Client::draw`].
    pub async fn serves(&self) -> Result<String, SimulateError> {
        let info = self.ask(Method::GET, "/info", None, None).await?;
        info["model_version"].as_str().map(str::to_owned).ok_or_else(|| SimulateError::Unreadable(info.to_string()))
    }

    /// The newest trial, if there was one.
    ///
    /// # Errors
    /// As [`Client::draw`].
    pub async fn trial(&self) -> Result<Option<Value>, SimulateError> {
        let list = self.ask(Method::GET, "/v1/admin/trials", None, None).await?;
        Ok(list["data"].get(0).cloned())
    }

    /// Promotes a generator, as the operator.
    ///
    /// # Errors
    /// As [`Client::draw`].
    pub async fn promote(&self, version: &str, expected: &str, reason: &str) -> Result<(), SimulateError> {
        let path = format!("/v1/admin/versions/generator/{version}/promote");
        self.ask(Method::POST, &path, Some(&json!({"expected": expected, "reason": reason})), None).await.map(drop)
    }

    async fn ask(
        &self,
        method: Method,
        path: &str,
        body: Option<&Value>,
        once: Option<&str>,
    ) -> Result<Value, SimulateError> {
        let what = format!("{method} {path}");
        let failed = |source| SimulateError::Request { what: what.clone(), source };
        let mut last = None;
        for _ in 0..TRIES {
            let mut request = self.request(method.clone(), path);
            if let Some(body) = body {
                request = request.json(body);
            }
            if let Some(once) = once {
                request = request.header("Idempotency-Key", once);
            }
            let answer = request.send().await.map_err(failed)?;
            let (status, wait) = (answer.status(), wait(&answer));
            let text = answer.text().await.map_err(failed)?;
            if status.is_success() {
                return serde_json::from_str(&text)
                    .map_err(|error| SimulateError::Unreadable(format!("{error}: {text}")));
            }
            let busy = matches!(status, StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE);
            last = Some(SimulateError::Answer { what: what.clone(), status: status.as_u16(), body: text });
            if !busy {
                break;
            }
            tokio::time::sleep(wait).await;
        }
        Err(last.unwrap_or_else(|| SimulateError::Unreadable(what)))
    }

    fn request(&self, method: Method, path: &str) -> RequestBuilder {
        self.http.request(method, format!("{}{path}", self.url)).timeout(PATIENCE).bearer_auth(&self.key)
    }
}

fn wait(answer: &Response) -> Duration {
    let named = answer.headers().get("retry-after").and_then(|value| value.to_str().ok()?.parse().ok());
    named.map_or(PAUSE, Duration::from_secs)
}

fn shown(one: &Value, version: &str) -> Result<Shown, SimulateError> {
    let text = |name: &str| {
        let found = one[name].as_str().map(str::to_owned);
        found.ok_or_else(|| SimulateError::Unreadable(format!("a picture has no {name}")))
    };
    let bytes = STANDARD.decode(text("b64_json")?).map_err(|error| SimulateError::Unreadable(error.to_string()))?;
    let picture = image::load_from_memory(&bytes).map_err(|error| SimulateError::Unreadable(error.to_string()))?;
    let (image_id, token, model_version) = (text("image_id")?, text("feedback_token")?, version.to_owned());
    Ok(Shown { image_id, token, model_version, picture: picture.to_rgb8() })
}
