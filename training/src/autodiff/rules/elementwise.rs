//! Elementwise functions, and the softmaxes.

use std::f64::consts::{FRAC_1_SQRT_2, PI};

use crate::autodiff::{
    call::{Call, Unsupported},
    tape::Value,
};

/// y = aᵇ: ∂L/∂a = g·b·aᵇ⁻¹, written without `Pow` for the exponents that graphs use.
pub(crate) fn power<'t>(a: Value<'t>, b: Value<'t>, g: Value<'t>) -> Value<'t> {
    match b.number() {
        Some(2.0) => g * (a * 2.0),
        Some(3.0) => g * (a * a * 3.0),
        Some(exponent) => g * a.pow(a.scalar(exponent - 1.0)) * exponent,
        None => g * b * a.pow(b - 1.0),
    }
}

/// y = max(x₀, …) or min: `g` goes to the inputs that equal y, in equal parts.
pub(crate) fn extremum<'t>(n: &Call<'t>, index: usize, g: Value<'t>) -> Value<'t> {
    let hit = |x: Value<'t>| x.equal(n.y()).cast(g.dtype());
    let hits = (1..n.inputs.len()).fold(hit(n.input(0)), |sum, other| sum + hit(n.input(other)));
    g * hit(n.input(index)) / hits
}

/// y = x·Φ(x): ∂y/∂x = Φ(x) + x·φ(x); or the tanh approximation (Hendrycks & Gimpel 2016, section 2).
pub(crate) fn gelu<'t>(n: &Call<'t>, x: Value<'t>, g: Value<'t>) -> Result<Value<'t>, Unsupported> {
    n.require_text("approximate", "none", &["none", "tanh"])?;
    if n.node.text("approximate") == Some("tanh") {
        let scale = (2.0 / PI).sqrt();
        let cubic = 0.044_715;
        let t = ((x + x * x * x * cubic) * scale).tanh();
        let slope = (1.0 + x * x * (3.0 * cubic)) * scale;
        return Ok(g * 0.5 * (1.0 + t + x * (1.0 - t * t) * slope));
    }
    let below = ((x * FRAC_1_SQRT_2).erf() + 1.0) * 0.5;
    let density = (x * x * -0.5).exp() * (1.0 / (2.0 * PI).sqrt());
    Ok(g * (below + x * density))
}

/// y = x·s with s = σ(αx): ∂y/∂x = s + αy(1 − s). SiLU has α = 1, the quick GELU of CLIP α = 1.702.
pub(crate) fn swish<'t>(n: &Call<'t>, y: Value<'t>, s: Value<'t>, g: Value<'t>) -> Value<'t> {
    let alpha = f64::from(n.node.float("alpha", 1.0));
    g * (s + (y - y * s) * alpha)
}

/// y = softmax(x): ∂L/∂x = y ⊙ (g − Σ g⊙y) over the axis.
pub(crate) fn softmax<'t>(n: &Call<'t>, y: Value<'t>, g: Value<'t>) -> Value<'t> {
    y * (g - (g * y).sum(&[n.axis(-1)]))
}

/// y = log softmax(x): ∂L/∂x = g − exp(y) Σ g over the axis.
pub(crate) fn log_softmax<'t>(n: &Call<'t>, y: Value<'t>, g: Value<'t>) -> Value<'t> {
    g - y.exp() * g.sum(&[n.axis(-1)])
}
