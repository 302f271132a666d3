//! What is learned from: voted, scored and captioned pictures, each with what was computed from it once.

mod encode;
mod read;
mod score;

use std::collections::HashMap;

use plaudit::pack::Pack;
use sha2::{Digest, Sha256};

use super::{
    Finetune, FinetuneError, Objective,
    cache::{Cache, Key},
    pull::CONTRASTS,
};
use crate::{checkpoint::hex, random::Random};

pub(crate) use encode::{Encoders, fitted};
pub(super) use score::Scorer;

/// A picture that the pack was shown.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Picture {
    /// SHA-256 of its file.
    pub(super) sha256: String,
    /// Number of its prompt.
    pub(super) prompt: usize,
    /// Its posterior's moments in the cache.
    pub(super) latent: Key,
    /// Its point of CLIP in the cache, where rewards are wanted.
    pub(super) point: Option<Key>,
    /// r, where rewards are wanted.
    pub(super) reward: f32,
}

/// A vote on one of the scored pictures.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Vote {
    pub(super) picture: usize,
    pub(super) good: bool,
    /// 0 to 1.
    pub(super) weight: f32,
}

/// A prompt and its embedding in the cache.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Prompt {
    pub(super) text: String,
    pub(super) embedding: Key,
    /// Points of CLIP in the cache of itself and of its contrasts, where they are wanted.
    pub(super) points: Vec<Key>,
    /// Embeddings of its contrasts, where they are wanted.
    pub(super) contrasts: Vec<Key>,
}

/// Everything, by number.
#[derive(Debug, Clone)]
pub(super) struct Data {
    pub(super) cache: Cache,
    pub(super) prompts: Vec<Prompt>,
    /// Number of the empty prompt.
    pub(super) empty: usize,
    /// Labelled and unlabelled pictures: the paper's D_model.
    pub(super) scored: Vec<Picture>,
    pub(super) votes: Vec<Vote>,
    pub(super) pretraining: Vec<Picture>,
    /// First and last event, and the digest of the rows, of the labelled set.
    pub(super) events: Option<((i64, i64), String)>,
    /// Version of the reward that scored, where one did.
    pub(super) reward: Option<String>,
    /// SHA-256 over prompts, pictures, votes and rewards, in order.
    pub(super) sha256: String,
}

impl Data {
    /// Reads all sets, computes what the cache lacks, and scores.
    pub(super) fn gather(settings: &Finetune, pack: &Pack) -> Result<Self, FinetuneError> {
        let cache = Cache::open(&settings.data.join("cache"))?;
        let rewarded = !matches!(settings.objective, Objective::Kto(_));
        let mut gatherer = Gatherer::open(settings, pack, cache, rewarded)?;
        if let Some(folder) = &settings.labelled {
            gatherer.labelled(folder)?;
        }
        for folder in &settings.unlabelled {
            gatherer.unlabelled(folder)?;
        }
        if let Some(folder) = &settings.pretraining {
            gatherer.pretraining(folder)?;
        }
        if matches!(settings.objective, Objective::LatentReward(latent) if latent.contrast > 0.0) {
            gatherer.contrasts()?;
        }
        let mut data = gatherer.finish();
        if rewarded {
            score::score(settings, pack, &mut data)?;
        }
        data.sha256 = data.digest();
        data.require(settings)?;
        Ok(data)
    }

    /// What is learned from, and what is kept back to validate on: a share of the prompts, drawn by the seed, with all their pictures and votes.
    /// `None` where too little would be left on either side.
    pub(super) fn divide(&self, settings: &Finetune) -> (Self, Option<Self>) {
        let share = f64::from(settings.validation_share);
        let kept =
            |prompt: &Prompt| Random::stream(settings.seed, &format!("validation {}", prompt.text)).unit() < share;
        let kept: Vec<bool> = self.prompts.iter().map(kept).collect();
        let (learned, validated) = (self.only(|prompt| !kept[prompt]), self.only(|prompt| kept[prompt]));
        if learned.require(settings).is_ok() && validated.require(settings).is_ok() {
            return (learned, Some(Self { pretraining: Vec::new(), ..validated }));
        }
        (self.clone(), None)
    }

    /// Scored pictures of some prompts, and their votes.
    fn only(&self, wanted: impl Fn(usize) -> bool) -> Self {
        let mut places = vec![None; self.scored.len()];
        let mut scored = Vec::new();
        for (place, picture) in places.iter_mut().zip(&self.scored).filter(|(_, picture)| wanted(picture.prompt)) {
            *place = Some(scored.len());
            scored.push(picture.clone());
        }
        let moved = |vote: &Vote| Some(Vote { picture: places[vote.picture]?, ..*vote });
        Self { scored, votes: self.votes.iter().filter_map(moved).collect(), ..self.clone() }
    }

    /// Weights of each picture's votes: up, and in all.
    pub(super) fn votes_by_picture(&self) -> Vec<(f32, f32)> {
        let mut sums = vec![(0.0, 0.0); self.scored.len()];
        for vote in &self.votes {
            let (up, all) = &mut sums[vote.picture];
            *up += if vote.good { vote.weight } else { 0.0 };
            *all += vote.weight;
        }
        sums
    }

    fn digest(&self) -> String {
        let mut hasher = Sha256::new();
        for picture in self.scored.iter().chain(&self.pretraining) {
            let prompt = &self.prompts[picture.prompt].text;
            hasher.update(format!("{} {:?} {}\n", picture.sha256, prompt, picture.reward.to_bits()));
        }
        self.votes.iter().for_each(|vote| hasher.update(format!("{vote:?}\n")));
        hex(&hasher.finalize())
    }

    /// Whether the objective has something to go by.
    fn require(&self, settings: &Finetune) -> Result<(), FinetuneError> {
        let few = |fault: String, remedy| Err(FinetuneError::Few { fault, remedy });
        if settings.pretraining.is_some() && self.pretraining.is_empty() {
            return few(
                "the pre-training set has no pictures".into(),
                "import some with `plaudit-train data import`, or leave it out",
            );
        }
        if let Objective::Kto(_) = settings.objective {
            let liked = self.votes.iter().filter(|vote| vote.good && vote.weight > 0.0).count();
            let disliked = self.votes.iter().filter(|vote| !vote.good && vote.weight > 0.0).count();
            return match (liked, disliked) {
                (1.., 1..) => Ok(()),
                _ => few(
                    format!("KTO needs thumbs of both kinds, and there are {liked} up and {disliked} down"),
                    "collect more votes, or take another --objective",
                ),
            };
        }
        if self.scored.is_empty() {
            return few(
                "there is no picture to learn from".into(),
                "give a --dataset with the parts train, validation or calibration, or --unlabelled",
            );
        }
        Ok(())
    }
}

/// Gives numbers to prompts and pictures while sets are read.
struct Gatherer {
    encoders: Encoders,
    rewarded: bool,
    numbers: HashMap<String, usize>,
    data: Data,
}

impl Gatherer {
    fn open(settings: &Finetune, pack: &Pack, cache: Cache, rewarded: bool) -> Result<Self, FinetuneError> {
        let encoders = Encoders::open(settings, pack, cache.clone(), rewarded)?;
        let data = Data {
            cache,
            prompts: Vec::new(),
            empty: 0,
            scored: Vec::new(),
            votes: Vec::new(),
            pretraining: Vec::new(),
            events: None,
            reward: None,
            sha256: String::new(),
        };
        let mut gatherer = Self { encoders, rewarded, numbers: HashMap::new(), data };
        gatherer.data.empty = gatherer.prompt("")?;
        Ok(gatherer)
    }

    fn prompt(&mut self, text: &str) -> Result<usize, FinetuneError> {
        if let Some(&number) = self.numbers.get(text) {
            return Ok(number);
        }
        let embedding = self.encoders.prompt(text)?;
        let number = self.data.prompts.len();
        self.data.prompts.push(Prompt { text: text.to_owned(), embedding, points: Vec::new(), contrasts: Vec::new() });
        self.numbers.insert(text.to_owned(), number);
        Ok(number)
    }

    /// Embeds the contrasts of every prompt so far.
    fn contrasts(&mut self) -> Result<(), FinetuneError> {
        for number in 0..self.data.prompts.len() {
            let contrasts = plaudit::contrast::contrasts(&self.data.prompts[number].text, CONTRASTS);
            let keys = contrasts.iter().map(|contrast| self.encoders.prompt(&contrast.prompt));
            self.data.prompts[number].contrasts = keys.collect::<Result<_, _>>()?;
        }
        Ok(())
    }

    /// A picture's numbers, computed where the cache lacks them.
    fn picture(
        &mut self,
        sha256: String,
        bytes: &[u8],
        prompt: &str,
        rewarded: bool,
    ) -> Result<Picture, FinetuneError> {
        let prompt = self.prompt(prompt)?;
        let (latent, point) = self.encoders.picture(&sha256, bytes, rewarded)?;
        Ok(Picture { sha256, prompt, latent, point, reward: 1.0 })
    }

    fn finish(self) -> Data {
        self.encoders.done();
        self.data
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Twenty prompts of two pictures each, one voted up and one down.
    fn data(folder: &std::path::Path) -> Data {
        let cache = Cache::open(folder).expect("a cache");
        let key = || Key::new("none", "", "");
        let prompt = |number: usize| Prompt {
            text: format!("prompt {number}"),
            embedding: key(),
            points: Vec::new(),
            contrasts: Vec::new(),
        };
        let picture = |number: usize| Picture {
            sha256: number.to_string(),
            prompt: number / 2,
            latent: key(),
            point: None,
            reward: 0.5,
        };
        let vote = |picture: usize| Vote { picture, good: picture.is_multiple_of(2), weight: 1.0 };
        Data {
            cache,
            prompts: (0..20).map(prompt).collect(),
            empty: 0,
            scored: (0..40).map(picture).collect(),
            votes: (0..40).rev().map(vote).collect(),
            pretraining: vec![picture(0)],
            events: None,
            reward: None,
            sha256: String::new(),
        }
    }

    #[test]
    fn prompts_go_whole_to_one_side_with_their_votes() {
        let folder = tempfile::tempdir().unwrap();
        let settings = |share: f32| Finetune { validation_share: share, ..Finetune::new("", "", "") };
        let all = data(folder.path());
        let (learned, kept) = all.divide(&settings(0.3));
        let kept = kept.expect("some prompts");
        let prompts =
            |data: &Data| data.scored.iter().map(|picture| picture.prompt).collect::<std::collections::BTreeSet<_>>();
        assert!(prompts(&learned).is_disjoint(&prompts(&kept)) && prompts(&learned).len() + prompts(&kept).len() == 20);
        for side in [&learned, &kept] {
            assert_eq!(side.votes.len(), side.scored.len());
            let named =
                |vote: &Vote| side.scored[vote.picture].sha256.parse::<usize>().unwrap().is_multiple_of(2) == vote.good;
            assert!(side.votes.iter().all(named), "votes stay with their pictures");
        }
        assert_eq!((learned.pretraining.len(), kept.pretraining.len()), (1, 0));
        assert!(all.divide(&settings(0.0)).1.is_none());
        let other = all.divide(&Finetune { seed: 1, ..settings(0.3) }).1.expect("some prompts");
        assert_ne!(prompts(&other), prompts(&kept), "the seed draws them");
    }
}
