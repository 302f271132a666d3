//! Operators that move numbers without changing them.

use plaudit_onnx::{Attribute, DType};

use super::linear;
use crate::autodiff::{
    call::{Call, Cotangent, Unsupported, from_front},
    tape::Value,
};

/// A cast between float types; a cast to integers is constant almost everywhere.
pub(crate) fn cast<'t>(x: Value<'t>, g: Value<'t>) -> Cast<'t> {
    let float = matches!(x.dtype(), DType::F32 | DType::F64 | DType::F16 | DType::Bf16);
    Cast((float && g.dtype() != DType::I64).then(|| g.cast(x.dtype())))
}

/// A cotangent that may be zero by dtype.
pub(crate) struct Cast<'t>(Option<Value<'t>>);

impl<'t> crate::autodiff::call::IntoCotangent<'t> for Cast<'t> {
    fn into_cotangent(self) -> Cotangent<'t> {
        Ok(self.0)
    }
}

/// The inverse permutation; a product made by the backward part is made transposed instead.
pub(crate) fn transpose<'t>(n: &Call<'t>, g: Value<'t>) -> Value<'t> {
    let rank = g.shape().len();
    let order: Vec<usize> = match n.node.ints("perm") {
        Some(perm) => perm.iter().map(|&axis| axis as usize).collect(),
        None => (0..rank).rev().collect(),
    };
    let mut inverse = vec![0; rank];
    order.iter().enumerate().for_each(|(to, &from)| inverse[from] = to);
    let swapped = (inverse == [1, 0]).then(|| linear::transposed_product(g)).flatten();
    swapped.unwrap_or_else(|| g.transpose(&inverse))
}

/// Part `index` of g.
pub(crate) fn concat<'t>(n: &Call<'t>, index: usize, g: Value<'t>) -> Value<'t> {
    let axis = n.axis(0);
    let extent = |part: usize| n.input(part).shape()[axis];
    let start = (0..index).map(extent).sum();
    g.slice(axis, start, start + extent(index))
}

/// The parts' cotangents, joined again.
pub(crate) fn split<'t>(n: &Call<'t>) -> Value<'t> {
    let parts: Vec<Value> = (0..n.outputs.len()).map(|part| n.cotangent(part)).collect();
    Value::concat(&parts, n.axis(0))
}

/// g where the slice took its elements, zeros elsewhere.
pub(crate) fn slice<'t>(n: &Call<'t>, x: Value<'t>, g: Value<'t>) -> Result<Value<'t>, Unsupported> {
    let missing = |what: &str| format!("no {what}");
    let given = |index: usize, name: &str| match n.node.ints(name) {
        Some(values) => Ok(Some(values.to_vec())),
        None => n.integers(index, name),
    };
    let starts = given(1, "starts")?.ok_or_else(|| missing("starts"))?;
    let axes = given(3, "axes")?.unwrap_or_else(|| (0..starts.len() as i64).collect());
    let steps = given(4, "steps")?.unwrap_or_else(|| vec![1; starts.len()]);
    let shape = x.shape();
    let place = |g: Value<'t>, ((axis, start), step): ((&i64, &i64), &i64)| {
        let axis = from_front(*axis, shape.len());
        place_axis(g, axis, first_index(*start, *step, shape[axis]), *step, shape[axis])
    };
    Ok(axes.iter().zip(&starts).zip(&steps).fold(g, place))
}

/// The first element a slice takes, as ONNX clamps it.
fn first_index(start: i64, step: i64, extent: usize) -> usize {
    let extent = extent as i64;
    let start = if start < 0 { start.saturating_add(extent) } else { start };
    start.clamp(0, if step > 0 { extent } else { extent - 1 }) as usize
}

/// Puts the elements of one axis at `first`, `first + step`, … of an axis of `extent` zeros.
fn place_axis(g: Value, axis: usize, first: usize, step: i64, extent: usize) -> Value {
    let count = g.shape()[axis];
    if step < 0 {
        let last = (first as i64 + step * (count as i64 - 1)) as usize;
        return place_axis(g.reverse(axis), axis, last, -step, extent);
    }
    let spread = spread(g, axis, step as usize);
    let rank = spread.shape().len();
    let (mut before, mut after) = (vec![0; rank], vec![0; rank]);
    before[axis] = first;
    after[axis] = extent - first - spread.shape()[axis];
    spread.pad(&before, &after)
}

/// `step - 1` zeros between the elements of one axis.
fn spread(g: Value, axis: usize, step: usize) -> Value {
    if step == 1 {
        return g;
    }
    let mut shape = g.shape().to_vec();
    shape.insert(axis + 1, 1);
    let mut after = vec![0; shape.len()];
    after[axis + 1] = step - 1;
    let padded = g.reshape(&shape).pad(&vec![0; shape.len()], &after);
    let mut flat = g.shape().to_vec();
    flat[axis] *= step;
    let length = flat[axis] - (step - 1);
    padded.reshape(&flat).slice(axis, 0, length)
}

/// The inside of g; a constant border takes no gradient.
pub(crate) fn pad<'t>(n: &Call<'t>, x: Value<'t>, g: Value<'t>) -> Result<Value<'t>, Unsupported> {
    n.require_text("mode", "constant", &["constant"])?;
    let pads = match n.node.ints("pads") {
        Some(pads) => pads.to_vec(),
        None => n.integers(1, "pads")?.unwrap_or_default(),
    };
    if pads.iter().any(|&pad| pad < 0) {
        return Err(format!("pads = {pads:?}; only non-negative ones are known"));
    }
    let shape = x.shape();
    let axes = n.integers(3, "axes")?.unwrap_or_else(|| (0..shape.len() as i64).collect());
    let inside = |(axis, &before): (&i64, &i64)| {
        let axis = from_front(*axis, shape.len());
        (axis, before as usize, before as usize + shape[axis])
    };
    Ok(g.slices(&axes.iter().zip(&pads).map(inside).collect::<Vec<_>>()))
}

/// y repeats each pixel of x f×f' times: ∂L/∂x sums g over each block, as an average times the block's size.
pub(crate) fn resize<'t>(n: &Call<'t>, x: Value<'t>, g: Value<'t>) -> Result<Value<'t>, Unsupported> {
    n.require_text("mode", "nearest", &["nearest"])?;
    let rounded = match n.node.text("nearest_mode").unwrap_or("round_prefer_floor") {
        "floor" => "asymmetric",
        _ => "half_pixel",
    };
    n.require_text("coordinate_transformation_mode", "half_pixel", &[rounded])?;
    let (source, target) = (x.shape(), g.shape());
    let whole = source.iter().zip(target.iter()).all(|(from, to)| to % from == 0);
    if !whole || source.len() < 3 || source[..2] != target[..2] {
        return Err(format!("{source:?} to {target:?}; only whole multiples of the spatial axes are known"));
    }
    let factors: Vec<i64> = (2..source.len()).map(|axis| (target[axis] / source[axis]) as i64).collect();
    let window = |name| (name, Attribute::Ints(factors.clone()));
    let block = factors.iter().product::<i64>() as f64;
    Ok(g.call("AveragePool", &[], vec![window("kernel_shape"), window("strides")], &source) * block)
}
