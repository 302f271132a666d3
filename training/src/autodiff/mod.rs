//! Reverse-mode differentiation of ONNX graphs, as ONNX.
//!
//! [`backward()`] appends to a forward graph the nodes that compute ∂loss/∂parameter, and returns those values as further
//! outputs. What an operator's gradient is stands in one table of formulas; a driver owns the rest: pruning to the path
//! from parameters to the loss, reverse order, reduction of each cotangent to its source's shape, accumulation, naming.

mod backward;
mod call;
mod composite;
mod rules;
mod table;
mod tape;
mod value;

#[cfg(test)]
mod tests;

use std::collections::HashSet;

use indexmap::IndexMap;
use plaudit_onnx::Graph;

/// A node that cannot be differentiated, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Gap {
    /// The node's name.
    pub node: String,
    /// Its operator, with the domain where that is not ONNX's own.
    pub op: String,
    /// Its first output, which finds it where nodes have no names.
    pub output: String,
    /// What is missing.
    pub reason: String,
}

impl std::fmt::Display for Gap {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} {:?} (→ {}): {}", self.op, self.node, self.output, self.reason)
    }
}

/// Why a graph cannot be differentiated. Each variant names everything that is wrong.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum AutodiffError {
    /// Operators, or uses of them, without a gradient.
    #[error("no gradient for {} node(s) between the parameters and the loss:\n  {}", .0.len(), lines(.0))]
    Gaps(Vec<Gap>),
    /// Values without a static shape.
    #[error("{} value(s) have no static shape; specialise the graph first: {}", .0.len(), .0.join(", "))]
    UnknownShapes(Vec<String>),
    /// Parameters that the loss does not depend on.
    #[error("{loss:?} does not depend on {}; leave them out of the parameters", .parameters.join(", "))]
    Unreached {
        /// The loss.
        loss: String,
        /// The parameters.
        parameters: Vec<String>,
    },
    /// The loss is a tensor.
    #[error("{loss:?} has shape {shape:?}; a loss is one number, so reduce it")]
    NotOneNumber {
        /// The loss.
        loss: String,
        /// Its extents.
        shape: Vec<usize>,
    },
}

fn lines(gaps: &[Gap]) -> String {
    gaps.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n  ")
}

/// Appends ∂`loss`/∂p for each p of `wrt` to a graph in which every value has a static shape.
///
/// The gradients become outputs named `grad/<p>`, of p's dtype and shape; the map goes from p to that name, in the order
/// of `wrt`. Parameters may be graph inputs, initializers or intermediate values. The nodes are of opset 13 or later;
/// `FusedMatMul` of ONNX Runtime's `com.microsoft` domain is among them.
///
/// # Errors
/// See [`AutodiffError`]; the graph is unchanged then.
pub fn backward(graph: &mut Graph, loss: &str, wrt: &[String]) -> Result<IndexMap<String, String>, AutodiffError> {
    backward_stopping(graph, loss, wrt, &HashSet::new())
}

/// As [`backward()`], with values through which no gradient passes (what `stop_gradient` marks).
///
/// # Errors
/// See [`AutodiffError`]; the graph is unchanged then.
pub fn backward_stopping(
    graph: &mut Graph,
    loss: &str,
    wrt: &[String],
    stop: &HashSet<String>,
) -> Result<IndexMap<String, String>, AutodiffError> {
    backward::run(graph, loss, wrt, stop, &backward::Table)
}

/// The gradient table as text.
pub fn gradient_table() -> String {
    table::print()
}
