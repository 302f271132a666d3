//! Which files belong to which part of a pack: what an import copies, the manifest names and an opened pack must have named.

use super::{Component, GOLDEN};

/// Parts without a graph, and their files. Not every pack has all of them.
pub(super) const PLAIN_PARTS: [(&str, &[&str]); 3] = [
    (
        "tokenizer",
        &[
            "tokenizer/tokenizer.json",
            "tokenizer/tokenizer_config.json",
            "tokenizer/special_tokens_map.json",
            "tokenizer/added_tokens.json",
            "tokenizer/vocab.json",
            "tokenizer/merges.txt",
        ],
    ),
    ("scheduler", &["scheduler/scheduler_config.json"]),
    ("feature_extractor", &["feature_extractor/preprocessor_config.json"]),
];

/// What says which classes a pack is made of.
pub const INDEX: &str = "model_index.json";

/// Files at the top of every pack.
pub(super) const TOP: [&str; 2] = [INDEX, GOLDEN];

/// How pictures are prepared for CLIP. Packs of before it was part of the manifest are still packs.
pub(crate) const PREPROCESSOR: &str = "clip/preprocessor_config.json";

/// A component's configuration files; not every component has them.
pub(super) fn configurations(component: Component) -> Vec<String> {
    let own = format!("{}/config.json", component.folder());
    let preprocessor = (component == Component::ClipVision).then(|| PREPROCESSOR.to_owned());
    std::iter::once(own).chain(preprocessor).collect()
}

/// All files of a component: graph, weights, configuration.
pub(super) fn files(component: Component) -> Vec<String> {
    let mut files = vec![component.graph(), component.weights()];
    files.extend(configurations(component));
    files
}
