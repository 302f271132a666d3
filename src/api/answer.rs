//! What answers look like.

use actix_web::HttpRequest;
use base64::{Engine as _, prelude::BASE64_STANDARD};
use bytes::Bytes;
use serde::Serialize;
use utoipa::ToSchema;

use super::{ApiError, Code, generation::Delivery};
use crate::{
    app::State,
    jobs::{ImageFormat, JobFailure, JobResult, JobState, JobView, MadeImage},
    store::ImageRecord,
};

/// What a generation made.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Images {
    /// Unix seconds
    pub(crate) created: i64,
    /// The job's name
    pub(crate) id: String,
    /// The model as it was asked for
    pub(crate) model: String,
    /// `name@hash` of what drew
    pub(crate) model_version: String,
    /// `name@hash` of what judged
    pub(crate) reward_version: Option<String>,
    /// In the order of their seeds; with `best_of` the best first
    pub(crate) data: Vec<Image>,
    /// Candidates that were drawn in full: fewer than `best_of` where the deadline, a threshold or a quick look ended it
    pub(crate) candidates_completed: usize,
    /// What the caller should know though it is no error
    pub(crate) warnings: Vec<String>,
}

/// A picture.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Image {
    /// The file, where it was asked for and not withheld
    pub(crate) b64_json: Option<String>,
    /// Where the file is, where it was asked for and not withheld
    pub(crate) url: Option<String>,
    /// Why there is no file: `safety` where the pack's safety checker flagged the picture, else null
    #[schema(value_type = Option<WithheldName>)]
    pub(crate) withheld: Option<&'static str>,
    /// Its name
    pub(crate) image_id: String,
    /// Its generator's seed
    pub(crate) seed: u32,
    /// How much it is likely to please: the probability of a thumbs-up; null where nothing here can tell
    pub(crate) reward: Option<f64>,
    /// Its place by reward among all candidates, from 1; in a stream only with `best_of`
    pub(crate) rank: Option<u32>,
    /// Lets its holder vote on it; null where it is withheld
    pub(crate) feedback_token: Option<String>,
    /// Always null: prompts are not rewritten
    pub(crate) revised_prompt: Option<String>,
}

/// Why a picture is withheld.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
#[allow(dead_code)] // documents Image::withheld
pub(crate) enum WithheldName {
    Safety,
}

/// The answer for what a job made.
pub(crate) async fn images(
    state: &State,
    base: &str,
    id: String,
    result: &JobResult,
    delivery: Delivery,
) -> Result<Images, ApiError> {
    let mut data = Vec::with_capacity(result.images.len());
    for made in &result.images {
        data.push(image(state, base, made, delivery).await?);
    }
    Ok(Images {
        created: result.created,
        id,
        model: result.model.clone(),
        model_version: result.model_version.clone(),
        reward_version: result.reward_version.clone(),
        candidates_completed: result.candidates,
        data,
        warnings: result.warnings.iter().cloned().chain(withheld(&result.images)).collect(),
    })
}

/// One picture of it.
pub(super) async fn image(state: &State, base: &str, made: &MadeImage, delivery: Delivery) -> Result<Image, ApiError> {
    let file = match delivery {
        Delivery::Url => None,
        Delivery::Base64 => file(state, made).await?,
    };
    Ok(Image::of(made, base, delivery, file, token(state, made)))
}

/// Lets whoever is given the picture vote on it; what nobody is shown cannot be voted on.
pub(super) fn token(state: &State, made: &MadeImage) -> Option<String> {
    let issue = || state.tokens.issue(made.id, made.rater.as_deref(), None, crate::app::now());
    (!made.withheld).then(issue)
}

impl Image {
    fn of(made: &MadeImage, base: &str, delivery: Delivery, file: Option<Bytes>, token: Option<String>) -> Self {
        let url = (delivery == Delivery::Url && !made.withheld).then(|| format!("{base}/v1/images/{}", made.id));
        Self {
            b64_json: file.map(|file| BASE64_STANDARD.encode(file)),
            url,
            withheld: made.withheld.then_some("safety"),
            image_id: made.id.to_string(),
            seed: made.seed,
            reward: made.reward.map(f64::from),
            rank: made.rank,
            feedback_token: token,
            revised_prompt: None,
        }
    }
}

/// A picture's file; `None` where it was withheld. A job from an earlier process has it in the store only.
pub(super) async fn file(state: &State, made: &MadeImage) -> anyhow::Result<Option<Bytes>> {
    match &made.bytes {
        _ if made.withheld => Ok(None),
        Some(bytes) => Ok(Some(bytes.clone())),
        None => Ok(state.store.image_bytes(made.id).await?.map(|(_, bytes)| bytes)),
    }
}

/// The warning where pictures were withheld.
pub(super) fn withheld(images: &[MadeImage]) -> Option<String> {
    let count = images.iter().filter(|made| made.withheld).count();
    (count > 0).then(|| {
        let all = images.len();
        format!("the safety checker withheld {count} of {all} pictures; change the prompt or the seed")
    })
}

/// The error where every picture was withheld, for answers that have no place for a reason.
pub(super) fn all_withheld() -> ApiError {
    let message = "the safety checker withheld every picture; change the prompt or the seed";
    ApiError::new(Code::ContentPolicyViolation, message)
}

/// Scheme and host as the caller knows them.
pub(crate) fn base(request: &HttpRequest) -> String {
    let connection = request.connection_info();
    format!("{}://{}", connection.scheme(), connection.host())
}

/// The media type of a coding.
pub(crate) fn media_type(format: ImageFormat) -> &'static str {
    match format {
        ImageFormat::Png => "image/png",
        ImageFormat::Webp => "image/webp",
        ImageFormat::Jpeg => "image/jpeg",
    }
}

/// The name of a coding.
pub(crate) fn format_name(format: ImageFormat) -> &'static str {
    match format {
        ImageFormat::Png => "png",
        ImageFormat::Webp => "webp",
        ImageFormat::Jpeg => "jpeg",
    }
}

/// Where a job stands.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Job {
    /// Its name
    pub(crate) id: String,
    /// Where it stands
    #[schema(value_type = StateName)]
    pub(crate) state: JobState,
    /// Jobs before it, while it waits
    pub(crate) queue_position: Option<usize>,
    /// Seconds until it is likely done, until it is
    pub(crate) estimated_seconds: Option<f64>,
    /// Picture-steps
    pub(crate) progress: Progress,
    /// The prompt
    pub(crate) prompt: String,
    /// Unix seconds
    pub(crate) created: i64,
    /// Unix seconds, once it ended
    pub(crate) finished: Option<i64>,
    /// What it made, once completed
    pub(crate) result: Option<Images>,
    /// Why it failed, if it did
    pub(crate) error: Option<ErrorBody>,
}

/// States of a job.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
#[allow(dead_code)] // documents crate::jobs::JobState
pub(crate) enum StateName {
    Queued,
    Running,
    Completed,
    Failed,
    Cancelled,
}

/// Picture-steps done, and in all.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Progress {
    /// Done
    pub(crate) done: usize,
    /// In all
    pub(crate) total: usize,
}

/// What a job's owner sees of it. Its pictures are under their addresses.
pub(crate) async fn job(state: &State, base: &str, view: JobView) -> Result<Job, ApiError> {
    let result = match &view.result {
        Some(result) => Some(images(state, base, view.id.to_string(), result, Delivery::Url).await?),
        None => None,
    };
    let (done, total) = view.progress;
    Ok(Job {
        id: view.id.to_string(),
        state: view.state,
        queue_position: view.queue_position,
        estimated_seconds: view.estimated_seconds,
        progress: Progress { done, total },
        prompt: view.prompt,
        created: view.created,
        finished: view.finished,
        result,
        error: view.failure.as_ref().map(ErrorBody::of_failure),
    })
}

/// What is wrong.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ErrorBody {
    /// For people
    pub(crate) message: String,
    /// OpenAI's kind of error
    pub(crate) r#type: String,
    /// The field at fault
    pub(crate) param: Option<String>,
    /// The contract: one of the codes in the documentation
    pub(crate) code: String,
}

impl ErrorBody {
    fn of_failure(failure: &JobFailure) -> Self {
        let kind = ApiError::from(failure).code().kind().to_owned();
        Self { message: failure.message.clone(), r#type: kind, param: None, code: failure.code.clone() }
    }
}

/// OpenAI's envelope around an error.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ErrorEnvelope {
    /// What is wrong
    pub(crate) error: ErrorBody,
}

/// A picture's facts.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Metadata {
    /// Its name
    pub(crate) image_id: String,
    /// The job that made it
    pub(crate) job_id: String,
    /// Which of the job's pictures, from 0
    pub(crate) index: usize,
    /// Where the file is
    pub(crate) url: String,
    /// Unix seconds
    pub(crate) created: i64,
    /// Unix seconds after which it is gone
    pub(crate) expires: i64,
    /// png, webp or jpeg
    pub(crate) format: String,
    /// Size of the file
    pub(crate) bytes: u64,
    /// Pixels
    pub(crate) width: u32,
    /// Pixels
    pub(crate) height: u32,
    /// Its generator's seed
    pub(crate) seed: u32,
    /// `name@hash` of what drew it
    pub(crate) model_version: String,
    /// How it was made, under the names of the request
    #[schema(value_type = Object)]
    pub(crate) parameters: serde_json::Value,
}

impl Metadata {
    pub(crate) fn of(record: ImageRecord, base: &str) -> Self {
        Self {
            image_id: record.id.to_string(),
            job_id: record.job.to_string(),
            index: record.index,
            url: format!("{base}/v1/images/{}", record.id),
            created: record.created,
            expires: record.expires,
            format: format_name(record.format).to_owned(),
            bytes: record.bytes,
            width: record.width,
            height: record.height,
            seed: record.seed,
            model_version: record.model_version,
            parameters: record.parameters,
        }
    }
}

/// A page of a list, the newest first.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct List<T> {
    /// Always `list`
    pub(crate) object: &'static str,
    /// The entries
    pub(crate) data: Vec<T>,
    /// Older ones are there: ask with `before` = the last entry's name
    pub(crate) has_more: bool,
}

impl<T> List<T> {
    /// Made from one entry more than a page holds.
    pub(crate) fn page(mut data: Vec<T>, limit: usize) -> Self {
        let has_more = data.len() > limit;
        data.truncate(limit);
        Self { object: "list", data, has_more }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::domain::ImageId;

    fn made(withheld: bool) -> MadeImage {
        let bytes = (!withheld).then(|| Bytes::from_static(b"file"));
        let (id, format) = (ImageId::new(), ImageFormat::Png);
        MadeImage {
            id,
            index: 0,
            seed: 7,
            width: 64,
            height: 64,
            format,
            model_version: "tiny@0123456789ab".into(),
            rater: None,
            withheld,
            reward: None,
            rank: None,
            bytes,
        }
    }

    #[test]
    fn a_withheld_picture_has_a_reason_in_the_place_of_a_file() {
        let told = |withheld, delivery| {
            let made = made(withheld);
            json!(Image::of(
                &made,
                "http://here",
                delivery,
                made.bytes.clone().filter(|_| delivery == Delivery::Base64),
                None
            ))
        };
        let whole = told(false, Delivery::Base64);
        assert_eq!((&whole["b64_json"], &whole["withheld"]), (&json!("ZmlsZQ=="), &json!(null)));
        let whole = told(false, Delivery::Url);
        assert!(whole["url"].is_string() && whole["withheld"].is_null(), "{whole}");
        for delivery in [Delivery::Base64, Delivery::Url] {
            let flagged = told(true, delivery);
            assert!(flagged["b64_json"].is_null() && flagged["url"].is_null(), "{flagged}");
            assert_eq!(flagged["withheld"], "safety");
        }
    }

    #[test]
    fn whoever_misses_a_picture_is_warned() {
        assert_eq!(withheld(&[made(false)]), None);
        let warning = withheld(&[made(false), made(true)]).expect("one is missing");
        assert!(warning.contains("withheld 1 of 2"), "{warning}");
    }
}
