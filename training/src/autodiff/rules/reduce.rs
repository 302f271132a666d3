//! Reductions over axes.

use crate::autodiff::{
    call::{Call, Unsupported},
    tape::Value,
};

/// The reduced axes: all where none are named, none at all where the node says so.
fn axes(n: &Call) -> Result<Vec<usize>, Unsupported> {
    let all = (0..n.input(0).shape().len()).collect();
    Ok(match n.axes(1)? {
        Some(axes) if !axes.is_empty() => axes,
        _ if n.node.int("noop_with_empty_axes", 0) == 1 => vec![],
        _ => all,
    })
}

/// A value of the result's shape with the reduced axes back as extent 1.
fn kept<'t>(n: &Call<'t>, value: Value<'t>) -> Result<Value<'t>, Unsupported> {
    let mut shape = n.input(0).shape().to_vec();
    axes(n)?.into_iter().for_each(|axis| shape[axis] = 1);
    Ok(value.reshape(&shape))
}

/// y = Σ x: ∂L/∂x = g, repeated along the axes.
pub(crate) fn restored<'t>(n: &Call<'t>, g: Value<'t>) -> Result<Value<'t>, Unsupported> {
    kept(n, g)
}

/// y = mean x: ∂L/∂x = g / count, repeated along the axes.
pub(crate) fn mean<'t>(n: &Call<'t>, x: Value<'t>, g: Value<'t>) -> Result<Value<'t>, Unsupported> {
    let count: usize = axes(n)?.into_iter().map(|axis| x.shape()[axis]).product();
    Ok(kept(n, g)? * (1.0 / count as f64))
}

/// y = max x or min x: `g` goes to the elements that equal y, in equal parts.
pub(crate) fn extremum<'t>(n: &Call<'t>, x: Value<'t>, y: Value<'t>, g: Value<'t>) -> Result<Value<'t>, Unsupported> {
    let hit = x.equal(kept(n, y)?).cast(g.dtype());
    Ok(hit * (kept(n, g)? / hit.sum(&axes(n)?)))
}

/// y = √Σx²: ∂L/∂x = g·x / y.
pub(crate) fn norm<'t>(n: &Call<'t>, x: Value<'t>, y: Value<'t>, g: Value<'t>) -> Result<Value<'t>, Unsupported> {
    Ok(x * (kept(n, g)? / kept(n, y)?))
}
