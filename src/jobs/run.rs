//! One task a job: what the engine says becomes the job's history, pictures are coded and kept, the end is written
//! down.

use std::{
    collections::BTreeMap,
    sync::Arc,
    time::{Duration, SystemTime},
};

use image::RgbImage;
use tokio::sync::oneshot;

use super::{
    JobEventKind, JobFailure, JobResult, JobState, MadeImage, Submission, SubmitError,
    best_of::{Chosen, judged},
    draw::{Candidate, Drawing, REWARD},
    encode::{self, Origin},
    failure::INTERNAL,
    live::{Live, Stop},
    log::{self, Candidates},
    service::Inner,
    stored, trace,
};
use crate::{
    domain::JobId,
    engine::{Failure, Generator, Stage, Ticket, Timings},
    scoring::Scorer,
    selection::choose,
    store::{self, Ending, is_full},
    traces,
    trial::{Outcome, Scoring, Served, is_blank, spread},
};

/// A picture that was drawn, and the event that told of it.
#[derive(Debug, Clone)]
pub(super) struct Drawn {
    pub(super) image: MadeImage,
    pub(super) sequence: u64,
}

/// Coding pictures and previews, as metrics and traces call it.
const ENCODE: &str = "encode";

/// A job's task.
pub(super) struct Run {
    pub(super) jobs: Arc<Inner>,
    pub(super) live: Arc<Live>,
    pub(super) submission: Submission,
    /// What draws, from the first order to the last.
    pub(super) generator: Arc<Generator>,
    /// What judges, all candidates alike.
    pub(super) scorer: Option<Scorer>,
    pub(super) origin: Origin,
    /// What was drawn in full; in the order of the seeds once that is over.
    pub(super) candidates: Vec<Candidate>,
    pub(super) chosen: Chosen,
    /// What is shown.
    pub(super) drawn: Vec<Drawn>,
    /// For the trace.
    pub(super) stages: Vec<traces::Stage>,
    /// What the denoiser took.
    pub(super) denoising: Option<Duration>,
    /// A picture could not be scored.
    pub(super) unscored: bool,
}

/// The code of a job that was not done in time.
pub(super) const DEADLINE: &str = "deadline_exceeded";

/// How a job ends.
pub(super) enum End {
    Completed(Vec<String>),
    Failed(JobFailure),
    Stopped(Stop),
}

impl End {
    pub(super) fn of_error(job: JobId, error: &anyhow::Error) -> Self {
        Self::Failed(match is_full(error) {
            true => {
                JobFailure { code: "disk_full".into(), message: format!("no room is left to keep pictures: {error}") }
            }
            false => JobFailure::internal(job, format!("{error:#}")),
        })
    }

    pub(super) fn of_engine(job: JobId, failure: Failure) -> Self {
        match failure {
            Failure::Deadline { .. } => {
                Self::Failed(JobFailure { code: DEADLINE.into(), message: failure.to_string() })
            }
            Failure::Runtime(detail) => Self::Failed(JobFailure::internal(job, detail)),
            // This task drops its ticket before it ends a job, so who cancelled can only be the engine on its way down.
            Failure::Cancelled => Self::Stopped(Stop::Shutdown),
        }
    }
}

/// A task that dies leaves nobody waiting. The row stays without an end, as after a kill.
impl Drop for Run {
    fn drop(&mut self) {
        if !self.live.is_closed() {
            tracing::error!(job = %self.live.facts.id, "the task of a job died");
            self.jobs.remove(self.live.facts.id);
            self.live.close(None);
        }
    }
}

impl Run {
    pub(super) fn new(jobs: Arc<Inner>, live: Arc<Live>, submission: Submission, generator: Arc<Generator>) -> Self {
        let model = generator.facts();
        let origin = Origin {
            scheduler: submission.order.request.scheduler.unwrap_or(model.scheduler),
            version: model.version.clone(),
            request: Arc::new(submission.order.request.clone()),
        };
        Self {
            scorer: jobs.scorer(&submission),
            jobs,
            live,
            submission,
            generator,
            origin,
            candidates: Vec::new(),
            chosen: Chosen::default(),
            drawn: Vec::new(),
            stages: Vec::new(),
            denoising: None,
            unscored: false,
        }
    }

    /// `name@hash` of what judges.
    pub(super) fn reward_version(&self) -> Option<String> {
        self.scorer.as_ref()?.reward_version()
    }

    /// A new job: writes it down, tells whoever submitted it, and follows it to its end.
    pub(super) async fn admitted(self, ticket: Ticket, told: oneshot::Sender<Result<(), SubmitError>>) {
        if let Err(error) = self.write_down().await {
            drop(ticket);
            self.jobs.remove(self.live.facts.id);
            self.live.close(None);
            let full = is_full(&error);
            // Nobody hears it where the caller left meanwhile.
            let _ = told.send(Err(if full { self.jobs.full(format!("{error:#}")) } else { error.into() }));
            return;
        }
        let _ = told.send(Ok(()));
        self.follow(ticket).await;
    }

    async fn write_down(&self) -> anyhow::Result<()> {
        let picture = self.submission.order.request.start.as_ref().filter(|_| self.submission.keep);
        let start = match picture {
            Some(start) => Some(encode::start(start.image.clone()).await?),
            None => None,
        };
        let facts = &self.live.facts;
        let job = store::NewJob {
            id: facts.id,
            owner: facts.owner.clone(),
            keep: facts.keep,
            request: stored::request(&self.submission)?,
            start,
            idempotency: self.submission.idempotency.clone(),
            created: facts.created,
        };
        self.jobs.store.insert_job(job, self.jobs.settings.quota).await
    }

    /// Follows an order that the engine took.
    pub(super) async fn follow(mut self, ticket: Ticket) {
        let end = self.pump(ticket).await;
        self.conclude(end).await;
    }

    /// Ends a job that the engine never took.
    pub(super) async fn fail(self, failure: JobFailure) {
        self.conclude(End::Failed(failure)).await;
    }

    /// Ends a job that was called off before the engine took it.
    pub(super) async fn stop(self, cause: Stop) {
        self.conclude(End::Stopped(cause)).await;
    }

    async fn pump(&mut self, ticket: Ticket) -> End {
        match self.submission.choosing.clone() {
            Some(choosing) => self.best_of(ticket, &choosing).await,
            None => {
                let drawing = Drawing::default();
                let end = self.draw(ticket, &drawing).await;
                self.rank();
                end
            }
        }
    }

    /// Everything is shown; the order is by seed, and ranks tell which is best.
    fn rank(&mut self) {
        /// There is no choice.
        const NO_SHARE: f64 = 0.0;
        self.candidates.sort_by_key(|candidate| candidate.index);
        let all = self.candidates.len();
        let choice = choose(&judged(&self.candidates), all, NO_SHARE, false, || NO_SHARE);
        (self.chosen.ranks, self.chosen.propensities) = (choice.ranks, choice.propensities);
    }

    pub(super) fn started(&self, queued: Duration) -> anyhow::Result<()> {
        self.jobs.metrics.queue_seconds.observe(queued.as_secs_f64());
        self.live.push(JobEventKind::Started);
        Ok(())
    }

    pub(super) async fn preview(&mut self, picture: usize, number: usize, image: RgbImage) -> anyhow::Result<()> {
        let bytes = self.timed(encode::preview(self.submission.format, image)).await?;
        if (picture, number) == (0, 0) {
            self.jobs.metrics.first_preview_seconds.observe(self.live.admitted.elapsed().as_secs_f64());
        }
        self.live.push(JobEventKind::Preview { picture, number, bytes });
        Ok(())
    }

    pub(super) async fn timed<T>(&mut self, work: impl Future<Output = T>) -> T {
        let began = SystemTime::now();
        let done = work.await;
        self.stages.push(traces::Stage { name: ENCODE, began, ended: SystemTime::now() });
        done
    }

    pub(super) fn observe(&mut self, timings: &Timings) {
        if let Some(time) = timings.total(Stage::Steps) {
            self.denoising = Some(self.denoising.unwrap_or_default() + time);
        }
        // Waiting has a histogram of its own.
        let of_engine = [Stage::Text, Stage::Steps, Stage::Decode, Stage::Safety];
        let of_engine = of_engine.into_iter().filter_map(|stage| Some((stage.name(), timings.total(stage)?)));
        let mut beside: BTreeMap<&str, Duration> = BTreeMap::from([(ENCODE, Duration::ZERO)]);
        for stage in &self.stages {
            *beside.entry(stage.name).or_default() += stage.ended.duration_since(stage.began).unwrap_or_default();
        }
        for (stage, time) in of_engine.chain(beside) {
            self.jobs.metrics.stage_seconds.with_label_values(&[stage]).observe(time.as_secs_f64());
        }
        self.stages.extend(timings.0.iter().map(trace::stage));
    }

    /// Writes the end down, then tells it.
    async fn conclude(mut self, end: End) {
        if let End::Stopped(Stop::Suspend) = end {
            return self.lay_aside().await;
        }
        let sequence = self.live.seal();
        let finished = store::now();
        self.settle();
        self.tell_trial(&end);
        let kind = self.kind(end);
        match self.write_end(&kind, sequence, finished).await {
            Ok(()) => self.jobs.remove(self.live.facts.id),
            // It stays in memory, so that its owner still gets what was drawn.
            Err(error) => tracing::error!(job = %self.live.facts.id, "the end of a job cannot be stored: {error:#}"),
        }
        // Before anybody hears of the end, who may stop the process then.
        let stages = std::mem::take(&mut self.stages);
        trace::send(&self.live, &self.submission, &self.origin.version, &kind, stages);
        self.live.close(Some((kind, finished)));
        let (state, seconds) = (self.live.state().name(), self.live.admitted.elapsed().as_secs_f64());
        tracing::info!(state, seconds, "a job ended");
        self.jobs.tell_idle();
    }

    /// What whoever tries a version must see of it. Who left or came too late says nothing about the version.
    fn tell_trial(&self, end: &End) {
        let failed = match end {
            End::Completed(_) => false,
            End::Failed(failure) if failure.code == INTERNAL => true,
            _ => return,
        };
        let blank = |pixels: &Arc<RgbImage>| is_blank(pixels);
        let picture = |one: &Candidate| (one.pixels.is_none(), one.pixels.as_ref().is_some_and(blank));
        let steps = self.submission.steps().max(1) as f64;
        let outcome = Outcome {
            failed,
            pictures: self.candidates.iter().map(picture).collect(),
            seconds_a_step: self.denoising.filter(|_| !failed).map(|time| time.as_secs_f64() / steps),
            scoring: self.scoring(),
            reward: self.mean_reward(),
            // Pictures that start from one are alike because of it.
            spread: match self.submission.order.request.start {
                Some(_) => None,
                None => spread(self.candidates.iter().filter_map(|one| one.pixels.as_deref())),
            },
        };
        let served = Served { generator: self.origin.version.clone(), reward: self.reward_version() };
        self.jobs.watch.ended(&served, &outcome);
        self.jobs.watch.scored(self.candidates.iter().filter_map(|one| one.points.clone()).collect());
    }

    /// How scoring went, if anything was scored. A quick look is scored as a picture is.
    fn scoring(&self) -> Option<Scoring> {
        let took = self.stages.iter().filter(|stage| stage.name == REWARD);
        let (count, all) = took.fold((0.0, Duration::ZERO), |(count, all), stage| {
            (count + 1.0, all + stage.ended.duration_since(stage.began).unwrap_or_default())
        });
        (count > 0.0).then(|| Scoring { failed: self.unscored, seconds_a_picture: Some(all.as_secs_f64() / count) })
    }

    fn mean_reward(&self) -> Option<f64> {
        let rewards = self.candidates.iter().filter_map(|one| Some(f64::from(one.score.as_ref()?.reward?)));
        let (count, sum) = rewards.fold((0.0, 0.0), |(count, sum), reward| (count + 1.0, sum + reward));
        (count > 0.0).then(|| sum / count)
    }

    /// Orders what is shown, and ranks it.
    fn settle(&mut self) {
        self.drawn.sort_by_key(|drawn| drawn.image.index);
        for drawn in &mut self.drawn {
            let at = self.candidates.iter().position(|candidate| candidate.id == drawn.image.id);
            drawn.image.rank = at.and_then(|at| self.chosen.ranks.get(at).copied().flatten());
        }
    }

    /// Leaves it to the next start of the server.
    async fn lay_aside(&self) {
        let id = self.live.facts.id;
        // Only what was taken up again has an attempt to take off.
        if self.live.facts.base > 0
            && let Err(error) = self.jobs.store.lay_aside(id).await
        {
            tracing::warn!(job = %id, "it is resumed, but the stop counts as a crash: {error:#}");
        }
        tracing::info!("a job waits for the next start");
        self.jobs.remove(id);
        self.live.close(None);
    }

    fn kind(&self, end: End) -> JobEventKind {
        let count = |cause| self.jobs.metrics.cancelled_total.with_label_values(&[cause]).inc();
        match end {
            End::Completed(of_engine) => JobEventKind::Completed(Arc::new(JobResult {
                created: self.live.facts.created,
                model: self.submission.model.clone(),
                model_version: self.origin.version.clone(),
                reward_version: self.reward_version(),
                candidates: self.candidates.len(),
                images: self.drawn.iter().map(|drawn| drawn.image.clone()).collect(),
                warnings: self.submission.warnings.iter().cloned().chain(of_engine).collect(),
            })),
            End::Failed(failure) => {
                if failure.code == DEADLINE {
                    count("deadline");
                }
                JobEventKind::Failed(failure)
            }
            End::Stopped(cause) => {
                count(match cause {
                    Stop::Client => "client",
                    Stop::Disconnect => "disconnect",
                    Stop::Shutdown | Stop::Suspend => "shutdown",
                });
                JobEventKind::Cancelled
            }
        }
    }

    async fn write_end(&self, kind: &JobEventKind, last_sequence: u64, finished: i64) -> anyhow::Result<()> {
        let (state, result, failure) = match kind {
            JobEventKind::Completed(result) => (JobState::Completed, Some(stored::result(result, &self.drawn)?), None),
            JobEventKind::Failed(failure) => (JobState::Failed, None, Some(failure.clone())),
            _ => (JobState::Cancelled, None, None),
        };
        let event = log::candidates(&Candidates {
            submission: &self.submission,
            model: self.generator.facts(),
            job: self.live.facts.id,
            state,
            drawn: &self.drawn,
            considered: &self.candidates,
            chosen: &self.chosen,
            reward_version: self.reward_version(),
            finished,
        });
        let expires = self.jobs.expires(finished);
        let ending = Ending { state, result, failure, last_sequence, finished, expires, event };
        self.jobs.store.finish_job(self.live.facts.id, &ending).await
    }
}
