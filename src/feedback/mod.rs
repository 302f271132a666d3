//! What people say of pictures: who may vote, and how far a vote is trusted.

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
