//! Sums, means and what is built on them.

use super::Expr;
use crate::Attribute;

/// The operator set from which every reduction but `ReduceSum` takes its axes as an input.
const AXES_ARE_INPUTS: i64 = 18;

impl Expr {
    /// Mean over `axes` (negative counts from the last), kept as extents of one where `keep`.
    #[must_use]
    pub fn mean(&self, axes: &[i64], keep: bool) -> Self {
        self.reduce("ReduceMean", axes, keep)
    }

    /// Sum over `axes`.
    #[must_use]
    pub fn sum(&self, axes: &[i64], keep: bool) -> Self {
        self.reduce("ReduceSum", axes, keep)
    }

    /// Largest element over `axes`.
    #[must_use]
    pub fn max(&self, axes: &[i64], keep: bool) -> Self {
        self.reduce("ReduceMax", axes, keep)
    }

    /// Mean of all elements, a scalar.
    #[must_use]
    pub fn mean_all(&self) -> Self {
        self.reduce("ReduceMean", &[], false)
    }

    /// Sum of all elements, a scalar.
    #[must_use]
    pub fn sum_all(&self) -> Self {
        self.reduce("ReduceSum", &[], false)
    }

    /// eˣ / Σ eˣ along `axis`.
    #[must_use]
    pub fn softmax(&self, axis: i64) -> Self {
        Self::node("Softmax", &[self], self.dtype, &[("axis", Attribute::Int(axis))])
    }

    /// x − ln Σ eˣ along `axis`.
    #[must_use]
    pub fn log_softmax(&self, axis: i64) -> Self {
        Self::node("LogSoftmax", &[self], self.dtype, &[("axis", Attribute::Int(axis))])
    }

    /// x / √(Σ x²) along `axis`; the vector must not be zero.
    #[must_use]
    pub fn normalized(&self, axis: i64) -> Self {
        self / self.square().sum(&[axis], true).sqrt()
    }

    /// No axes mean all of them.
    fn reduce(&self, op: &str, axes: &[i64], keep: bool) -> Self {
        let keep = ("keepdims", Attribute::Int(i64::from(keep)));
        if axes.is_empty() {
            return Self::node(op, &[self], self.dtype, &[keep]);
        }
        let opset = self.state.borrow().model.opsets[""];
        if op == "ReduceSum" || opset >= AXES_ARE_INPUTS {
            Self::node(op, &[self, &self.indices(axes)], self.dtype, &[keep])
        } else {
            Self::node(op, &[self], self.dtype, &[keep, ("axes", Attribute::Ints(axes.to_vec()))])
        }
    }
}
