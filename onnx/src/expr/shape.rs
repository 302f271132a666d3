//! Moving elements about.

use super::{Builder, Expr};
use crate::{Attribute, DType};

impl Expr {
    /// The same elements in another shape: −1 is whatever is left, 0 the extent that is there.
    #[must_use]
    pub fn reshape(&self, shape: &[i64]) -> Self {
        Self::node("Reshape", &[self, &self.indices(shape)], self.dtype, &[])
    }

    /// Axes in another order: result axis i is axis `order[i]` of this.
    #[must_use]
    pub fn transpose(&self, order: &[usize]) -> Self {
        let order = order.iter().map(|&axis| axis as i64).collect();
        Self::node("Transpose", &[self], self.dtype, &[("perm", Attribute::Ints(order))])
    }

    /// New axes of extent one at these places of the result.
    #[must_use]
    pub fn unsqueeze(&self, axes: &[i64]) -> Self {
        Self::node("Unsqueeze", &[self, &self.indices(axes)], self.dtype, &[])
    }

    /// Without these axes of extent one.
    #[must_use]
    pub fn squeeze(&self, axes: &[i64]) -> Self {
        Self::node("Squeeze", &[self, &self.indices(axes)], self.dtype, &[])
    }

    /// Elements `start..end` along `axis`; negative positions count from the end.
    #[must_use]
    pub fn slice(&self, axis: i64, start: i64, end: i64) -> Self {
        let [start, end, axis] = [start, end, axis].map(|number| self.indices(&[number]));
        Self::node("Slice", &[self, &start, &end, &axis], self.dtype, &[])
    }

    /// The elements of `axis` at these integer indices, whose shape takes the place of the axis.
    #[must_use]
    pub fn gather(&self, indices: &Self, axis: i64) -> Self {
        Self::node("Gather", &[self, indices], self.dtype, &[("axis", Attribute::Int(axis))])
    }

    /// Repeated along axes of extent one until it has `shape`.
    #[must_use]
    pub fn expand(&self, shape: &[i64]) -> Self {
        Self::node("Expand", &[self, &self.indices(shape)], self.dtype, &[])
    }

    /// This value's extents, i64 `[rank]`.
    #[must_use]
    pub fn shape(&self) -> Self {
        Self::node("Shape", &[self], DType::I64, &[])
    }
}

impl Builder {
    /// Values one behind the other along `axis`.
    ///
    /// # Panics
    /// If `parts` is empty.
    pub fn concat(&self, parts: &[Expr], axis: i64) -> Expr {
        assert!(!parts.is_empty(), "nothing to concatenate");
        let inputs: Vec<&Expr> = parts.iter().collect();
        Expr::uniform("Concat", &inputs, parts[0].dtype, &[("axis", Attribute::Int(axis))])
    }
}
