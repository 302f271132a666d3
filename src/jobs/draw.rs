//! From what the engine tells to scored candidates.

use std::{sync::Arc, time::SystemTime};

use futures_util::{StreamExt, future::BoxFuture, stream::FuturesUnordered};
use image::RgbImage;

use super::{
    JobEventKind, JobFailure, MadeImage, encode,
    run::{Drawn, End, Run},
    stored,
};
use crate::{
    domain::ImageId,
    engine::{Event, Ticket},
    scoring::{Points, Score, ScoreError, Scorer},
    selection,
    store::{self, ImageRecord},
    traces,
};

/// Scoring pictures, as metrics and traces call it.
pub(super) const REWARD: &str = "reward";

/// A picture that the engine drew, and what it is thought to be worth.
#[derive(Debug)]
pub(super) struct Candidate {
    /// Its picture's name, should it be shown.
    pub(super) id: ImageId,
    /// Which of the request's candidates.
    pub(super) index: usize,
    pub(super) seed: u32,
    /// `None`: flagged.
    pub(super) pixels: Option<Arc<RgbImage>>,
    pub(super) score: Option<Score>,
    /// What another reward would read.
    pub(super) points: Option<Points>,
}

/// How an order is drawn.
#[derive(Debug, Default)]
pub(super) struct Drawing {
    /// The candidates that the order's pictures are; `None`: the first ones.
    pub(super) picked: Option<Vec<u32>>,
    /// Candidates are held until there is a choice, not shown as they come.
    pub(super) held: bool,
    /// It ends once so many candidates have such a reward.
    pub(super) enough: Option<(usize, f32)>,
    /// Picture-steps that were done before, and in all, where the order is a part of the job.
    pub(super) steps: Option<(usize, usize)>,
}

/// A candidate on its way to its score.
type Scoring = BoxFuture<'static, Scored>;

/// A candidate, and how its scoring went.
#[derive(Debug)]
struct Scored {
    candidate: Candidate,
    /// How long it took; `None` where nothing scores here.
    stage: Option<traces::Stage>,
    failed: bool,
}

impl Run {
    /// Follows an order to its end. What it drew is in `candidates`.
    pub(super) async fn draw(&mut self, mut ticket: Ticket, drawing: &Drawing) -> End {
        let live = self.live.clone();
        let mut scoring: FuturesUnordered<Scoring> = FuturesUnordered::new();
        let mut end = None;
        loop {
            if scoring.is_empty()
                && let Some(end) = end.take()
            {
                return end;
            }
            let told = tokio::select! {
                biased;
                cause = live.stopped() => return End::Stopped(cause),
                Some(scored) = scoring.next(), if !scoring.is_empty() => {
                    let told = self.scored(scored, drawing.held).await;
                    if self.is_enough(drawing) {
                        return End::Completed(Vec::new());
                    }
                    told
                }
                event = ticket.next(), if end.is_none() => match event {
                    Some(Event::Started { queued }) => self.started(queued),
                    Some(Event::Progress { done, total }) => {
                        let (before, total) = drawing.steps.unwrap_or((0, total));
                        live.push(JobEventKind::Progress { done: before + done, total });
                        Ok(())
                    }
                    Some(Event::Preview { picture, number, image }) => self.preview(picture, number, image).await,
                    Some(Event::Picture { picture, seed, image }) => {
                        let index = drawing.picked.as_ref().and_then(|picked| picked.get(picture));
                        let index = index.map_or(picture, |index| *index as usize);
                        scoring.push(self.score(index, seed, image));
                        Ok(())
                    }
                    Some(Event::Finished { warnings, timings }) => {
                        self.observe(&timings);
                        end = Some(End::Completed(warnings.iter().map(ToString::to_string).collect()));
                        Ok(())
                    }
                    Some(Event::Failed(failure)) => {
                        end = Some(End::of_engine(live.facts.id, failure));
                        Ok(())
                    }
                    None => {
                        end = Some(End::Failed(JobFailure::internal(live.facts.id, "the engine stopped")));
                        Ok(())
                    }
                },
            };
            if let Err(error) = told {
                return End::of_error(live.facts.id, &error);
            }
        }
    }

    /// A candidate that will have a score, if anything here can tell it.
    fn score(&self, index: usize, seed: u32, image: Option<RgbImage>) -> Scoring {
        let (id, pixels) = (ImageId::new(), image.map(Arc::new));
        let candidate = Candidate { id, index, seed, pixels, score: None, points: None };
        let (Some(scorer), Some(pixels)) = (self.scorer.clone(), candidate.pixels.clone()) else {
            return Box::pin(std::future::ready(Scored { candidate, stage: None, failed: false }));
        };
        let prompt = self.submission.order.request.prompt.clone();
        Box::pin(async move {
            let began = SystemTime::now();
            let found = score(&scorer, &prompt, pixels).await;
            let stage = Some(traces::Stage { name: REWARD, began, ended: SystemTime::now() });
            // A queue that is full says nothing of what scores.
            let failed = matches!(found, Err(ScoreError::Failed(_)));
            let (score, points) = found.ok().unzip();
            Scored { candidate: Candidate { score, points, ..candidate }, stage, failed }
        })
    }

    async fn scored(&mut self, scored: Scored, held: bool) -> anyhow::Result<()> {
        let Scored { candidate, stage, failed } = scored;
        self.unscored |= failed;
        self.stages.extend(stage);
        if !held {
            self.show(&candidate, candidate.index, None).await?;
        }
        self.candidates.push(candidate);
        Ok(())
    }

    fn is_enough(&self, drawing: &Drawing) -> bool {
        let Some((most, threshold)) = drawing.enough else { return false };
        let rewards = self.candidates.iter().filter_map(|candidate| candidate.score.as_ref()?.reward);
        selection::is_enough(rewards, most, Some(threshold))
    }

    /// Codes and keeps a candidate, and tells of it as the job's picture `index`, with its rank where that is known already.
    pub(super) async fn show(&mut self, candidate: &Candidate, index: usize, rank: Option<u32>) -> anyhow::Result<()> {
        let format = self.submission.format;
        let asked = || self.submission.order.request.size.unwrap_or(self.generator.facts().size);
        let (width, height) = match &candidate.pixels {
            Some(pixels) => pixels.dimensions(),
            None => (asked().0 as u32, asked().1 as u32),
        };
        let bytes = match candidate.pixels.clone() {
            Some(pixels) => {
                let pixels = Arc::unwrap_or_clone(pixels);
                Some(self.timed(encode::picture(format, candidate.seed, pixels, self.origin.clone())).await?)
            }
            None => None,
        };
        let made = MadeImage {
            id: candidate.id,
            index,
            seed: candidate.seed,
            width,
            height,
            format,
            model_version: self.origin.version.clone(),
            rater: self.submission.rater.clone(),
            withheld: bytes.is_none(),
            reward: candidate.score.as_ref().and_then(|score| score.reward),
            rank,
            bytes,
        };
        self.keep(&made).await?;
        let sequence = self.live.push(JobEventKind::Picture(made.clone()));
        self.drawn.push(Drawn { image: made, sequence });
        Ok(())
    }

    /// Stores a picture, so that whoever is told of it can fetch it.
    async fn keep(&self, made: &MadeImage) -> anyhow::Result<()> {
        let Some(bytes) = made.bytes.clone() else { return Ok(()) };
        let mut parameters = stored::parameters(&self.submission, self.generator.facts());
        parameters["seed"] = made.seed.into();
        let created = store::now();
        let record = ImageRecord {
            id: made.id,
            job: self.live.facts.id,
            index: made.index,
            created,
            expires: self.jobs.expires(created),
            format: made.format,
            bytes: bytes.len() as u64,
            width: made.width,
            height: made.height,
            seed: made.seed,
            model_version: made.model_version.clone(),
            chosen_by: self.reward_version().filter(|_| self.chosen.by_reward),
            rater: self.submission.rater.clone(),
            parameters,
        };
        self.jobs.store.add_image(&self.live.facts.owner, &record, bytes, self.jobs.settings.quota).await
    }
}

/// A score, if there is one to have: a picture is worth having without.
async fn score(scorer: &Scorer, prompt: &str, pixels: Arc<RgbImage>) -> Result<(Score, Points), ScoreError> {
    scorer.score_one(prompt, pixels).await.inspect_err(|error| tracing::warn!(%error, "a picture is not scored"))
}
