//! Many requests, one CLIP: their pictures and texts share its calls.
//!
//! A request is a job in a bounded `queue`; one thread (`worker`) owns the sessions, takes as many jobs as fill a call, leaves out
//! those whose client left, and answers each. Pictures are prepared before they wait, so that what waits is small.

mod normalise;
mod queue;
mod reward;
mod rewards;
mod worker;

use std::{
    path::{Path, PathBuf},
    sync::Arc,
    thread::JoinHandle,
    time::Duration,
};

use arc_swap::ArcSwap;
use image::RgbImage;
use moka::sync::Cache;
use tokio::sync::oneshot;

use super::{ClipModel, Pixels, Preprocessor, REWARD_FOLDER, ScoringSettings};
use crate::{
    metrics::Metrics,
    pack::{Component, Pack},
    runtime::{Device, SessionSettings},
};

use normalise::Expanded;
use queue::{Job, Queue};
pub use reward::ServedReward;
pub use rewards::RewardTrial;
use rewards::Rewards;
use worker::Worker;

/// What a picture is worth for a prompt.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Score {
    /// Calibrated probability of a thumbs-up, 0…1; `None` without a reward pack.
    pub reward: Option<f32>,
    /// Cosine of the picture's and the prompt's points in CLIP's space, −1…1.
    pub clip_score: f32,
    /// The prompt's share among itself and its contrasts, 0…1 (TextNorm): of the reward, or of the CLIP score where there is none.
    /// `None` where the prompt has no contrast.
    pub normalized_score: Option<f32>,
}

/// Points, and rewards where they were asked for.
#[derive(Debug, Clone, PartialEq)]
pub struct Answer {
    /// A point of length one for each text.
    pub texts: Vec<Arc<[f32]>>,
    /// A point of length one for each picture.
    pub images: Vec<Arc<[f32]>>,
    /// The reward of every text with every picture, `[texts, images]`.
    pub rewards: Option<Vec<f32>>,
}

/// A prompt and a picture as CLIP places them: all that a reward reads.
#[derive(Debug, Clone, PartialEq)]
pub struct Points {
    /// The prompt's, of length one.
    pub text: Arc<[f32]>,
    /// The picture's, of length one.
    pub image: Arc<[f32]>,
}

/// Why there is no score.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum ScoreError {
    /// Too much waits already.
    #[error("{waiting} pictures and texts wait to be scored, and no more may")]
    Full {
        /// Rows that wait.
        waiting: usize,
        /// When there may be room.
        retry_after: Duration,
    },
    /// The server ends.
    #[error("scoring has ended")]
    Stopped,
    /// The runtime failed.
    #[error("scoring failed: {0}")]
    Failed(String),
}

/// Scores pictures. Cheap to clone; the thread ends with the last clone.
#[derive(Debug, Clone)]
pub struct Scorer {
    inner: Arc<Inner>,
    /// The reward that this clone keeps, whatever serves.
    pinned: Option<Option<Arc<ServedReward>>>,
}

#[derive(Debug)]
struct Inner {
    queue: Arc<Queue>,
    thread: Option<JoinHandle<()>>,
    preprocessor: Preprocessor,
    width: usize,
    clip_version: String,
    /// Hashes of its two towers.
    clip: [Option<String>; 2],
    /// The rewards that serve.
    rewards: ArcSwap<Rewards>,
    /// Of the pack whose CLIP it is.
    pack: PathBuf,
    sessions: SessionSettings,
    settings: ScoringSettings,
    metrics: Metrics,
}

impl Scorer {
    /// Opens a pack's CLIP and its reward, and starts the thread; `None` for a pack without a CLIP.
    ///
    /// # Errors
    /// A CLIP or a reward pack that cannot be used; a reward that was asked for and a pack without a CLIP.
    pub fn start(
        pack: &Pack,
        device: Device,
        settings: &ScoringSettings,
        metrics: Metrics,
    ) -> anyhow::Result<Option<Self>> {
        let clip = [Component::ClipText, Component::ClipVision];
        if clip.iter().any(|component| pack.model(*component).is_none()) {
            anyhow::ensure!(
                settings.reward.is_none(),
                "{} has no CLIP, so no reward can be used with it",
                pack.version()
            );
            return Ok(None);
        }
        let threads = settings.threads;
        let sessions =
            SessionSettings { device, threads, shared_threads: threads == 0, spinning: false, ..Default::default() };
        let clip = ClipModel::open(pack, &sessions)?;
        let reward = match reward_folder(pack.folder(), settings) {
            Some(folder) => Some(Arc::new(ServedReward::open(&folder, pack, &sessions)?)),
            None => None,
        };
        let queue = Arc::new(Queue::new(settings.max_queue, metrics.clone()));
        let mut inner = Inner {
            queue: queue.clone(),
            thread: None,
            preprocessor: clip.preprocessor().clone(),
            width: clip.width(),
            clip_version: clip_version(pack),
            clip: clip_of(pack),
            rewards: ArcSwap::from_pointee(Rewards { champion: reward, candidate: None }),
            pack: pack.folder().to_owned(),
            sessions,
            settings: settings.clone(),
            metrics: metrics.clone(),
        };
        let texts = Cache::new(settings.text_cache);
        let worker = Worker { clip, texts, most: settings.max_batch, metrics };
        let thread = std::thread::Builder::new().name("scorer".into()).spawn(move || worker::run(&queue, worker))?;
        inner.thread = Some(thread);
        Ok(Some(Self { inner: Arc::new(inner), pinned: None }))
    }

    /// The reward that scores now, where there is one: the champion, or what this clone keeps.
    pub fn reward(&self) -> Option<Arc<ServedReward>> {
        self.pinned.clone().unwrap_or_else(|| self.inner.rewards.load().champion.clone())
    }

    /// `name@hash` of the reward, where there is one.
    pub fn reward_version(&self) -> Option<String> {
        self.reward().map(|reward| reward.version().to_owned())
    }

    /// The same, but with the reward that serves now whatever comes: scores of one request are comparable.
    pub fn pinned(&self) -> Self {
        Self { inner: self.inner.clone(), pinned: Some(self.reward()) }
    }

    /// [`Self::pinned`] to the reward that scores for a subject: where one is on trial, it is theirs as long as the trial lasts, or
    /// never.
    pub fn pinned_for(&self, subject: &str) -> Self {
        Self { inner: self.inner.clone(), pinned: Some(self.inner.rewards.load().choose(subject).cloned()) }
    }

    /// Opens and verifies a reward pack for this CLIP; it scores nothing until it serves.
    ///
    /// # Errors
    /// A reward that cannot be used, or that was trained on another CLIP.
    pub fn open_reward(&self, folder: &Path) -> anyhow::Result<Arc<ServedReward>> {
        let pack = Pack::open(&self.inner.pack)?;
        Ok(Arc::new(ServedReward::open(folder, &pack, &self.inner.sessions)?))
    }

    /// From now on this reward scores; requests that are being scored keep theirs. One that was on trial no longer is.
    pub fn serve(&self, reward: Option<Arc<ServedReward>>) {
        self.exchange(|now| now.led_by(reward.clone()));
    }

    /// From now on this reward is on trial, or none.
    pub fn try_beside(&self, candidate: Option<RewardTrial>) {
        self.exchange(|now| Rewards { champion: now.champion.clone(), candidate: candidate.clone() });
    }

    /// The reward that is on trial.
    pub fn on_trial(&self) -> Option<RewardTrial> {
        self.inner.rewards.load().candidate.clone()
    }

    fn exchange(&self, change: impl Fn(&Rewards) -> Rewards) {
        let before = self.inner.rewards.rcu(|now| change(now));
        let now = self.inner.rewards.load_full();
        let info = &self.inner.metrics.model_info;
        for gone in before.versions().filter(|version| !now.versions().any(|here| here == *version)) {
            let _ = info.remove_label_values(&["reward", gone]);
        }
        now.versions().for_each(|version| info.with_label_values(&["reward", version]).set(1));
    }

    /// What its points are named by: they are comparable where this is equal.
    pub fn clip_version(&self) -> &str {
        &self.inner.clip_version
    }

    /// Whether it is this pack's CLIP.
    pub fn is_of(&self, pack: &Pack) -> bool {
        self.inner.clip == clip_of(pack)
    }

    /// Numbers of a point.
    pub fn width(&self) -> usize {
        self.inner.width
    }

    /// How pictures are prepared.
    pub fn preprocessor(&self) -> &Preprocessor {
        &self.inner.preprocessor
    }

    /// Scores pictures for a prompt, in their order.
    ///
    /// # Errors
    /// A full queue, a server that ends, a failure of the runtime.
    pub async fn score(&self, prompt: &str, images: Vec<Arc<RgbImage>>) -> Result<Vec<Score>, ScoreError> {
        let pixels = self.prepare(images).await?;
        Ok(self.score_prepared(&[prompt], pixels).await?.pop().unwrap_or_default())
    }

    /// Scores a picture for its prompt, and tells what another reward would read.
    ///
    /// # Errors
    /// As [`Self::score`].
    pub async fn score_one(&self, prompt: &str, image: Arc<RgbImage>) -> Result<(Score, Points), ScoreError> {
        let pixels = self.prepare(vec![image]).await?;
        let (scores, answer) = self.answer(&[prompt], pixels).await?;
        let points = answer.texts.first().zip(answer.images.first());
        let points = points.map(|(text, image)| Points { text: text.clone(), image: image.clone() });
        let missing = || ScoreError::Failed("the call answered no score".to_owned());
        scores.into_iter().flatten().next().zip(points).ok_or_else(missing)
    }

    async fn prepare(&self, images: Vec<Arc<RgbImage>>) -> Result<Vec<Pixels>, ScoreError> {
        let preprocessor = self.preprocessor().clone();
        let prepare = move || images.iter().map(|image| preprocessor.prepare(image)).collect();
        let pixels = tokio::task::spawn_blocking(prepare).await;
        pixels.map_err(|error| ScoreError::Failed(error.to_string()))
    }

    /// Scores prepared pictures for several prompts: for each prompt, a score of each picture.
    ///
    /// # Errors
    /// As [`Self::score`].
    pub async fn score_prepared(&self, prompts: &[&str], pixels: Vec<Pixels>) -> Result<Vec<Vec<Score>>, ScoreError> {
        Ok(self.answer(prompts, pixels).await?.0)
    }

    /// Scores by prompt and picture, and the points that they come from.
    async fn answer(&self, prompts: &[&str], pixels: Vec<Pixels>) -> Result<(Vec<Vec<Score>>, Answer), ScoreError> {
        let expanded = Expanded::of(prompts, self.inner.settings.contrasts);
        let reward = self.reward();
        let answer = self.ask(expanded.texts.clone(), pixels, reward.clone()).await?;
        let scores = expanded.scores(&answer, self.inner.settings.temperature);
        if let Some(reward) = reward {
            let rewards = scores.iter().flatten().filter_map(|score| score.reward);
            let metric = self.inner.metrics.reward.with_label_values(&[reward.version()]);
            rewards.for_each(|reward| metric.observe(f64::from(reward)));
        }
        Ok((scores, answer))
    }

    /// Points of texts and prepared pictures.
    ///
    /// # Errors
    /// As [`Self::score`].
    pub async fn embed(&self, texts: Vec<String>, pixels: Vec<Pixels>) -> Result<Answer, ScoreError> {
        self.ask(texts, pixels, None).await
    }

    async fn ask(
        &self,
        texts: Vec<String>,
        pixels: Vec<Pixels>,
        reward: Option<Arc<ServedReward>>,
    ) -> Result<Answer, ScoreError> {
        let (reply, answer) = oneshot::channel();
        self.inner.queue.push(Job { texts, pixels, reward, reply })?;
        let lost = |_| ScoreError::Failed("the call ended without an answer; the log says more".to_owned());
        answer.await.map_err(lost)?
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        self.queue.stop();
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// The reward to use: the one that is named, or the pack's own where it is there.
fn reward_folder(pack: &Path, settings: &ScoringSettings) -> Option<PathBuf> {
    let own = pack.join(REWARD_FOLDER);
    settings.reward.clone().or_else(|| own.is_dir().then_some(own))
}

/// Content hashes of the text and the vision tower.
fn clip_of(pack: &Pack) -> [Option<String>; 2] {
    let hash = |component: Component| Some(pack.manifest().components.get(component.name())?.sha256.clone());
    [Component::ClipText, Component::ClipVision].map(hash)
}

/// The pack's name and the first digits of its vision tower's hash.
fn clip_version(pack: &Pack) -> String {
    let manifest = pack.manifest();
    let hash = manifest.components.get(Component::ClipVision.name()).map_or("", |entry| entry.sha256.as_str());
    format!("{}-clip@{}", manifest.name, hash.get(..crate::pack::VERSION_DIGITS).unwrap_or(hash))
}
