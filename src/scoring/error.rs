//! What can stand between pictures and their scores.

use std::path::PathBuf;

use crate::{pack::Component, pipeline::tokenize::TokenizeError, runtime::RuntimeError};

/// Why there is no score.
#[derive(Debug, thiserror::Error)]
#[allow(missing_docs)]
pub enum ScoringError {
    #[error("the pack has no {0}, and nothing can be scored without a CLIP")]
    Missing(Component),
    #[error("{}: {fault}", path.display())]
    Preprocessor { path: PathBuf, fault: String },
    #[error("{component} reads {graph}, but {other}")]
    Disagree { component: Component, graph: String, other: String },
    #[error(transparent)]
    Tokenize(#[from] TokenizeError),
    #[error("{component}: {source}")]
    Runtime { component: Component, source: RuntimeError },
    #[error("{component} answers no `{output}` of the expected type and size; `plaudit pack verify` tells more")]
    Answer { component: Component, output: &'static str },
    #[error("the reward head: {0}")]
    Head(#[source] RuntimeError),
    #[error("the reward head answers no `{0}` of the expected type and size")]
    HeadAnswer(&'static str),
    #[error("the reward head answers numbers that are no probabilities")]
    NotFinite,
}

impl ScoringError {
    pub(super) fn component(component: Component) -> impl Fn(RuntimeError) -> Self {
        move |source| Self::Runtime { component, source }
    }
}
