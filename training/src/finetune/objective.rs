//! What is minimised.
//!
//! For row i with noised latent x_t = √ᾱ_t x₀ + √(1 − ᾱ_t) ε, prediction ε_θ, the reference's prediction ε_ref (the parent's, frozen, same t and ε),
//! reward r ∈ [0, 1]; every square is a mean over the latent's elements, so all errors are about 1 for a model that knows nothing:
//!
//! ```text
//! e_i = ‖ε_θ − ε‖²      e_ref,i = ‖ε_ref − ε‖²      a_i = ‖ε_θ − ε_ref‖²
//! y_i = m_i ε + (1 − m_i) ε_ref                      the target; m = 1 is the noise itself
//! L   = mean_i [ w_i ‖ε_θ − y_i‖² + γ_i a_i + λ_i (1 − σ(s_i β_K (e_ref,i − e_i − z₀))) ]
//! ```
//!
//! | objective | m | w | λ, s | source |
//! |---|---|---|---|---|
//! | reward-weighted | 1 | r | 0 | Lee et al. 2023, §4.3 |
//! | centred | 1 | r − mean of r over the prompt's pictures | 0 | DDPO (Black et al. 2023), its RWR |
//! | signed target | (2r − 1) / b | 1 | 0 | NFT (Zheng et al. 2025), for ε |
//! | signed target, relative | clip((r − mean of the prompt's pictures) / Z, −1, 1) / b | 1 | 0 | NFT, its optimality probability |
//! | reward gradient | 0 | 1 | 0 | ReFL (Xu et al. 2023); y is ε_θ moved along the reward's gradient and towards ε_ref, in ε_ref's place |
//! | latent reward | 0 | 1 | 0 | classifier guidance (Dhariwal and Nichol 2021) by a reward of noised latents (LPO, Zhang et al. 2025), distilled; y is ε_ref led by it, in ε_ref's place |
//! | KTO | 1 | 0 | vote's weight, ±1 | Diffusion-KTO (Li et al. 2024) |
//!
//! Z is the standard deviation of r − mean over all pictures. Pre-training rows have m = 1, w = β, whatever the objective. With guidance s, ε_θ is ε_∅ + s (ε_z − ε_∅), and so is ε_ref.

use serde::{Deserialize, Serialize};

/// How rewards or votes become a loss.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Objective {
    /// The paper's: each picture's denoising error weighted by its reward. Disliked pictures still attract, only less.
    RewardWeighted,
    /// Weights r − mean of the prompt's pictures: those below their prompt's mean repel. Without bound: keep an anchor, and the rate low.
    Centred,
    /// A bounded pull or push: the target lies between the reference's prediction (r = ½) and the noise (r = 1), or as far on the other side (r = 0).
    SignedTarget {
        /// b > 0: larger moves less; 1 makes r = 1 plain denoising.
        bound: f32,
        /// Whether r is taken relative to the prompt's other pictures, as NFT does: ½ + ½ clip((r − mean) / Z, −1, 1). Hard prompts then push
        /// as much as easy ones, and a reward whose answers lie close together moves as far as one whose do not.
        #[serde(default)]
        relative: bool,
    },
    /// Towards what the reward's own gradient says, at what a prediction says the picture will be (ReFL): the target is ε_θ moved along ∂ log r / ∂ε, as far as
    /// `reach` · (1 − r) times the root of the reference's error, less γ (ε_θ − ε_ref).
    RewardGradient {
        /// κ > 0, as a share of ‖ε_ref − ε‖; over γ, it is also how far predictions can come from the parent's.
        reach: f32,
        /// What telling the picture's prompt from its contrasts counts for beside log r; a change that every prompt's reward rises by then counts less.
        contrast: f32,
    },
    /// Towards where a reward that sees noise leads the parent: the target is ε_ref − s √(1 − ᾱ) ∂ ln σ(z) / ∂x_t, with z learned from the votes first.
    LatentReward(LatentReward),
    /// From the votes themselves, without a reward.
    Kto(Kto),
}

/// Settings of [`Objective::Kto`].
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Kto {
    /// β_K: how sharply an error's gain saturates. Errors are means over a latent's elements. Default: 5000, the paper's for SD v1.5.
    pub sharpness: f32,
    /// Share of a batch's vote rows that are thumbs-up, 0 < p < 1; each batch holds both kinds. Default: 0.8, the paper's.
    pub liked: f32,
    /// Weight of thumbs-up and of thumbs-down. Default: 1 and 1.
    pub weights: [f32; 2],
    /// Batches whose gains z₀ is the mean of, the running one included: with small batches one is a poor estimate. Default: 8.
    pub window: usize,
}

impl Default for Kto {
    fn default() -> Self {
        Self { sharpness: 5000.0, liked: 0.8, weights: [1.0, 1.0], window: 8 }
    }
}

/// Settings of [`Objective::LatentReward`].
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct LatentReward {
    /// s > 0: 1 would be exact if the latent reward and the steps were; more leads farther, and pictures of a prompt become more alike. Default: 60.
    pub strength: f32,
    /// Updates of the latent reward, of 64 rows each. Default: 1,500.
    pub steps: u64,
    /// Its highest learning rate. Default: 4e-4.
    pub rate: f32,
    /// Share of its rows that show a picture with a contrast of its prompt in the prompt's place, which is wrong as far as the picture is right: 0 ≤ q < 1. What the
    /// denoiser always gets right no vote speaks of. Default: 0, as it was not shown to help (docs/finetune.md).
    pub contrast: f32,
}

impl Default for LatentReward {
    fn default() -> Self {
        Self { strength: 60.0, steps: 1500, rate: 4e-4, contrast: 0.0 }
    }
}

impl Objective {
    /// The reward's gradient with the numbers that moved the miniature's reward most (docs/finetune.md).
    pub const REWARD_GRADIENT: Self = Self::RewardGradient { reach: 0.5, contrast: 1.0 };
}

/// What an objective makes of one row: m, w, λ and s · β_K of the loss.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Terms {
    pub(super) mix: f32,
    pub(super) weight: f32,
    pub(super) kto_weight: f32,
    pub(super) kto_slope: f32,
}

/// Plain denoising.
pub(super) const DENOISE: Terms = Terms { mix: 1.0, weight: 1.0, kto_weight: 0.0, kto_slope: 0.0 };

impl Objective {
    /// Of a scored picture: r, the mean of r over its prompt's pictures, and Z. Objectives of votes have no such rows.
    pub(super) fn of_reward(&self, reward: f32, mean: f32, spread: f32) -> Terms {
        match *self {
            Self::RewardWeighted => Terms { weight: reward, ..DENOISE },
            Self::Centred => Terms { weight: reward - mean, ..DENOISE },
            Self::SignedTarget { bound, relative: false } => Terms { mix: (2.0 * reward - 1.0) / bound, ..DENOISE },
            Self::SignedTarget { bound, relative: true } => {
                let score = if spread > 0.0 { ((reward - mean) / spread).clamp(-1.0, 1.0) } else { 0.0 };
                Terms { mix: score / bound, ..DENOISE }
            }
            Self::RewardGradient { .. } | Self::LatentReward(_) => DENOISE,
            Self::Kto(_) => Terms { weight: 0.0, ..DENOISE },
        }
    }

    /// Whether the reference's prediction is part of the target.
    pub(super) fn needs_reference(&self) -> bool {
        !matches!(self, Self::RewardWeighted | Self::Centred)
    }
}

impl Kto {
    /// Of a vote.
    pub(super) fn of_vote(&self, good: bool, weight: f32) -> Terms {
        let (side, sign) = if good { (self.weights[0], 1.0) } else { (self.weights[1], -1.0) };
        Terms { mix: 1.0, weight: 0.0, kto_weight: weight * side, kto_slope: sign * self.sharpness }
    }
}

/// (Σ |w|)² / Σ w²: as many equally weighted rows would be as informative (Kish 1965). 0 where all weights are.
pub fn effective_size(weights: impl IntoIterator<Item = f32>) -> f64 {
    let (sum, squares) = weights.into_iter().fold((0.0, 0.0), |(sum, squares), weight| {
        let weight = f64::from(weight.abs());
        (sum + weight, squares + weight * weight)
    });
    if squares > 0.0 { sum * sum / squares } else { 0.0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rewards_and_votes_become_terms() {
        let weighted = |reward| Terms { weight: reward, ..DENOISE };
        assert_eq!(Objective::RewardWeighted.of_reward(0.7, 0.2, 0.1), weighted(0.7));
        assert_eq!(Objective::Centred.of_reward(0.25, 0.75, 0.1), weighted(-0.5));
        let signed = Objective::SignedTarget { bound: 2.0, relative: false };
        assert_eq!([1.0, 0.5, 0.0].map(|reward| signed.of_reward(reward, 0.0, 0.1).mix), [0.5, 0.0, -0.5]);
        let relative = Objective::SignedTarget { bound: 2.0, relative: true };
        let mixes = [1.0, 0.375, 0.25, 0.0].map(|reward| relative.of_reward(reward, 0.25, 0.25).mix);
        assert_eq!(mixes, [0.5, 0.25, 0.0, -0.5]);
        assert_eq!(relative.of_reward(0.5, 0.5, 0.0).mix, 0.0);
        let kto = Kto { sharpness: 10.0, weights: [1.0, 0.5], ..Kto::default() };
        assert_eq!((kto.of_vote(true, 0.8).kto_weight, kto.of_vote(true, 0.8).kto_slope), (0.8, 10.0));
        assert_eq!((kto.of_vote(false, 0.8).kto_weight, kto.of_vote(false, 0.8).kto_slope), (0.4, -10.0));
    }

    #[test]
    fn the_effective_size_counts_equal_weights() {
        assert_eq!(effective_size([0.5; 8]), 8.0);
        assert_eq!(effective_size([1.0, -1.0, 0.0]), 2.0);
        assert_eq!(effective_size([0.0; 3]), 0.0);
    }
}
