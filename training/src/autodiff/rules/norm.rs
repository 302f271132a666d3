//! Layer, instance and group normalisation: one formula.
//!
//! y = w·x̂ + b with x̂ = (x − mean)/σ over the normalised axes. With h = g·w and M normalised elements
//! ∂L/∂x = (h − (Σh + x̂·Σ(h·x̂))/M)/σ and ∂L/∂w = g·x̂ (Ba, Kiros & Hinton 2016; Wu & He 2018).

use plaudit_onnx::{Attribute, DType};

use crate::autodiff::{
    call::{Call, Unsupported, from_front},
    tape::{Emission, Value},
};

/// Cotangents of a normalisation's data and scale.
pub(crate) struct Cotangents<'t> {
    pub(crate) x: Value<'t>,
    pub(crate) scale: Value<'t>,
}

/// x̂ and 1/σ of rows: [rows, M] → ([rows, M], [rows, 1]).
struct Normalised<'t> {
    x: Value<'t>,
    inverse_deviation: Value<'t>,
}

fn normalise<'t>(rows: Value<'t>, epsilon: f32) -> Normalised<'t> {
    let shape = rows.shape();
    let per_row = [shape[0], 1];
    // ONNX allows only float statistics; ONNX Runtime gives them in the data's own type when that is float.
    let attributes = vec![("axis", Attribute::Int(-1)), ("epsilon", Attribute::Float(epsilon))];
    let inputs = vec![Some(rows.id), Some(rows.ones(&shape[1..]).id)];
    let call = Emission { op: "LayerNormalization", domain: "", inputs, attributes };
    let types = [(rows.dtype(), &shape[..]), (DType::F32, &per_row), (DType::F32, &per_row)];
    let outputs = rows.tape.emit(call, &types);
    Normalised { x: outputs[0], inverse_deviation: outputs[2].cast(rows.dtype()) }
}

/// The formula on blocks [B, K, S]: one mean per block, one scale w [B or 1, K or 1, S or 1] broadcast over it.
fn vjp<'t>(normalised: &Normalised<'t>, w: Value<'t>, g: Value<'t>) -> Cotangents<'t> {
    let shape = g.shape();
    let block = [shape[0], 1, 1];
    let count = (shape[1] * shape[2]) as f64;
    let (x, inverse) = (normalised.x.reshape(&shape), normalised.inverse_deviation.reshape(&block));
    let shared: Vec<usize> = (1..3).filter(|&axis| w.shape()[axis] == 1).collect();
    let weighted = |v: Value<'t>| (v.sum(&shared) * w).sum(&[1, 2]);
    let gx = g * x;
    let (mean_h, mean_hx) = (weighted(g) * (inverse / count), weighted(gx) * (inverse / count));
    Cotangents { x: g * (w * inverse) - (x * mean_hx + mean_h), scale: gx.sum(&shared) }
}

/// Over all axes from `axis` on; the scale spans them.
pub(crate) fn layer<'t>(n: &Call<'t>) -> Result<Cotangents<'t>, Unsupported> {
    let (x, scale, g) = (n.input(0), n.input(1), n.g());
    let shape = x.shape();
    let axis = from_front(n.node.int("axis", -1), shape.len());
    let columns: usize = shape[axis..].iter().product();
    if scale.shape().iter().product::<usize>() != columns {
        return Err(format!("scale {:?} does not span the normalised axes of {shape:?}", scale.shape()));
    }
    let rows = shape[..axis].iter().product();
    let normalised = normalise(x.reshape(&[rows, columns]), n.node.float("epsilon", 1e-5));
    let d = vjp(&normalised, scale.reshape(&[1, 1, columns]), g.reshape(&[rows, 1, columns]));
    let scale = d.scale.sum(&[0]).reshape(&scale.shape());
    Ok(Cotangents { x: d.x.reshape(&shape), scale })
}

/// Over the positions of each channel; one scale a channel.
pub(crate) fn instance<'t>(n: &Call<'t>) -> Cotangents<'t> {
    per_channel(n, n.input(0).shape()[1])
}

/// Over the channels and positions of each group; one scale a channel.
pub(crate) fn group<'t>(n: &Call<'t>) -> Cotangents<'t> {
    per_channel(n, n.node.int("num_groups", 1) as usize)
}

fn per_channel<'t>(n: &Call<'t>, groups: usize) -> Cotangents<'t> {
    let (x, scale, g) = (n.input(0), n.input(1), n.g());
    let shape = x.shape();
    let (batch, channels) = (shape[0], shape[1]);
    let (members, positions) = (channels / groups, shape[2..].iter().product::<usize>());
    let normalised = normalise(x.reshape(&[batch * groups, members * positions]), n.node.float("epsilon", 1e-5));
    let w = scale.reshape(&[1, groups, members, 1]).expand(&[batch, groups, members, 1]);
    let blocks = [batch * groups, members, positions];
    let d = vjp(&normalised, w.reshape(&[batch * groups, members, 1]), g.reshape(&blocks));
    let scale = d.scale.reshape(&[batch, channels]).sum(&[0]).reshape(&scale.shape());
    Cotangents { x: d.x.reshape(&shape), scale }
}

/// ∂L/∂b = Σ g over batch and positions.
pub(crate) fn channel_sum<'t>(n: &Call<'t>, g: Value<'t>) -> Value<'t> {
    super::conv::bias(g).reshape(&n.input(2).shape())
}
