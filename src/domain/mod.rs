//! What requests are made of, parsed once at the door: private fields, one constructor each.

mod feedback;
mod ids;
mod owner;
mod share;
mod versions;

pub use feedback::{Rater, RaterError, Rating, UnknownRating, Viewing};
pub use ids::{FeedbackId, IdError, ImageId, JobId, KeyId};
pub use owner::{Owner, Role, UnknownRole};
pub(crate) use share::falls_to;
pub use versions::{Kind, UnknownKind, VersionId, VersionIdError};
