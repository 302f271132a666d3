//! Rewards of pictures, from points that are in the cache: the head itself costs nothing.

use plaudit::{
    pack::Pack,
    runtime::SessionSettings,
    scoring::{ClipModel, REWARD_FOLDER, RewardHead, RewardPack},
};

use super::Data;
use crate::finetune::{Finetune, FinetuneError, Objective, cache::Key, pull::CONTRASTS};

/// Rows of one call of the head.
const CALL: usize = 1024;

/// A reward pack over the tuned pack's CLIP, for points and for fresh pictures.
pub(crate) struct Scorer {
    clip: ClipModel,
    text_hash: String,
    head: RewardHead,
}

impl Scorer {
    /// The reward of the settings, or the pack's own; `None` where none is named and the pack has none.
    pub(crate) fn open(settings: &Finetune, pack: &Pack) -> Result<Option<Self>, FinetuneError> {
        let own = settings.pack.join(REWARD_FOLDER);
        let folder = match &settings.reward {
            Some(folder) => folder,
            None if own.is_dir() => &own,
            None => return Ok(None),
        };
        let sessions = SessionSettings { threads: settings.threads, spinning: false, ..SessionSettings::default() };
        let reward = RewardPack::open(folder, pack, &sessions)?;
        let text_hash = pack.manifest().components.get("clip_text").map(|entry| entry.sha256.clone());
        Ok(Some(Self {
            clip: ClipModel::open(pack, &sessions)?,
            text_hash: text_hash.unwrap_or_default(),
            head: RewardHead::open(&reward, &sessions)?,
        }))
    }

    /// The reward pack's version.
    pub(crate) fn version(&self) -> &str {
        self.head.version()
    }

    /// Adds the points of scored prompts' contrasts.
    fn contrast(&mut self, data: &mut Data) -> Result<(), FinetuneError> {
        let cache = data.cache.clone();
        for prompt in data.prompts.iter_mut().filter(|prompt| !prompt.points.is_empty()) {
            for contrast in plaudit::contrast::contrasts(&prompt.text, CONTRASTS) {
                let key = Key::new("clip text", &self.text_hash, &contrast.prompt);
                cache.get_or(&key, || Ok(self.clip.text_embeddings(&[&contrast.prompt])?.concat()))?;
                prompt.points.push(key);
            }
        }
        Ok(())
    }

    /// Mean calibrated reward of pictures of one prompt.
    pub(crate) fn mean(&mut self, prompt: &str, pictures: &[image::RgbImage]) -> Result<f64, FinetuneError> {
        let text = self.clip.text_embeddings(&[prompt])?.concat();
        let points = self.clip.image_embeddings(&pictures.iter().collect::<Vec<_>>())?;
        let rewards = self.head.run(points.iter().map(|point| (point.as_slice(), text.as_slice())))?;
        Ok(rewards.iter().map(|row| f64::from(row.reward)).sum::<f64>() / rewards.len().max(1) as f64)
    }
}

/// Fills in every scored picture's reward.
pub(super) fn score(settings: &Finetune, pack: &Pack, data: &mut Data) -> Result<(), FinetuneError> {
    let absent = || FinetuneError::Unfit {
        pack: settings.pack.clone(),
        fault:
            "it has no reward of its own, and this objective learns from one; give --reward, or take --objective kto"
                .into(),
    };
    let mut scorer = Scorer::open(settings, pack)?.ok_or_else(absent)?;
    let votes = data.votes_by_picture();
    let mut texts = vec![None; data.prompts.len()];
    for start in (0..data.scored.len()).step_by(CALL) {
        let end = (start + CALL).min(data.scored.len());
        let mut points = Vec::with_capacity(end - start);
        for picture in &data.scored[start..end] {
            let text = &mut texts[picture.prompt];
            if text.is_none() {
                let prompt = &data.prompts[picture.prompt].text;
                let key = Key::new("clip text", &scorer.text_hash, prompt);
                let clip = &mut scorer.clip;
                *text = Some(data.cache.get_or(&key, || Ok(clip.text_embeddings(&[prompt])?.concat()))?);
                data.prompts[picture.prompt].points.push(key);
            }
            points.push(picture.point.as_ref().map(|key| data.cache.demand(key)).transpose()?.unwrap_or_default());
        }
        let pairs = data.scored[start..end].iter().zip(&points).map(|(picture, point)| {
            let text: &[f32] = texts[picture.prompt].as_deref().unwrap_or_default();
            (point.as_slice(), text)
        });
        let rewards = scorer.head.run(pairs)?;
        for ((picture, row), votes) in data.scored[start..end].iter_mut().zip(rewards).zip(&votes[start..end]) {
            picture.reward = settings.signal.of(row.reward, row.raw, *votes);
        }
    }
    if let Objective::RewardGradient { .. } = settings.objective {
        scorer.contrast(data)?;
    }
    tracing::info!("scored {} pictures by {}", data.scored.len(), scorer.version());
    data.reward = Some(scorer.version().to_owned());
    Ok(())
}
