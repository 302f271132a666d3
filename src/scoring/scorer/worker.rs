//! The thread that owns CLIP and calls rewards.

use std::{
    collections::BTreeSet,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::Arc,
    time::Instant,
};

use moka::sync::Cache;

use super::{
    Answer, ScoreError, ServedReward,
    queue::{Job, Queue},
};
use crate::{
    metrics::Metrics,
    scoring::{ClipModel, Pixels, ScoringError},
};

/// Rows of a call of the reward head: two points of 768 numbers each are 6 KiB.
const HEAD_ROWS: usize = 1024;

/// A point of CLIP's space, shared by whoever asked for it.
type Point = Arc<[f32]>;

/// What a call of the sessions needs.
#[derive(Debug)]
pub(super) struct Worker {
    pub(super) clip: ClipModel,
    pub(super) texts: Cache<String, Point>,
    pub(super) most: usize,
    pub(super) metrics: Metrics,
}

/// Answers until the queue is stopped.
pub(super) fn run(queue: &Queue, mut worker: Worker) {
    while let Some(jobs) = queue.next(worker.most) {
        let (began, rows) = (Instant::now(), jobs.iter().map(Job::rows).sum());
        // A request that no code foresaw must not end the thread: what waits behind it would wait for ever.
        let answered = catch_unwind(AssertUnwindSafe(|| worker.answer(&jobs)));
        let seconds = began.elapsed().as_secs_f64();
        queue.measured(rows, seconds);
        worker.metrics.scoring_seconds.observe(seconds);
        match answered {
            Ok(Ok(answers)) => jobs.into_iter().zip(answers).for_each(|(job, answer)| reply(job, answer)),
            Ok(Err(error)) => jobs.into_iter().for_each(|job| reply(job, Err(failed(&error)))),
            Err(_) => tracing::error!("scoring panicked; the requests of this call fail"),
        }
    }
}

/// Whoever asked may have left.
fn reply(job: Job, answer: Result<Answer, ScoreError>) {
    let _ = job.reply.send(answer);
}

fn failed(error: &ScoringError) -> ScoreError {
    tracing::error!(%error, "scoring failed");
    ScoreError::Failed(error.to_string())
}

impl Worker {
    /// An answer for each job. CLIP is everybody's; a reward that fails fails only those who asked for it.
    fn answer(&mut self, jobs: &[Job]) -> Result<Vec<Result<Answer, ScoreError>>, ScoringError> {
        self.embed_texts(jobs)?;
        let mut pictures = self.embed_pictures(jobs)?.into_iter();
        let mut answers = Vec::with_capacity(jobs.len());
        for job in jobs {
            let images: Vec<Point> = pictures.by_ref().take(job.pixels.len()).collect();
            let texts = job.texts.iter().map(|text| self.text(text)).collect::<Result<Vec<_>, _>>()?;
            let rewards = job.reward.as_ref().map(|reward| rewards(reward, &texts, &images)).transpose();
            let answer = rewards.map(|rewards| Answer { texts, images, rewards });
            answers.push(answer.map_err(|error| failed(&error)));
        }
        Ok(answers)
    }

    /// Brings all texts of a call into the cache, a few rows at a time.
    fn embed_texts(&mut self, jobs: &[Job]) -> Result<(), ScoringError> {
        let all: BTreeSet<&str> = jobs.iter().flat_map(|job| &job.texts).map(String::as_str).collect();
        let new: Vec<&str> = all.into_iter().filter(|text| !self.texts.contains_key(*text)).collect();
        for texts in new.chunks(self.most) {
            let points = self.clip.text_embeddings(texts)?;
            texts.iter().zip(points).for_each(|(text, point)| self.texts.insert((*text).to_owned(), point.into()));
        }
        Ok(())
    }

    /// A text's point; a cache that is too small for a call may have let go of it.
    fn text(&mut self, text: &str) -> Result<Point, ScoringError> {
        if let Some(known) = self.texts.get(text) {
            return Ok(known);
        }
        let missing = ScoringError::HeadAnswer("text_embeds");
        self.clip.text_embeddings(&[text])?.pop().map(Into::into).ok_or(missing)
    }

    fn embed_pictures(&mut self, jobs: &[Job]) -> Result<Vec<Point>, ScoringError> {
        let all: Vec<&Pixels> = jobs.iter().flat_map(|job| &job.pixels).collect();
        let mut points = Vec::with_capacity(all.len());
        for pixels in all.chunks(self.most) {
            self.metrics.scoring_rows.observe(pixels.len() as f64);
            points.extend(self.clip.embed_pixels(pixels)?.into_iter().map(Point::from));
        }
        Ok(points)
    }
}

/// The reward of every text with every picture, `[texts, pictures]`.
fn rewards(reward: &ServedReward, texts: &[Point], images: &[Point]) -> Result<Vec<f32>, ScoringError> {
    let rows: Vec<(&[f32], &[f32])> =
        texts.iter().flat_map(|text| images.iter().map(move |image| (&**image, &**text))).collect();
    let mut rewards = Vec::with_capacity(rows.len());
    for rows in rows.chunks(HEAD_ROWS) {
        rewards.extend(reward.run(rows.iter().copied())?.into_iter().map(|row| row.reward));
    }
    Ok(rewards)
}
