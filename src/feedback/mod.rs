//! What people say of pictures: who may vote, how far a vote is trusted, and the datasets that are made of votes.

pub mod dataset;
pub mod exchange;
mod quarantine;
mod review;
mod settings;
mod tokens;
mod weight;

pub use quarantine::{Look, Reason, judge};
pub use review::review;
pub use settings::FeedbackSettings;
pub use tokens::{Claims, TokenError, Tokens};
pub use weight::weights;
