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
//! | KTO | 1 | 0 | vote's weight, ±1 | Diffusion-KTO (Li et al. 2024) |
//!
//! Pre-training rows have m = 1, w = β, whatever the objective. With guidance s, ε_θ is ε_∅ + s (ε_z − ε_∅), and so is ε_ref.

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
    },
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
