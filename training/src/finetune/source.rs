//! Where batches come from: which rows, at which timesteps, under which noise. A batch is a function of the seed and its step's number, so a resumed run meets the same.

use std::collections::HashMap;

use super::{
    Finetune, FinetuneError, Objective,
    batch::{GlobalBatch, MicroBatch},
    data::{Data, Picture},
    deck::Deck,
    graph::Shape,
    noising::Noising,
    objective::{DENOISE, Terms, effective_size},
    pull::CONTRASTS,
};
use crate::random::Random;

/// Where batches come from.
#[derive(Debug, Clone)]
pub(super) struct Source {
    data: Data,
    settings: Finetune,
    shape: Shape,
    noising: Noising,
    /// Terms of each scored picture.
    terms: Vec<Terms>,
    model: Kind,
    pretraining: Option<Deck>,
    /// Rows of a batch from scored pictures or votes, and from the pre-training set.
    counts: (usize, usize),
}

/// What the model's own rows are.
#[derive(Debug, Clone)]
enum Kind {
    Pictures(Deck),
    /// Numbers of votes.
    Votes {
        liked: Deck,
        disliked: Deck,
        liked_rows: usize,
    },
}

/// A row before its noise.
#[derive(Debug, Clone, Copy)]
enum Pick {
    /// Number of a scored picture.
    Scored(usize),
    /// Number of a vote.
    Vote(usize),
    /// Number of a pre-training picture.
    Pretraining(usize),
}

impl Source {
    pub(super) fn new(settings: &Finetune, data: Data, shape: Shape, noising: Noising) -> Result<Self, FinetuneError> {
        if settings.timesteps.is_some_and(|(_, to)| to > noising.timesteps()) {
            let fault = format!("timesteps must end at {} or before: the pack has no more", noising.timesteps());
            return Err(FinetuneError::Settings { fault });
        }
        let means = prompt_means(&data);
        let spread = spread(&data, &means);
        let terms = |picture: &Picture| settings.objective.of_reward(picture.reward, means[&picture.prompt], spread);
        let mut terms: Vec<Terms> = data.scored.iter().map(terms).collect();
        if matches!(settings.objective, Objective::SignedTarget { relative: true, .. }) {
            centre(&mut terms, &data.scored.iter().map(|picture| picture.prompt).collect::<Vec<_>>());
        }
        let counts = counts(settings, !data.pretraining.is_empty())?;
        let model = Kind::of(settings, &data, &terms, counts.0)?;
        let all = (0..data.pretraining.len()).collect();
        let pretraining = (counts.1 > 0).then(|| Deck::new(all, "pre-training", settings.seed));
        Ok(Self { settings: settings.clone(), data, shape, noising, terms, model, pretraining, counts })
    }

    /// What is learned from, in words and figures.
    pub(super) fn summary(&self) -> String {
        let effective = effective_size(self.terms.iter().map(|terms| terms.weight));
        let model = match &self.model {
            Kind::Pictures(deck) => format!("{} pictures, effective sample size {effective:.0}", deck.len()),
            Kind::Votes { liked, disliked, .. } => format!("{} thumbs up and {} down", liked.len(), disliked.len()),
        };
        format!(
            "{model}; {} pre-training pictures; {} + {} rows a batch",
            self.data.pretraining.len(),
            self.counts.0,
            self.counts.1
        )
    }

    /// The batch of a step, counted from 0.
    pub(super) fn batch(&mut self, step: u64) -> Result<GlobalBatch, FinetuneError> {
        let picks = self.picks(step);
        let mut random = Random::stream(self.settings.seed, &format!("batch {step}"));
        let own = picks.iter().filter(|pick| !matches!(pick, Pick::Pretraining(_))).map(|&pick| self.terms(pick));
        let effective = effective_size(own.map(|terms| terms.weight + terms.kto_weight));
        let micros = picks.chunks(self.shape.rows).map(|picks| self.micro(picks, &mut random));
        Ok(GlobalBatch { micros: micros.collect::<Result<_, _>>()?, effective })
    }

    /// The model's own rows first, then the pre-training set's.
    fn picks(&mut self, step: u64) -> Vec<Pick> {
        let (own, pretraining) = self.counts;
        let place = |rows: usize, row: usize| step * rows as u64 + row as u64;
        let mut picks: Vec<Pick> = match &mut self.model {
            Kind::Pictures(deck) => (0..own).map(|row| Pick::Scored(deck.at(place(own, row)))).collect(),
            Kind::Votes { liked, disliked, liked_rows } => {
                let (up, down) = (*liked_rows, own - *liked_rows);
                let liked = (0..up).map(|row| Pick::Vote(liked.at(place(up, row)))).collect::<Vec<_>>();
                let disliked = (0..down).map(|row| Pick::Vote(disliked.at(place(down, row))));
                liked.into_iter().chain(disliked).collect()
            }
        };
        if let Some(deck) = &mut self.pretraining {
            picks.extend((0..pretraining).map(|row| Pick::Pretraining(deck.at(place(pretraining, row)))));
        }
        picks
    }

    fn terms(&self, pick: Pick) -> Terms {
        match (pick, self.settings.objective) {
            (Pick::Scored(number), _) => self.terms[number],
            (Pick::Vote(number), Objective::Kto(kto)) => {
                let vote = self.data.votes[number];
                kto.of_vote(vote.good, vote.weight)
            }
            (Pick::Vote(_) | Pick::Pretraining(_), _) => DENOISE,
        }
    }

    fn micro(&self, picks: &[Pick], random: &mut Random) -> Result<MicroBatch, FinetuneError> {
        let (cells, words) = (self.shape.cells(), self.shape.words());
        let mut micro = MicroBatch { reference: vec![0.0; picks.len() * cells], ..MicroBatch::default() };
        let (mut empty, mut text, mut guidance) = (Vec::new(), Vec::with_capacity(picks.len() * words), Vec::new());
        for &pick in picks {
            let pretraining = matches!(pick, Pick::Pretraining(_));
            let picture = match pick {
                Pick::Scored(number) => &self.data.scored[number],
                Pick::Vote(number) => &self.data.scored[self.data.votes[number].picture],
                Pick::Pretraining(number) => &self.data.pretraining[number],
            };
            let all = (0, self.noising.timesteps());
            let range = if pretraining { all } else { self.settings.timesteps.unwrap_or(all) };
            self.noised(picture, range, &mut micro, random)?;
            let dropped = pretraining && random.chance(self.settings.prompt_drop);
            let prompt = if dropped { self.data.empty } else { picture.prompt };
            text.extend(self.features(prompt)?);
            if self.shape.guided {
                empty.extend(self.features(self.data.empty)?);
                guidance.push(if pretraining { 1.0 } else { self.settings.guidance.unwrap_or(1.0) });
            }
            micro.own.push(!pretraining);
            if let Objective::RewardGradient { contrast, .. } = self.settings.objective {
                // Pre-training rows are not scored: any prompt will do.
                let number = if pretraining { self.data.scored[0].prompt } else { picture.prompt };
                let points = &self.data.prompts[number].points;
                for place in 0..=CONTRASTS {
                    let others = points.len().saturating_sub(1);
                    let key =
                        if place == 0 || others == 0 { points.first() } else { points.get(1 + (place - 1) % others) };
                    micro.points.extend(key.map(|key| self.data.cache.demand(key)).transpose()?.unwrap_or_default());
                }
                micro.contrast.push(if points.len() > 1 { contrast } else { 0.0 });
            }
            self.weigh(pick, &mut micro);
        }
        empty.extend(text);
        micro.text = empty;
        micro.guidance = self.shape.guided.then_some(guidance);
        Ok(micro)
    }

    /// Appends x_t = √ᾱ_t x₀ + √(1 − ᾱ_t) ε with x₀ drawn from the picture's posterior and t from the range, and t and ε.
    fn noised(
        &self,
        picture: &Picture,
        (from, to): (usize, usize),
        micro: &mut MicroBatch,
        random: &mut Random,
    ) -> Result<(), FinetuneError> {
        let moments = self.data.cache.demand(&picture.latent)?;
        let timestep = from + random.below(to - from);
        let start = self.noising.start(&moments, random)?;
        self.noising.add(&start, timestep, random, (&mut micro.sample, &mut micro.noise));
        micro.timestep.push(timestep as f32);
        micro.levels.push(self.noising.level(timestep));
        Ok(())
    }

    fn features(&self, prompt: usize) -> Result<Vec<f32>, FinetuneError> {
        self.data.cache.demand(&self.data.prompts[prompt].embedding)
    }

    /// Appends a row's terms, scaled so that the mean over all rows is the sum of both kinds' own means.
    fn weigh(&self, pick: Pick, micro: &mut MicroBatch) {
        let (own, pretraining) = self.counts;
        let rows = (own + pretraining) as f32;
        let Terms { mix, weight, kto_weight, kto_slope } = self.terms(pick);
        let (weight, anchor) = match pick {
            Pick::Pretraining(_) => (self.settings.pretraining_weight * rows / pretraining as f32, 0.0),
            _ => (weight * rows / own as f32, self.settings.gamma() * rows / own as f32),
        };
        micro.mix.push(mix);
        micro.weight.push(weight);
        micro.anchor.push(anchor);
        micro.kto_weight.push(kto_weight * rows / own as f32);
        micro.kto_slope.push(kto_slope);
    }
}

impl Kind {
    fn of(settings: &Finetune, data: &Data, terms: &[Terms], rows: usize) -> Result<Self, FinetuneError> {
        if let Objective::Kto(kto) = settings.objective {
            let of = |good: bool, name| {
                let numbers = (0..data.votes.len()).filter(|&number| data.votes[number].good == good);
                Deck::new(numbers.filter(|&number| data.votes[number].weight > 0.0).collect(), name, settings.seed)
            };
            // Each batch has both kinds: a batch of one kind moves z₀ instead of the pictures.
            let liked_rows = ((kto.liked * rows as f32).round() as usize).clamp(1, rows.saturating_sub(1).max(1));
            return Ok(Self::Votes { liked: of(true, "liked"), disliked: of(false, "disliked"), liked_rows });
        }
        let useful = |number: &usize| terms[*number].weight != 0.0 || settings.gamma() > 0.0;
        let cards: Vec<usize> = (0..terms.len()).filter(useful).collect();
        if terms.iter().all(|terms| terms.weight == 0.0) {
            let fault =
                "every picture's weight is zero: with centred weights each prompt needs pictures of different reward"
                    .into();
            return Err(FinetuneError::Few {
                fault,
                remedy: "draw more pictures of each prompt, or take another --objective",
            });
        }
        Ok(Self::Pictures(Deck::new(cards, "pictures", settings.seed)))
    }
}

/// Rows of a batch that are the model's own, and the pre-training set's.
fn counts(settings: &Finetune, pretraining: bool) -> Result<(usize, usize), FinetuneError> {
    let rows = settings.batch();
    let least = if matches!(settings.objective, Objective::Kto(_)) { 2 } else { 1 };
    let wanted = (settings.pretraining_share * rows as f32).round() as usize;
    let others = if pretraining && settings.pretraining_share > 0.0 {
        wanted.clamp(1, rows.saturating_sub(least).max(1))
    } else {
        0
    };
    if rows < least + others {
        let fault =
            format!("a batch of {rows} rows is too small for this objective and a pre-training set; give more --rows");
        return Err(FinetuneError::Settings { fault });
    }
    Ok((rows - others, others))
}

/// Mean reward of each prompt's pictures.
fn prompt_means(data: &Data) -> HashMap<usize, f32> {
    means(data.scored.iter().map(|picture| (picture.prompt, picture.reward)))
}

/// Takes each prompt's mean m away. Clipping leaves one: a prompt of mostly good pictures would pull towards plain denoising, which undoes guidance.
fn centre(terms: &mut [Terms], prompts: &[usize]) {
    let means = means(prompts.iter().copied().zip(terms.iter().map(|terms| terms.mix)));
    for (prompt, terms) in prompts.iter().zip(terms) {
        terms.mix -= means[prompt];
    }
}

/// Mean number of each prompt.
fn means(numbers: impl Iterator<Item = (usize, f32)>) -> HashMap<usize, f32> {
    let mut sums: HashMap<usize, (f64, f64)> = HashMap::new();
    for (prompt, number) in numbers {
        let (sum, count) = sums.entry(prompt).or_default();
        *sum += f64::from(number);
        *count += 1.0;
    }
    sums.into_iter().map(|(prompt, (sum, count))| (prompt, (sum / count) as f32)).collect()
}

/// Standard deviation of r − the mean of its prompt's pictures, over all pictures.
fn spread(data: &Data, means: &HashMap<usize, f32>) -> f32 {
    let squares = data.scored.iter().map(|picture| f64::from(picture.reward - means[&picture.prompt]).powi(2));
    (squares.sum::<f64>() / data.scored.len().max(1) as f64).sqrt() as f32
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_prompts_mixes_have_no_mean() {
        let terms = |mix: f32| Terms { mix, ..DENOISE };
        let mut made = vec![terms(1.0), terms(0.5), terms(-0.25)];
        let prompts = [3, 3, 5];
        centre(&mut made, &prompts);
        assert_eq!(made.iter().map(|terms| terms.mix).collect::<Vec<_>>(), [0.25, -0.25, 0.0]);
    }
}
