//! What requests are made of, parsed once at the door: private fields, one constructor each.

mod ids;
mod owner;

pub use ids::{IdError, ImageId, JobId, KeyId};
pub use owner::{Owner, Role, UnknownRole};
