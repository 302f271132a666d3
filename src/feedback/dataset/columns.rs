//! The columns of a dataset, once: names, kinds and meanings for Parquet, `datasets` and the card.

use serde_json::{Map, Value, json};

/// What a column holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// UTF-8.
    Text,
    /// 64-bit, signed.
    Integer,
    /// 64-bit floating point.
    Real,
    /// True or false.
    Truth,
    /// A list of texts.
    Texts,
}

/// A column beside `image`.
#[derive(Debug, Clone, Copy)]
pub(super) struct Column {
    pub(super) name: &'static str,
    pub(super) kind: Kind,
    pub(super) meaning: &'static str,
}

const fn column(name: &'static str, kind: Kind, meaning: &'static str) -> Column {
    Column { name, kind, meaning }
}

/// In the order of [`Row`](super::Row)'s fields.
pub(super) const COLUMNS: [Column; 28] = [
    column("image_id", Kind::Text, "the picture's name where it was drawn"),
    column("rater", Kind::Text, "who voted"),
    column("rating", Kind::Text, "`up` or `down`; null only where `skipped`"),
    column("prompt", Kind::Text, "what the picture was to show"),
    column("model_version", Kind::Text, "what drew it"),
    column("reward_version", Kind::Text, "what scored it"),
    column("seed", Kind::Integer, "the picture's seed"),
    column("created", Kind::Integer, "when the vote came, Unix seconds"),
    column("sequence", Kind::Integer, "the vote's place in the event log"),
    column("file_name", Kind::Text, "where the picture lies, relative to `data/`"),
    column("image_sha256", Kind::Text, "SHA-256 of the picture's file"),
    column("feedback_id", Kind::Text, "the vote's own name"),
    column("negative_prompt", Kind::Text, "what the picture was not to show"),
    column("split", Kind::Text, "which part of a dataset it belongs to"),
    column("category", Kind::Text, "what kind of prompt it is"),
    column("truth", Kind::Truth, "whether the picture shows what the prompt says, where somebody knows"),
    column("skipped", Kind::Truth, "whether the rater passed over the picture"),
    column("quarantined", Kind::Truth, "whether the vote is held back from training"),
    column("weight", Kind::Real, "its weight in training, 0 to 1"),
    column("reward", Kind::Real, "the reward when the picture was shown, 0 to 1"),
    column("rank", Kind::Integer, "its rank among its request's candidates by reward, from 0"),
    column("propensity", Kind::Real, "the probability with which it was picked to be shown"),
    column("position", Kind::Integer, "where it was shown among others, from 0"),
    column("surface", Kind::Text, "where it was shown"),
    column("dwell_ms", Kind::Integer, "milliseconds for which it was looked at before the vote"),
    column("reward_visible", Kind::Truth, "whether the rater saw the reward"),
    column("reasons", Kind::Texts, "why, in the rater's choice of words"),
    column("origin", Kind::Text, "where the vote was first written down, if not where it was exported"),
];

/// The features as `datasets` writes them into the metadata of an Arrow schema.
pub(super) fn features() -> Value {
    let mut features = Map::from_iter([("image".to_owned(), json!({"_type": "Image"}))]);
    features.extend(COLUMNS.iter().map(|column| (column.name.to_owned(), feature(column.kind))));
    json!({"info": {"features": features}})
}

fn feature(kind: Kind) -> Value {
    match kind {
        Kind::Texts => json!({"feature": {"dtype": "string", "_type": "Value"}, "_type": "Sequence"}),
        _ => json!({"dtype": dtype(kind), "_type": "Value"}),
    }
}

/// A kind's name in `datasets`.
pub(super) fn dtype(kind: Kind) -> &'static str {
    match kind {
        Kind::Text | Kind::Texts => "string",
        Kind::Integer => "int64",
        Kind::Real => "float64",
        Kind::Truth => "bool",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::feedback::dataset::Row;

    #[test]
    fn columns_are_the_fields_of_a_row_in_their_order() {
        let row = serde_json::to_value(Row::default()).unwrap();
        let fields: Vec<_> = row.as_object().unwrap().keys().map(String::as_str).collect();
        assert_eq!(fields, COLUMNS.map(|column| column.name));
    }
}
