//! Jobs as the store keeps them: JSON with enough to draw a request again and to tell what came of it.

use std::{
    sync::Arc,
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use anyhow::Context;
use bytes::Bytes;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::{
    Choosing, ImageFormat, JobEvent, JobEventKind, JobFailure, JobResult, JobState, JobView, MadeImage, Submission,
    best_of::picture_steps, run::Drawn,
};
use crate::{
    domain::ImageId,
    engine::{Class, ModelFacts, Order},
    pipeline::{Request, Start},
    store::{JobRecord, Store},
};

/// A submission without its owner, its `Idempotency-Key` and the picture it starts from, which have columns of their
/// own.
#[derive(Debug, Serialize, Deserialize)]
struct StoredRequest {
    prompt: String,
    negative_prompt: String,
    count: usize,
    seed: u32,
    steps: usize,
    guidance: f32,
    guidance_interval: Option<(f64, f64)>,
    scheduler: Option<String>,
    size: Option<(usize, usize)>,
    strength: Option<f64>,
    client: String,
    class: Class,
    /// Unix seconds.
    deadline: Option<f64>,
    previews: usize,
    deterministic: bool,
    format: ImageFormat,
    rater: Option<String>,
    model: String,
    warnings: Vec<String>,
    /// Absent in what earlier versions wrote.
    #[serde(default)]
    request_id: Option<String>,
    #[serde(default)]
    choosing: Option<Choosing>,
}

/// The stored form of a submission.
pub(super) fn request(submission: &Submission) -> serde_json::Result<Value> {
    let Order { request, client, class, deadline, previews, optional: _, deterministic } = &submission.order;
    serde_json::to_value(StoredRequest {
        prompt: request.prompt.clone(),
        negative_prompt: request.negative_prompt.clone(),
        count: request.count,
        seed: request.seed,
        steps: request.steps,
        guidance: request.guidance,
        guidance_interval: request.guidance_interval,
        scheduler: request.scheduler.map(|kind| kind.name().to_owned()),
        size: request.size,
        strength: request.start.as_ref().map(|start| start.strength),
        client: client.to_string(),
        class: *class,
        deadline: deadline.map(|at| unix() + at.saturating_duration_since(Instant::now()).as_secs_f64()),
        previews: *previews,
        deterministic: *deterministic,
        format: submission.format,
        rater: submission.rater.clone(),
        model: submission.model.clone(),
        warnings: submission.warnings.clone(),
        request_id: submission.request_id.clone(),
        choosing: submission.choosing.clone(),
    })
}

/// The submission that a stored job was made from.
pub(super) fn submission(record: &JobRecord, start: Option<Bytes>) -> anyhow::Result<Submission> {
    let stored = StoredRequest::deserialize(&record.request).context("the stored request cannot be read")?;
    let start = match (start, stored.strength) {
        (Some(bytes), Some(strength)) => {
            Some(Start { image: Arc::new(image::load_from_memory(&bytes)?.into_rgb8()), strength })
        }
        _ => None,
    };
    let request = Request {
        prompt: stored.prompt,
        negative_prompt: stored.negative_prompt,
        count: stored.count,
        picked: None,
        seed: stored.seed,
        steps: stored.steps,
        guidance: stored.guidance,
        scheduler: stored.scheduler.map(|name| name.parse()).transpose()?,
        size: stored.size,
        guidance_interval: stored.guidance_interval,
        start,
    };
    let left = |at: f64| Duration::try_from_secs_f64(at - unix()).unwrap_or_default();
    let order = Order {
        request,
        client: stored.client.into(),
        class: stored.class,
        deadline: stored.deadline.map(|at| Instant::now() + left(at)),
        previews: stored.previews,
        optional: optional(stored.count, stored.choosing.as_ref()),
        deterministic: stored.deterministic,
    };
    Ok(Submission {
        owner: record.owner.clone(),
        order,
        choosing: stored.choosing,
        format: stored.format,
        keep: record.keep,
        rater: stored.rater,
        idempotency: None,
        model: stored.model,
        warnings: stored.warnings,
        request_id: stored.request_id,
        // Whoever asked before a restart has long ended its span.
        traceparent: None,
    })
}

/// Candidates that may be missing at the deadline.
pub(crate) fn optional(count: usize, choosing: Option<&Choosing>) -> usize {
    choosing.map_or(0, |choosing| count.saturating_sub(choosing.most))
}

fn unix() -> f64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0.0, |since| since.as_secs_f64())
}

/// All parameters of a request, under the API's names; what it left to the pack is filled in.
pub(super) fn parameters(submission: &Submission, model: &ModelFacts) -> Value {
    let request = &submission.order.request;
    let (width, height) = request.size.unwrap_or(model.size);
    json!({
        "prompt": request.prompt,
        "negative_prompt": request.negative_prompt,
        "n": submission.choosing.as_ref().map_or(request.count, |choosing| choosing.most),
        "best_of": submission.choosing.as_ref().map(|_| request.count),
        "reward_threshold": submission.choosing.as_ref().and_then(|choosing| choosing.threshold),
        "seed": request.seed,
        "num_inference_steps": request.steps,
        "guidance_scale": request.guidance,
        "guidance_interval": request.guidance_interval,
        "scheduler": request.scheduler.unwrap_or(model.scheduler).name(),
        "size": format!("{width}x{height}"),
        "strength": request.start.as_ref().map(|start| start.strength),
        "deterministic": submission.order.deterministic,
        "output_format": submission.format.name(),
        "model": submission.model,
    })
}

#[derive(Debug, Serialize, Deserialize)]
struct StoredResult {
    model: String,
    model_version: String,
    #[serde(default)]
    reward_version: Option<String>,
    /// Absent in what earlier versions wrote.
    #[serde(default)]
    candidates: Option<usize>,
    warnings: Vec<String>,
    images: Vec<StoredImage>,
}

#[derive(Debug, Serialize, Deserialize)]
struct StoredImage {
    id: ImageId,
    index: usize,
    seed: u32,
    width: u32,
    height: u32,
    format: ImageFormat,
    withheld: bool,
    #[serde(default)]
    reward: Option<f32>,
    #[serde(default)]
    rank: Option<u32>,
    /// Of the event that told of it.
    sequence: u64,
}

/// The stored form of a result, without the pictures' bytes.
pub(super) fn result(result: &JobResult, drawn: &[Drawn]) -> serde_json::Result<Value> {
    let image = |Drawn { image, sequence }: &Drawn| StoredImage {
        id: image.id,
        index: image.index,
        seed: image.seed,
        width: image.width,
        height: image.height,
        format: image.format,
        withheld: image.withheld,
        reward: image.reward,
        rank: image.rank,
        sequence: *sequence,
    };
    serde_json::to_value(StoredResult {
        model: result.model.clone(),
        model_version: result.model_version.clone(),
        reward_version: result.reward_version.clone(),
        candidates: Some(result.candidates),
        warnings: result.warnings.clone(),
        images: drawn.iter().map(image).collect(),
    })
}

/// Whether a stored job is told with its pictures' bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Bodies {
    Load,
    Leave,
}

async fn read_result(
    store: &Store,
    record: &JobRecord,
    bodies: Bodies,
) -> anyhow::Result<Option<(JobResult, Vec<u64>)>> {
    let Some(value) = &record.result else { return Ok(None) };
    let stored = StoredResult::deserialize(value).context("the stored result cannot be read")?;
    let rater = record.request["rater"].as_str().map(str::to_owned);
    let (mut images, mut sequences) = (Vec::new(), Vec::new());
    for image in stored.images {
        let StoredImage { id, index, seed, width, height, format, withheld, reward, rank, sequence } = image;
        let bytes = match bodies {
            Bodies::Load if !withheld => store.image_bytes(id).await?.map(|(_, bytes)| bytes),
            _ => None,
        };
        images.push(MadeImage {
            id,
            index,
            seed,
            width,
            height,
            format,
            model_version: stored.model_version.clone(),
            rater: rater.clone(),
            withheld,
            reward,
            rank,
            bytes,
        });
        sequences.push(sequence);
    }
    let StoredResult { model, model_version, reward_version, candidates, warnings, .. } = stored;
    let (created, candidates) = (record.created, candidates.unwrap_or(images.len()));
    Ok(Some((JobResult { created, model, model_version, reward_version, candidates, images, warnings }, sequences)))
}

/// A stored job as its owner sees it.
pub(super) async fn view(store: &Store, record: &JobRecord, bodies: Bodies) -> anyhow::Result<JobView> {
    let stored = StoredRequest::deserialize(&record.request).context("the stored request cannot be read")?;
    let total = picture_steps(stored.count, stored.steps, stored.choosing.as_ref());
    Ok(JobView {
        id: record.id,
        state: record.state,
        queue_position: None,
        estimated_seconds: None,
        progress: (if record.state == JobState::Completed { total } else { 0 }, total),
        prompt: stored.prompt,
        created: record.created,
        finished: record.finished,
        result: read_result(store, record, bodies).await?.map(|(result, _)| Arc::new(result)),
        failure: record.failure.clone().map(|failure| failure.shown(record.id)),
    })
}

/// What is left to tell of a job that has ended, after an event.
pub(super) async fn events(store: &Store, record: &JobRecord, after: u64) -> anyhow::Result<Vec<JobEvent>> {
    let mut events = Vec::new();
    let end = match (record.state, read_result(store, record, Bodies::Load).await?) {
        (JobState::Completed, Some((result, sequences))) => {
            let told = result.images.iter().cloned().zip(sequences);
            events.extend(told.map(|(image, sequence)| JobEvent { sequence, kind: JobEventKind::Picture(image) }));
            JobEventKind::Completed(Arc::new(result))
        }
        (JobState::Cancelled, _) => JobEventKind::Cancelled,
        _ => JobEventKind::Failed(match &record.failure {
            Some(failure) => failure.clone().shown(record.id),
            None => JobFailure::internal(record.id, "the store has no failure"),
        }),
    };
    events.push(JobEvent { sequence: record.last_sequence, kind: end });
    events.sort_by_key(|event| event.sequence);
    events.retain(|event| event.sequence > after);
    Ok(events)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        domain::{JobId, Owner},
        jobs::Pruning,
        pipeline::schedule::SchedulerKind,
    };

    #[test]
    fn a_stored_request_is_drawn_again_as_it_was() {
        let start = image::RgbImage::from_fn(8, 8, |x, y| image::Rgb([x as u8, y as u8, 3]));
        let request = Request {
            prompt: "two blue stars".into(),
            negative_prompt: "blur".into(),
            count: 3,
            picked: None,
            seed: u32::MAX,
            steps: 7,
            guidance: 4.3,
            scheduler: Some(SchedulerKind::DpmPp2mKarras),
            size: Some((64, 32)),
            guidance_interval: Some((0.1, 0.9)),
            start: Some(Start { image: Arc::new(start.clone()), strength: 0.6 }),
        };
        let order = Order {
            request,
            client: "key_1".into(),
            class: Class::Bulk,
            deadline: Some(Instant::now() + Duration::from_secs(60)),
            previews: 2,
            optional: 1,
            deterministic: true,
        };
        let submission = Submission {
            owner: Owner::session("a"),
            order,
            choosing: Some(Choosing {
                most: 2,
                threshold: Some(0.5),
                random_share: 0.1,
                pruning: Some(Pruning { steps: 3, survivors: 2 }),
            }),
            format: ImageFormat::Webp,
            keep: true,
            rater: Some("r".into()),
            idempotency: None,
            model: "miniature".into(),
            warnings: vec!["w".into()],
            request_id: Some("req-1".into()),
            traceparent: None,
        };
        let record = JobRecord {
            id: JobId::new(),
            owner: submission.owner.clone(),
            state: JobState::Queued,
            keep: true,
            request: super::request(&submission).expect("JSON"),
            start: None,
            attempts: 0,
            last_sequence: 0,
            result: None,
            failure: None,
            created: 0,
            finished: None,
        };
        let mut bytes = std::io::Cursor::new(Vec::new());
        start.write_to(&mut bytes, image::ImageFormat::Png).expect("PNG");
        let read = super::submission(&record, Some(bytes.into_inner().into())).expect("readable");
        assert_eq!(read.order.request, submission.order.request);
        let left = read.order.deadline.expect("kept") - Instant::now();
        assert!((58.0..=60.0).contains(&left.as_secs_f64()), "{left:?}");
        let facts = |s: &Submission| {
            format!(
                "{:?}",
                (
                    &s.owner,
                    &s.order.client,
                    s.order.class,
                    s.order.previews,
                    s.order.deterministic,
                    s.format,
                    s.keep,
                    &s.rater,
                    &s.model,
                    &s.warnings,
                    &s.request_id
                )
            )
        };
        assert_eq!(facts(&read), facts(&submission));
        assert_eq!((read.order.optional, read.choosing), (submission.order.optional, submission.choosing));
    }
}
