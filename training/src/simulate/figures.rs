//! What is known of a version's pictures: what the judges and the reward say of each, and how they look.

use std::path::Path;

use image::RgbImage;
use plaudit::{
    pack::Pack,
    runtime::SessionSettings,
    scoring::{ClipModel, RewardHead, RewardPack, cosine},
};

use super::{SimulateError, Simulation, studio, studio::Series};
use crate::{
    collect::Ask,
    gate::Looks,
    judges::ReportJudge,
    measure::{Interval, bootstrap},
    miniature::{
        grammar::Scene,
        rate::{Observation, judge, observe},
    },
};

/// A picture, looked at.
#[derive(Debug, Clone)]
pub(super) struct Scored {
    /// Probability that it is right, by the report judge.
    pub(super) judged: f64,
    /// Whether it is right by the rule that raters' votes come from.
    pub(super) right: bool,
    pub(super) seen: Observation,
    pub(super) reward: f64,
    pub(super) looks: Looks,
    point: Vec<f32>,
}

/// Pictures of every prompt.
pub(super) type Gallery = Vec<Vec<Scored>>;

/// Who looks at pictures.
pub(super) struct Critics {
    judge: ReportJudge,
    clip: ClipModel,
    reward: RewardHead,
}

impl Critics {
    /// The report judge, and the reward of `reward` over the CLIP of `pack`.
    pub(super) fn open(pack: &Path, reward: &Path, threads: usize) -> Result<Self, SimulateError> {
        let settings = SessionSettings { threads, spinning: false, ..SessionSettings::default() };
        let pack = Pack::open(pack)?;
        let reward = RewardPack::open(reward, &pack, &settings)?;
        Ok(Self {
            judge: ReportJudge::open()?,
            clip: ClipModel::open(&pack, &settings)?,
            reward: RewardHead::open(&reward, &settings)?,
        })
    }

    /// Looks at a series of a version.
    pub(super) fn look(
        &mut self,
        simulation: &Simulation,
        version: &str,
        series: Series,
        asks: &[Ask],
    ) -> Result<Gallery, SimulateError> {
        let one = |(prompt, ask): (usize, &Ask)| {
            let pictures = studio::read(simulation, version, series, prompt)?;
            self.score(&pictures, &ask.prompt)
        };
        asks.iter().enumerate().map(one).collect()
    }

    fn score(&mut self, pictures: &[RgbImage], prompt: &str) -> Result<Vec<Scored>, SimulateError> {
        let scene: Scene = prompt.parse().map_err(|_| SimulateError::Unratable { prompt: prompt.to_owned() })?;
        let text = self.clip.text_embeddings(&[prompt])?.concat();
        let points = self.clip.image_embeddings(&pictures.iter().collect::<Vec<_>>())?;
        let rewards = self.reward.run(points.iter().map(|point| (point.as_slice(), text.as_slice())))?;
        let mut scored = Vec::with_capacity(pictures.len());
        for ((picture, point), reward) in pictures.iter().zip(points).zip(rewards) {
            let seen = observe(picture);
            scored.push(Scored {
                judged: f64::from(self.judge.good(picture, &scene)?),
                right: judge(&seen, &scene).is_good(),
                seen,
                reward: f64::from(reward.reward),
                looks: Looks::of(picture),
                point,
            });
        }
        Ok(scored)
    }
}

/// Of each picture that is shown the candidate with the highest reward: picture i is one of i, i + shown, …
pub(super) fn best(candidates: &Gallery, shown: usize) -> Gallery {
    let of_prompt = |all: &Vec<Scored>| {
        let pick = |place: usize| {
            let group = all.iter().skip(place).step_by(shown.max(1));
            group.max_by(|one, other| one.reward.total_cmp(&other.reward)).cloned()
        };
        (0..shown).filter_map(pick).collect()
    };
    candidates.iter().map(of_prompt).collect()
}

/// Mean probability that a prompt's pictures are right, by the report judge.
pub(super) fn judged(pictures: &[Scored]) -> f64 {
    pictures.iter().map(|one| one.judged).sum::<f64>() / pictures.len().max(1) as f64
}

/// The mean over prompts of a figure's mean over their pictures, of prompts that belong, with its 95 % interval.
pub(super) fn mean(
    gallery: &Gallery,
    belongs: &[usize],
    seed: u64,
    figure: impl Fn(&Scored) -> f64 + Sync,
) -> Option<Interval> {
    let of = |&prompt: &usize| gallery[prompt].iter().map(&figure).sum::<f64>() / gallery[prompt].len().max(1) as f64;
    let means: Vec<f64> = belongs.iter().map(of).collect();
    let over = |drawn: &[usize]| {
        (!drawn.is_empty()).then(|| drawn.iter().map(|&at| means[at]).sum::<f64>() / drawn.len() as f64)
    };
    bootstrap(means.len(), seed, over)
}

/// Mean of 1 − cosine of CLIP's points over pairs of a prompt's pictures; `None` where prompts have one picture each.
pub(super) fn diversity(gallery: &Gallery) -> Option<f64> {
    let distances = |pictures: &Vec<Scored>| {
        let pairs = (0..pictures.len()).flat_map(|i| (0..i).map(move |j| (i, j)));
        pairs.map(|(i, j)| 1.0 - f64::from(cosine(&pictures[i].point, &pictures[j].point))).collect::<Vec<_>>()
    };
    let all: Vec<f64> = gallery.iter().flat_map(distances).collect();
    (!all.is_empty()).then(|| all.iter().sum::<f64>() / all.len() as f64)
}
