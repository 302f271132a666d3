//! Pictures: made from text, made from pictures, and kept.

pub(super) mod edits;
pub(super) mod generations;
pub(super) mod schema;
pub(super) mod stored;
mod stream;
