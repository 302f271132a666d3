//! The best of many, at the command line.

use std::path::Path;

use anyhow::{Context, bail};
use plaudit::{
    pack::Pack,
    pipeline::Picture,
    runtime::SessionSettings,
    scoring::{ClipModel, REWARD_FOLDER, RewardHead, RewardPack, cosine},
    selection::{Candidate, choose},
};

/// What judges: the reward, or CLIP alone where there is none.
pub(super) struct Judge {
    clip: ClipModel,
    head: Option<RewardHead>,
}

/// A chosen picture and why.
pub(super) struct Chosen {
    pub(super) picture: Picture,
    /// From 1.
    pub(super) rank: usize,
    pub(super) score: f32,
}

impl Judge {
    /// Opens the pack's CLIP and a reward: the one named, else the pack's own, if it has one.
    pub(super) fn open(
        pack: &Pack,
        folder: &Path,
        reward: Option<&Path>,
        sessions: &SessionSettings,
    ) -> anyhow::Result<Self> {
        let clip = ClipModel::open(pack, sessions).context("nothing can tell which picture is best")?;
        let own = folder.join(REWARD_FOLDER);
        let named = reward.or_else(|| own.is_dir().then_some(own.as_path()));
        let head = match named {
            Some(folder) => Some(RewardHead::open(&RewardPack::open(folder, pack, sessions)?, sessions)?),
            None => None,
        };
        Ok(Self { clip, head })
    }

    /// What a score is.
    pub(super) fn name(&self) -> &'static str {
        if self.head.is_some() { "reward" } else { "CLIP score" }
    }

    /// The best `most`, best first.
    pub(super) fn best(&mut self, prompt: &str, pictures: Vec<Picture>, most: usize) -> anyhow::Result<Vec<Chosen>> {
        let scores = self.scores(prompt, &pictures)?;
        let candidates: Vec<Candidate> = scores.iter().map(|score| Candidate::Drawn(Some(*score))).collect();
        let choice = choose(&candidates, most, 0.0, false, || 0.0);
        let mut pictures: Vec<Option<Picture>> = pictures.into_iter().map(Some).collect();
        let mut chosen = Vec::with_capacity(choice.shown.len());
        for (place, at) in choice.shown.into_iter().enumerate() {
            let Some(picture) = pictures[at].take() else { bail!("a picture was chosen twice") };
            chosen.push(Chosen { picture, rank: place + 1, score: scores[at] });
        }
        Ok(chosen)
    }

    fn scores(&mut self, prompt: &str, pictures: &[Picture]) -> anyhow::Result<Vec<f32>> {
        let text = self.clip.text_embeddings(&[prompt])?.pop().context("the prompt has no embedding")?;
        let pixels: Vec<_> = pictures.iter().map(|picture| &picture.pixels).collect();
        let images = self.clip.image_embeddings(&pixels)?;
        let Some(head) = &mut self.head else { return Ok(images.iter().map(|image| cosine(image, &text)).collect()) };
        let rows = images.iter().map(|image| (image.as_slice(), text.as_slice()));
        Ok(head.run(rows)?.into_iter().map(|row| row.reward).collect())
    }
}
