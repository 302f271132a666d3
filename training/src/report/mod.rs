//! What a run leaves behind for people: `metrics.jsonl`, an SVG of its curve, and figures that compare.

mod curve;
mod figures;
mod metrics;

pub use curve::{Curve, CurveError};
pub use figures::{Bar, Bars, Reliability};
pub use metrics::{Line, Metrics, MetricsError};
