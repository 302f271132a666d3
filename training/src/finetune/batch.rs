//! Batches: which rows, at which timesteps, under which noise. A batch is a function of the seed and its step's number, so a resumed run meets the same.

use std::collections::HashMap;

use super::{
    Finetune, FinetuneError, Objective,
    data::{Data, Picture},
    deck::Deck,
    graph::{ANCHOR, BASELINE, GUIDANCE, KTO_SLOPE, KTO_WEIGHT, MIX, NOISE, REFERENCE, Shape, WEIGHT},
    noising::Noising,
    objective::{DENOISE, Terms, effective_size},
    pull::CONTRASTS,
};
use crate::{random::Random, step::Batch};

/// Below it an error is taken for this one, so that no row outweighs all others.
const SMALLEST_ERROR: f32 = 1e-5;

/// The inputs of one run of the graph; lengths as the graph's documentation says.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct MicroBatch {
    pub(super) sample: Vec<f32>,
    pub(super) timestep: Vec<f32>,
    pub(super) text: Vec<f32>,
    pub(super) noise: Vec<f32>,
    pub(super) guidance: Option<Vec<f32>>,
    /// √ᾱ and √(1 − ᾱ) of each row.
    pub(super) levels: Vec<(f32, f32)>,
    /// Whether a row is the model's own, and no pre-training row.
    pub(super) own: Vec<bool>,
    /// Points of CLIP of each row's prompt and of its contrasts, where the reward's gradient is wanted.
    pub(super) points: Vec<f32>,
    /// What telling the prompt from its contrasts counts for; 0 where it has none.
    pub(super) contrast: Vec<f32>,
    /// Zeros until the reference has answered.
    pub(super) reference: Vec<f32>,
    pub(super) mix: Vec<f32>,
    pub(super) weight: Vec<f32>,
    pub(super) anchor: Vec<f32>,
    pub(super) kto_weight: Vec<f32>,
    pub(super) kto_slope: Vec<f32>,
    pub(super) baseline: f32,
}

impl MicroBatch {
    /// What a prediction is asked with.
    pub(super) fn asked(&self, mut put: impl FnMut(&str, &[f32])) {
        put("sample", &self.sample);
        put("timestep", &self.timestep);
        put("encoder_hidden_states", &self.text);
        if let Some(guidance) = &self.guidance {
            put(GUIDANCE, guidance);
        }
    }

    /// 1 / √‖ε_ref − ε‖² of each row.
    fn inverse_errors(&self) -> Vec<f32> {
        let rows = self.reference.chunks(self.cells()).zip(self.noise.chunks(self.cells()));
        rows.map(|(predicted, noise)| apart(predicted, noise).max(SMALLEST_ERROR).sqrt().recip()).collect()
    }

    /// Numbers of a row's latent.
    fn cells(&self) -> usize {
        self.noise.len() / self.timestep.len().max(1)
    }

    /// Makes targets of the reward's gradient: of each own row ε_θ, moved by κ (1 − r) √‖ε_ref − ε‖² along the gradient's direction and by γ towards ε_ref, in
    /// the reference's place with m = 0. Returns Σ‖ε_θ − ε_ref‖² over own rows.
    pub(super) fn pull(&mut self, reach: f32, predicted: &[f32], rewards: &[f32], gradients: &[f32]) -> f32 {
        let cells = self.cells();
        let mut distance = 0.0;
        for row in (0..self.timestep.len()).filter(|&row| self.own[row]) {
            let place = row * cells..(row + 1) * cells;
            let (predicted, gradient) = (&predicted[place.clone()], &gradients[place.clone()]);
            let reference = &mut self.reference[place.clone()];
            distance += apart(predicted, reference);
            let error = apart(reference, &self.noise[place]).max(SMALLEST_ERROR).sqrt();
            let length = (gradient.iter().map(|x| x * x).sum::<f32>() / cells as f32).sqrt();
            let step = if length > 0.0 { reach * (1.0 - rewards[row]) * error / length } else { 0.0 };
            let held = self.anchor[row] / self.weight[row];
            for ((target, predicted), gradient) in reference.iter_mut().zip(predicted).zip(gradient) {
                *target = predicted + step * gradient - held * (predicted - *target);
            }
            self.mix[row] = 0.0;
            self.anchor[row] = 0.0;
        }
        distance
    }

    /// Makes targets of a latent reward's gradient: of each own row ε_ref − s √(1 − ᾱ) ∂ ln σ(z) / ∂x_t, in the reference's place with m = 0. What is added is at most as
    /// large as the reference's error: where the latent reward is far from liking a row, its gradient would lead away from all pictures.
    pub(super) fn lead(&mut self, strength: f32, gradients: &[f32]) {
        let cells = self.cells();
        for row in (0..self.timestep.len()).filter(|&row| self.own[row]) {
            let place = row * cells..(row + 1) * cells;
            let error = apart(&self.reference[place.clone()], &self.noise[place.clone()]).sqrt();
            let length = (gradients[place.clone()].iter().map(|x| x * x).sum::<f32>() / cells as f32).sqrt();
            let reach = (strength * self.levels[row].1).min(error / length.max(f32::MIN_POSITIVE));
            for (target, gradient) in self.reference[place.clone()].iter_mut().zip(&gradients[place]) {
                *target -= reach * gradient;
            }
            self.mix[row] = 0.0;
            self.anchor[row] = 0.0;
        }
    }

    /// Fills the step's inputs.
    pub(super) fn fill(&self, batch: &mut Batch<'_>) {
        self.feed(|name, values| batch.f32(name).copy_from_slice(values));
    }

    /// All inputs of the loss.
    pub(super) fn feed(&self, mut put: impl FnMut(&str, &[f32])) {
        self.asked(&mut put);
        let rest = [
            (NOISE, &self.noise),
            (REFERENCE, &self.reference),
            (MIX, &self.mix),
            (WEIGHT, &self.weight),
            (ANCHOR, &self.anchor),
            (KTO_WEIGHT, &self.kto_weight),
            (KTO_SLOPE, &self.kto_slope),
        ];
        rest.into_iter().for_each(|(name, values)| put(name, values));
        put(BASELINE, &[self.baseline]);
    }
}

/// The rows of one update.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct GlobalBatch {
    pub(super) micros: Vec<MicroBatch>,
    /// Effective number of the rows that are no pre-training rows, by their weights.
    pub(super) effective: f64,
}

impl GlobalBatch {
    /// Divides each row's weight and anchor by the root of the reference's error: at timesteps with little noise that error is large whatever
    /// the picture shows, and would drown those at which it is decided. The divisors' mean is 1. NFT's adaptive weight (Zheng et al. 2025), for ε.
    pub(super) fn balance(&mut self) {
        let factors: Vec<Vec<f32>> = self.micros.iter().map(MicroBatch::inverse_errors).collect();
        let rows = factors.iter().map(Vec::len).sum::<usize>().max(1);
        let mean = factors.iter().flatten().sum::<f32>() / rows as f32;
        for (micro, factors) in self.micros.iter_mut().zip(factors) {
            for (row, factor) in factors.into_iter().enumerate() {
                micro.weight[row] *= factor / mean;
                micro.anchor[row] *= factor / mean;
            }
        }
    }

    /// Mean of ‖ε_ref − ε‖² over all numbers.
    pub(super) fn reference_error(&self) -> f32 {
        let (mut sum, mut count) = (0.0, 0);
        for micro in &self.micros {
            sum += micro.reference.iter().zip(&micro.noise).map(|(a, b)| f64::from(a - b).powi(2)).sum::<f64>();
            count += micro.noise.len();
        }
        (sum / count.max(1) as f64) as f32
    }
}

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

/// Mean square of the difference of two rows.
pub(super) fn apart(one: &[f32], other: &[f32]) -> f32 {
    one.iter().zip(other).map(|(a, b)| (a - b).powi(2)).sum::<f32>() / one.len().max(1) as f32
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
    fn balanced_rows_count_by_the_inverse_root_of_the_references_error() {
        let micro = |errors: [f32; 2]| MicroBatch {
            noise: vec![0.0; 6],
            reference: errors.iter().flat_map(|error| [error.sqrt(); 3]).collect(),
            timestep: vec![0.0; 2],
            weight: vec![1.0, -2.0],
            anchor: vec![0.5; 2],
            ..MicroBatch::default()
        };
        let mut batch = GlobalBatch { micros: vec![micro([0.04, 0.01]), micro([0.25, 0.04])], effective: 4.0 };
        batch.balance();
        // 1/√e is 5, 10, 2 and 5, of mean 5.5.
        let near = |found: &[f32], wanted: [f32; 2]| {
            assert!(found.iter().zip(wanted).all(|(a, b)| (a - b).abs() < 1e-5), "{found:?}, not {wanted:?}");
        };
        near(&batch.micros[0].weight, [5.0 / 5.5, -20.0 / 5.5]);
        near(&batch.micros[1].weight, [2.0 / 5.5, -10.0 / 5.5]);
        near(&batch.micros[0].anchor, [2.5 / 5.5, 5.0 / 5.5]);
    }

    #[test]
    fn a_pull_moves_own_rows_along_the_gradient_as_far_as_the_reward_lacks_and_back_to_the_reference() {
        let mut micro = MicroBatch {
            timestep: vec![0.0; 2],
            noise: vec![0.0; 4],
            reference: vec![0.5, -0.5, 0.5, -0.5],
            mix: vec![1.0; 2],
            weight: vec![2.0; 2],
            anchor: vec![0.2, 0.0],
            own: vec![true, false],
            ..MicroBatch::default()
        };
        let distance = micro.pull(0.4, &[0.6, -0.5, 9.0, 9.0], &[0.75, 0.0], &[3.0, 0.0, 1.0, 1.0]);
        // The reference's error is 0.5 and the gradient's root mean square 3 / √2; γ / w is 0.1.
        let moved = 0.4 * 0.25 * 0.5 * 2.0_f32.sqrt();
        let wanted = [0.6 + moved - 0.1 * 0.1, -0.5, 0.5, -0.5];
        let near = micro.reference.iter().zip(wanted).all(|(a, b)| (a - b).abs() < 1e-6);
        assert!(near, "{:?}, not {wanted:?}", micro.reference);
        assert_eq!((micro.mix, micro.anchor), (vec![0.0, 1.0], vec![0.0, 0.0]));
        assert!((distance - 0.005).abs() < 1e-6, "{distance}");
    }

    #[test]
    fn a_latent_reward_leads_own_rows_no_farther_than_the_references_error() {
        let micro = MicroBatch {
            timestep: vec![0.0; 3],
            noise: vec![0.0; 6],
            levels: vec![(0.8, 0.6); 3],
            reference: vec![0.5; 6],
            mix: vec![1.0; 3],
            anchor: vec![0.2; 3],
            own: vec![true, true, false],
            ..MicroBatch::default()
        };
        let mut led = micro.clone();
        led.lead(2.0, &[0.1, -0.1, 30.0, 40.0, 1.0, 1.0]);
        // 2 · 0.6 · 0.1 of the first; the second is cut to a root mean square of 0.5.
        let cut = 0.5 * 2.0_f32.sqrt();
        let wanted = [0.5 - 0.12, 0.5 + 0.12, 0.5 - 0.6 * cut, 0.5 - 0.8 * cut, 0.5, 0.5];
        let near = led.reference.iter().zip(wanted).all(|(a, b)| (a - b).abs() < 1e-6);
        assert!(near, "{:?}, not {wanted:?}", led.reference);
        assert_eq!((led.mix, led.anchor), (vec![0.0, 0.0, 1.0], vec![0.0, 0.0, 0.2]));
    }

    #[test]
    fn a_prompts_mixes_have_no_mean() {
        let terms = |mix: f32| Terms { mix, ..DENOISE };
        let mut made = vec![terms(1.0), terms(0.5), terms(-0.25)];
        let prompts = [3, 3, 5];
        centre(&mut made, &prompts);
        assert_eq!(made.iter().map(|terms| terms.mix).collect::<Vec<_>>(), [0.25, -0.25, 0.0]);
    }
}
