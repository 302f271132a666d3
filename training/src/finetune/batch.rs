//! The rows of an update as the graph takes them, and targets that are made of the reference's predictions before it does.

use super::graph::{ANCHOR, BASELINE, GUIDANCE, KTO_SLOPE, KTO_WEIGHT, MIX, NOISE, REFERENCE, WEIGHT};
use crate::step::Batch;

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

/// Mean square of the difference of two rows.
pub(super) fn apart(one: &[f32], other: &[f32]) -> f32 {
    one.iter().zip(other).map(|(a, b)| (a - b).powi(2)).sum::<f32>() / one.len().max(1) as f32
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
}
