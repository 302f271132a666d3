//! What can stand between a prompt and its pictures.

use super::{request::MOST_SIDE, schedule::ScheduleError, tokenize::TokenizeError};
use crate::{pack::Component, runtime::RuntimeError};

/// Why there are no pictures.
#[derive(Debug, thiserror::Error)]
#[allow(missing_docs)]
pub enum PipelineError {
    #[error("the pack has no {0}")]
    Missing(Component),
    #[error(transparent)]
    Tokenize(#[from] TokenizeError),
    #[error(transparent)]
    Schedule(#[from] ScheduleError),
    #[error(
        "this pack cannot draw {width}×{height}: width and height must be multiples of {multiple} up to {MOST_SIDE}; its own size is {own_width}×{own_height}"
    )]
    Size { width: usize, height: usize, multiple: usize, own_width: usize, own_height: usize },
    #[error("{count} pictures of {width}×{height} are too many for one request: {most} are the most at this size")]
    Count { count: usize, width: usize, height: usize, most: usize },
    #[error("a guidance scale of {0} is not a number that can be used")]
    Guidance(f32),
    #[error("a guidance interval from {0} to {1} is not one of 0 ≤ start ≤ end ≤ 1")]
    Interval(f64, f64),
    #[error("a strength of {0} is outside of what can be done: above 0, at most 1")]
    Strength(f64),
    #[error("the first picture failed: {0}")]
    WarmUp(String),
    #[error(
        "the denoiser failed with {rows} rows in a call: {source}; fewer may do, see engine.max_rows and engine.buckets"
    )]
    Rows { rows: usize, source: Box<Self> },
    #[error("this version was taken out of memory to make room for another")]
    Unloaded,
    #[error(transparent)]
    Environment(RuntimeError),
    #[error("{component}: {source}")]
    Runtime { component: Component, source: RuntimeError },
    #[error("{component} answers no `{output}` of the expected type and size; `plaudit pack verify` tells more")]
    Answer { component: Component, output: &'static str },
}

impl PipelineError {
    /// The runtime's error with the component it happened in. A missing library or device is not the component's fault.
    pub(super) fn component(component: Component) -> impl Fn(RuntimeError) -> Self {
        move |source| match source {
            RuntimeError::LibraryNotFound { .. }
            | RuntimeError::LibraryUnusable { .. }
            | RuntimeError::Device { .. } => Self::Environment(source),
            source => Self::Runtime { component, source },
        }
    }
}
