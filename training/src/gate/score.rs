//! What the measures see of every picture: reward, judge, CLIP, looks. All are the champion's, for both sides.

use image::RgbImage;
use plaudit::{
    pack::Pack,
    runtime::SessionSettings,
    scoring::{ClipModel, REWARD_FOLDER, RewardHead, RewardPack, cosine},
};

use super::{
    GateError, GeneratorGate, LeftOut, Looks,
    draw::Facts,
    draw::Gallery,
    pairs::{Figures, Weighed},
};
use crate::{
    judges::GateJudge,
    miniature::{SIDE, grammar::Scene},
};

/// Figures of one side, by prompt and picture.
#[derive(Default)]
pub(super) struct Side {
    /// Points of CLIP.
    pub(super) points: Vec<Vec<Vec<f32>>>,
    /// Cosine of picture and prompt.
    pub(super) clip: Figures,
    /// Empty where there is no reward.
    pub(super) reward: Figures,
    /// Empty where the judge cannot be asked.
    pub(super) judge: Figures,
    pub(super) looks: Vec<Vec<Looks>>,
}

/// Figures of all sides.
pub(super) struct Scores {
    pub(super) champion: Side,
    pub(super) candidate: Side,
    /// The champion's with other seeds.
    pub(super) reference: Side,
    pub(super) facts: Vec<Facts>,
    /// What the prompts mean, where all are of the miniature world.
    pub(super) scenes: Option<Vec<Scene>>,
    /// The reward's version.
    pub(super) reward: Option<String>,
    pub(super) left_out: Vec<LeftOut>,
}

/// Who scores.
struct Scorers {
    clip: ClipModel,
    reward: Option<RewardHead>,
    judge: Option<GateJudge>,
}

/// Scores everything that was drawn.
pub(super) fn all(gate: &GeneratorGate, gallery: &Gallery) -> Result<Scores, GateError> {
    let mut left_out = Vec::new();
    let scenes: Option<Vec<Scene>> = gallery.asked.iter().map(|ask| ask.scene()).collect();
    let mut scorers = Scorers::open(gate, scenes.is_some(), &mut left_out)?;
    let [mut champion, mut candidate, mut reference] = [Side::default(), Side::default(), Side::default()];
    let mut facts = Vec::new();
    for (number, ask) in gallery.asked.iter().enumerate() {
        let drawn = gallery.read(number)?;
        let scene = scenes.as_ref().map(|scenes| &scenes[number]);
        let text = scorers.clip.text_embeddings(&[&ask.prompt])?.concat();
        for (side, pictures) in
            [(&mut champion, drawn.champion), (&mut candidate, drawn.candidate), (&mut reference, drawn.reference)]
        {
            scorers.score(side, &pictures, &text, scene)?;
        }
        facts.push(drawn.facts);
    }
    let reward = scorers.reward.map(|reward| reward.version().to_owned());
    Ok(Scores { champion, candidate, reference, facts, scenes, reward, left_out })
}

impl Scorers {
    fn open(gate: &GeneratorGate, grammar: bool, left_out: &mut Vec<LeftOut>) -> Result<Self, GateError> {
        let pack = Pack::open(&gate.champion)?;
        let settings = SessionSettings { threads: gate.threads, spinning: false, ..SessionSettings::default() };
        let own = pack.folder().join(REWARD_FOLDER);
        let folder = gate.reward.clone().or_else(|| own.is_dir().then_some(own));
        let reward = match folder {
            Some(folder) => Some(RewardHead::open(&RewardPack::open(&folder, &pack, &settings)?, &settings)?),
            None => None,
        };
        if reward.is_none() {
            left_out.push(LeftOut::new("reward", "the champion has no reward pack, and none was named"));
        }
        let judge = match grammar && pack.size() == SIDE as usize {
            true => Some(GateJudge::open()?),
            false => None,
        };
        if judge.is_none() {
            let reason = "the gate judge knows the miniature world only, and some prompts or the pack are not of it";
            left_out.push(LeftOut::new("gate judge", reason));
        }
        Ok(Self { clip: ClipModel::open(&pack, &settings)?, reward, judge })
    }

    fn score(
        &mut self,
        side: &mut Side,
        pictures: &[RgbImage],
        text: &[f32],
        scene: Option<&Scene>,
    ) -> Result<(), GateError> {
        let points = self.clip.image_embeddings(&pictures.iter().collect::<Vec<_>>())?;
        side.clip.push(points.iter().map(|point| f64::from(cosine(point, text))).collect());
        if let Some(reward) = &mut self.reward {
            let rewards = reward.run(points.iter().map(|point| (point.as_slice(), text)))?;
            side.reward.push(rewards.iter().map(|row| f64::from(row.reward)).collect());
        }
        if let (Some(judge), Some(scene)) = (&mut self.judge, scene) {
            let good = |picture| judge.good(picture, scene).map(f64::from);
            side.judge.push(pictures.iter().map(good).collect::<Result<_, _>>()?);
        }
        side.points.push(points);
        side.looks.push(pictures.iter().map(Looks::of).collect());
        Ok(())
    }
}

impl Side {
    /// One of the looks.
    pub(super) fn look(&self, of: impl Fn(&Looks) -> f64) -> Figures {
        self.looks.iter().map(|looks| looks.iter().map(&of).collect()).collect()
    }

    /// Distances (1 − cosine) of all pairs of a prompt's pictures.
    pub(super) fn diversity(&self) -> Weighed {
        self.distances(|_, _| 1.0)
    }

    /// The same, each pair by the probability that both are right: two wrong pictures are far apart, and a model that learns what is right must not be held to
    /// them.
    pub(super) fn right_diversity(&self) -> Weighed {
        self.distances(|prompt, picture| self.judge[prompt][picture])
    }

    fn distances(&self, weight: impl Fn(usize, usize) -> f64) -> Weighed {
        let of = |(prompt, points): (usize, &Vec<Vec<f32>>)| {
            let pairs = (0..points.len()).flat_map(|i| (0..i).map(move |j| (i, j)));
            pairs.fold([0.0, 0.0], |[sum, weights], (i, j)| {
                let (weight, distance) =
                    (weight(prompt, i) * weight(prompt, j), 1.0 - f64::from(cosine(&points[i], &points[j])));
                [sum + weight * distance, weights + weight]
            })
        };
        self.points.iter().enumerate().map(of).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gate::pairs::weighed_mean;

    #[test]
    fn pictures_that_are_likely_wrong_hardly_count_for_diversity() {
        // Two alike, and one as far away as can be.
        let points = vec![vec![vec![1.0, 0.0], vec![1.0, 0.0], vec![-1.0, 0.0]]];
        let side = |judge: Figures| Side { points: points.clone(), judge, ..Side::default() };
        let of = |judge: Figures| weighed_mean(&side(judge).right_diversity());
        assert_eq!(weighed_mean(&side(Vec::new()).diversity()), Some(4.0 / 3.0), "every pair counts alike");
        assert_eq!(of(vec![vec![1.0, 1.0, 0.0]]), Some(0.0));
        assert_eq!(of(vec![vec![1.0, 0.0, 1.0]]), Some(2.0));
        let mixed = of(vec![vec![1.0, 1.0, 0.5]]).expect("a mean");
        assert!((mixed - 1.0).abs() < 1e-12, "{mixed}");
    }
}
