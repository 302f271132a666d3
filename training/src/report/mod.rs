//! What a run leaves behind for people: `metrics.jsonl` and an SVG of its curve.

mod curve;
mod metrics;

pub use curve::{Curve, CurveError};
pub use metrics::{Line, Metrics, MetricsError};
