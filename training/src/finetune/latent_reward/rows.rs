//! What it learns from: voted pictures under noise.

use crate::{
    finetune::{
        FinetuneError,
        data::{Data, Prompt},
        deck::Deck,
        graph::Shape,
        noising::Noising,
    },
    random::Random,
    step::Batch,
};

use super::graph::{LABEL, SAMPLE, WEIGHT};

/// Words of prompts whose pictures must not be mirrored.
const SIDES: [&str; 2] = ["left", "right"];

/// The inputs of one run of the graph.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Rows {
    pub(super) sample: Vec<f32>,
    pub(super) timestep: Vec<f32>,
    pub(super) text: Vec<f32>,
    label: Vec<f32>,
    weight: Vec<f32>,
}

impl Rows {
    pub(super) fn fill(&self, batch: &mut Batch<'_>) {
        let inputs = [
            (SAMPLE, &self.sample),
            ("timestep", &self.timestep),
            ("encoder_hidden_states", &self.text),
            (LABEL, &self.label),
            (WEIGHT, &self.weight),
        ];
        inputs.into_iter().for_each(|(name, values)| batch.f32(name).copy_from_slice(values));
    }
}

/// Where rows come from. A batch is a function of the seed and its step's number.
#[derive(Debug, Clone)]
pub(super) struct Votes {
    data: Data,
    noising: Noising,
    shape: Shape,
    deck: Deck,
    /// Weight of each picture: its votes and one for the reward, of mean 1.
    weights: Vec<f32>,
    /// Share of rows that show a contrast in the prompt's place.
    contrast: f32,
    seed: u64,
}

impl Votes {
    pub(super) fn new(data: Data, noising: Noising, shape: Shape, contrast: f32, seed: u64) -> Self {
        let mut weights: Vec<f32> = data.votes_by_picture().into_iter().map(|(_, all)| 1.0 + all).collect();
        let mean = weights.iter().sum::<f32>() / weights.len().max(1) as f32;
        weights.iter_mut().for_each(|weight| *weight /= mean);
        let deck = Deck::new((0..data.scored.len()).collect(), "latent reward", seed);
        Self { data, noising, shape, deck, weights, contrast, seed }
    }

    /// How many timesteps there are.
    pub(super) fn timesteps(&self) -> usize {
        self.noising.timesteps()
    }

    /// Micro-batches of a step, counted from 0.
    pub(super) fn batch(&mut self, step: u64, micros: usize) -> Result<Vec<Rows>, FinetuneError> {
        let mut random = Random::stream(self.seed, &format!("latent reward {step}"));
        (0..micros)
            .map(|micro| {
                let place = (step * micros as u64 + micro as u64) * self.shape.rows as u64;
                let pictures: Vec<usize> = (0..self.shape.rows).map(|row| self.deck.at(place + row as u64)).collect();
                self.rows(&pictures, None, &mut random)
            })
            .collect()
    }

    /// Rows of some pictures, at a timestep or any; at any they are mirrored half of the time, and contrasts are among them.
    pub(super) fn rows(
        &self,
        pictures: &[usize],
        timestep: Option<usize>,
        random: &mut Random,
    ) -> Result<Rows, FinetuneError> {
        let (mut rows, mut noise, any) = (Rows::default(), Vec::new(), timestep.is_none());
        for &number in pictures {
            let picture = &self.data.scored[number];
            let prompt = &self.data.prompts[picture.prompt];
            let mut start = self.noising.start(&self.data.cache.demand(&picture.latent)?, random)?;
            if any && may_be_mirrored(prompt) && random.chance(0.5) {
                start.chunks_mut(self.shape.latent[2]).for_each(<[f32]>::reverse);
            }
            let timestep = timestep.unwrap_or_else(|| random.below(self.noising.timesteps()));
            self.noising.add(&start, timestep, random, (&mut rows.sample, &mut noise));
            rows.timestep.push(timestep as f32);
            let mut row = (&prompt.embedding, picture.reward, self.weights[number]);
            if any && !prompt.contrasts.is_empty() && random.chance(self.contrast) {
                row = (&prompt.contrasts[random.below(prompt.contrasts.len())], 0.0, row.2 * picture.reward);
            }
            rows.text.extend(self.data.cache.demand(row.0)?);
            rows.label.push(row.1);
            rows.weight.push(row.2);
        }
        Ok(rows)
    }
}

fn may_be_mirrored(prompt: &Prompt) -> bool {
    !prompt.text.split(|c: char| !c.is_alphanumeric()).any(|word| SIDES.contains(&word.to_lowercase().as_str()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::finetune::{
        cache::{Cache, Key},
        data::Picture,
    };

    const SHAPE: Shape = Shape { rows: 64, latent: [1, 2, 2], features: [1, 2], guided: false };

    /// A picture of a prompt with one contrast, without noise.
    fn votes(folder: &std::path::Path, prompt: &str) -> Votes {
        let cache = Cache::open(folder).expect("a cache");
        let put = |name: &str, values: &[f32]| {
            let key = Key::new(name, "", "");
            cache.get_or(&key, || Ok(values.to_vec())).expect("room");
            key
        };
        let prompts = vec![Prompt {
            text: prompt.into(),
            embedding: put("own", &[1.0; 2]),
            points: Vec::new(),
            contrasts: vec![put("contrast", &[2.0; 2])],
        }];
        let latent = put("latent", &[1.0, 2.0, 3.0, 4.0, -30.0, -30.0, -30.0, -30.0]);
        let scored = vec![Picture { sha256: "0".into(), prompt: 0, latent, point: None, reward: 0.8 }];
        let data = Data {
            cache,
            prompts,
            empty: 0,
            scored,
            votes: Vec::new(),
            pretraining: Vec::new(),
            events: None,
            reward: None,
            sha256: String::new(),
        };
        Votes::new(data, Noising::still(4), SHAPE, 0.5, 0)
    }

    #[test]
    fn contrasts_are_wrong_as_far_as_the_picture_is_right_and_pictures_without_sides_are_mirrored() {
        let folder = tempfile::tempdir().expect("a folder");
        let (starry, sided) = (votes(folder.path(), "a red star"), votes(folder.path(), "a star, left of a boat"));
        let rows = |votes: &Votes, timestep| votes.rows(&[0; 64], timestep, &mut Random::new(7)).expect("rows");
        let made = rows(&starry, None);
        let contrasts = (0..64).filter(|&row| made.text[2 * row] == 2.0).count();
        assert!((16..48).contains(&contrasts), "{contrasts} of 64");
        for row in 0..64 {
            let (label, weight) = if made.text[2 * row] == 2.0 { (0.0, 0.8) } else { (0.8, 1.0) };
            assert_eq!((made.label[row], made.weight[row]), (label, weight));
        }
        let mirrored = |rows: &Rows| rows.sample.chunks(4).filter(|x| x[0] > x[1] && x[2] > x[3]).count();
        assert!((16..48).contains(&mirrored(&made)), "{} of 64", mirrored(&made));
        assert_eq!(mirrored(&rows(&sided, None)), 0, "left would become right");
        let looked_at = rows(&starry, Some(0));
        assert_eq!((mirrored(&looked_at), looked_at.text, looked_at.label), (0, vec![1.0; 128], vec![0.8; 64]));
    }
}
