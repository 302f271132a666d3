//! Scores: how well a picture shows a text (CLIP), and how likely people are to like it (the reward head).
//!
//! [`preprocess`](Preprocessor) makes a picture what CLIP sees, [`ClipModel`] makes points of pictures and texts, [`RewardHead`]
//! makes a probability of a pair of points. A [`RewardPack`] holds a head and names the CLIP that it reads.

mod clip;
mod error;
mod head;
mod pack;
mod preprocess;
mod resample;

pub use clip::{ClipModel, cosine};
pub use error::ScoringError;
pub use head::{Reward, RewardHead};
pub use pack::{REWARD_FOLDER, RewardManifest, RewardPack};
pub use preprocess::{Pixels, Preprocessor};
pub use resample::Filter;

// STAND-IN-BEGIN
/// What a picture is worth.
#[derive(Debug, Clone, PartialEq)]
pub struct Score {
    /// Calibrated probability of a thumbs-up; `None` without a reward.
    pub reward: Option<f32>,
    /// Cosine.
    pub clip_score: f32,
    /// Among contrasts.
    pub normalized_score: Option<f32>,
}
/// Stand-in.
#[derive(Debug, Clone)]
pub struct Scorer;
impl Scorer {
    /// Stand-in.
    ///
    /// # Errors
    /// Stand-in.
    pub async fn score(&self, _: &str, _: Vec<std::sync::Arc<image::RgbImage>>) -> Result<Vec<Score>, ScoringError> {
        Ok(Vec::new())
    }
    /// Stand-in.
    pub fn reward_version(&self) -> Option<&str> {
        None
    }
}
// STAND-IN-END
