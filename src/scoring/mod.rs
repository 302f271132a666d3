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
mod scorer;
mod settings;

pub use clip::{ClipModel, cosine};
pub use error::ScoringError;
pub use head::{Reward, RewardHead};
pub use pack::{REWARD_FOLDER, RewardManifest, RewardPack};
pub use preprocess::{Pixels, Preprocessor};
pub use resample::Filter;
pub use scorer::{Answer, Points, RewardTrial, Score, ScoreError, Scorer, ServedReward};
pub use settings::ScoringSettings;
