//! AUTOMATIC1111's web API (`/sdapi/v1`), as Open WebUI and the client libraries call it.

pub(super) mod draw;
pub(super) mod facts;
mod fields;
mod schema;

use super::errors;

/// A failure in AUTOMATIC1111's form.
type Failure = errors::Told<errors::A1111>;

/// `name [hash]`: how its clients name a model.
fn title(model: &crate::engine::ModelFacts) -> String {
    format!("{} [{}]", model.name, hash(&model.version))
}

/// Ten hexadecimal digits, as long as its own.
fn hash(version: &str) -> &str {
    const LENGTH: usize = 10;
    let hash = version.split_once('@').map_or("", |(_, hash)| hash);
    hash.get(..LENGTH).unwrap_or(hash)
}
