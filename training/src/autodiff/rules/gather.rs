//! Look-ups: their adjoints add rows into zeros.

use plaudit_onnx::{Attribute, DType};

use crate::autodiff::{
    call::{Call, Unsupported, from_front},
    tape::{Emission, Value},
};

/// y takes entries of one axis: ∂L/∂x adds each entry's g where it came from.
pub(crate) fn gather<'t>(n: &Call<'t>, x: Value<'t>, g: Value<'t>) -> Result<Value<'t>, Unsupported> {
    let (axis, shape, indices) = (n.axis(0), x.shape(), n.input(1));
    if let Some(first) = contiguous(n, shape[axis]) {
        return Ok(placed(g, axis, first, &shape));
    }
    let taken: usize = indices.shape().iter().product();
    let mut order: Vec<usize> = (0..shape.len()).collect();
    order.remove(axis);
    order.insert(0, axis);
    let mut entries = shape.to_vec();
    entries[axis] = taken;
    let rows = g.reshape(&entries).transpose(&order);
    let moved: Vec<usize> = order.iter().map(|&axis| shape[axis]).collect();
    let sum = scatter_nd(rows, indices.reshape(&[taken, 1]), &moved);
    let mut back = vec![0; shape.len()];
    order.iter().enumerate().for_each(|(to, &from)| back[from] = to);
    Ok(sum.transpose(&back))
}

/// The first index, when the indices are known and follow each other.
fn contiguous(n: &Call, extent: usize) -> Option<usize> {
    let indices = n.integers(1, "indices").ok().flatten()?;
    let first = from_front(*indices.first()?, extent);
    let follows = |(offset, &index): (usize, &i64)| from_front(index, extent) == first + offset;
    indices.iter().enumerate().all(follows).then_some(first)
}

/// g at `first..` of an axis of zeros.
fn placed<'t>(g: Value<'t>, axis: usize, first: usize, shape: &[usize]) -> Value<'t> {
    let count = g.shape().iter().product::<usize>() * shape[axis] / shape.iter().product::<usize>();
    let mut part = shape.to_vec();
    part[axis] = count;
    let (mut before, mut after) = (vec![0; shape.len()], vec![0; shape.len()]);
    before[axis] = first;
    after[axis] = shape[axis] - first - count;
    g.reshape(&part).pad(&before, &after)
}

/// Zeros of `shape` with rows added at the given indices.
fn scatter_nd<'t>(rows: Value<'t>, indices: Value<'t>, shape: &[usize]) -> Value<'t> {
    scatter("ScatterND", rows, indices.cast(DType::I64), shape, vec![])
}

fn scatter<'t>(
    op: &str,
    rows: Value<'t>,
    indices: Value<'t>,
    shape: &[usize],
    mut attributes: Vec<(&str, Attribute)>,
) -> Value<'t> {
    attributes.push(("reduction", Attribute::String("add".to_owned())));
    let inputs = [rows.zeros(shape), indices, rows].map(|value| Some(value.id)).to_vec();
    rows.tape.emit(Emission { op, domain: "", inputs, attributes }, &[(rows.dtype(), shape)])[0]
}

/// y takes slices at index tuples: ∂L/∂x adds each slice's g where it came from.
pub(crate) fn gather_nd<'t>(n: &Call<'t>, x: Value<'t>, g: Value<'t>) -> Result<Value<'t>, Unsupported> {
    match n.node.int("batch_dims", 0) {
        0 => Ok(scatter_nd(g, n.input(1), &x.shape())),
        other => Err(format!("batch_dims = {other}; only 0 is known")),
    }
}

/// y takes single elements along an axis: ∂L/∂x adds each element's g where it came from.
pub(crate) fn gather_elements<'t>(n: &Call<'t>, x: Value<'t>, g: Value<'t>) -> Value<'t> {
    let axis = ("axis", Attribute::Int(n.axis(0) as i64));
    scatter("ScatterElements", g, n.input(1), &x.shape(), vec![axis])
}
