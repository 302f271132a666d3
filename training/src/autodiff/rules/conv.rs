//! Convolutions. x: [N, C, …], w: [O, C/groups, k…], g: [N, O, …]; any number of spatial axes.

use plaudit_onnx::Attribute;

use super::linear::product;
use crate::autodiff::{
    call::{Call, Unsupported},
    tape::{Value, marked},
};

/// A convolution's attributes, all spelt out.
#[derive(Debug, Clone)]
struct Window {
    kernel: Vec<usize>,
    strides: Vec<usize>,
    dilations: Vec<usize>,
    before: Vec<usize>,
    after: Vec<usize>,
    groups: usize,
}

impl Window {
    fn of(n: &Call, w: Value) -> Result<Self, Unsupported> {
        n.require_text("auto_pad", "NOTSET", &["NOTSET", "VALID"])?;
        let kernel = w.shape()[2..].to_vec();
        let axes = kernel.len();
        let each = |name, default: usize, count: usize| match n.node.ints(name) {
            Some(values) => values.iter().map(|&value| value as usize).collect(),
            None => vec![default; count],
        };
        let pads = each("pads", 0, 2 * axes);
        Ok(Self {
            kernel,
            strides: each("strides", 1, axes),
            dilations: each("dilations", 1, axes),
            before: pads[..axes].to_vec(),
            after: pads[axes..].to_vec(),
            groups: n.node.int("group", 1) as usize,
        })
    }

    /// Extent of the dilated kernel, less one.
    fn reach(&self, axis: usize) -> usize {
        (self.kernel[axis] - 1) * self.dilations[axis]
    }

    /// Whether the input gradient is a convolution of g padded by the rest of the kernel.
    fn is_dense(&self) -> bool {
        let fits = |axis: usize| self.before[axis].max(self.after[axis]) <= self.reach(axis);
        self.strides.iter().all(|&stride| stride == 1) && (0..self.kernel.len()).all(fits)
    }

    fn attributes(&self) -> Vec<(&'static str, Attribute)> {
        let ints = |values: &[usize]| Attribute::Ints(values.iter().map(|&value| value as i64).collect());
        vec![
            ("kernel_shape", ints(&self.kernel)),
            ("strides", ints(&self.strides)),
            ("dilations", ints(&self.dilations)),
            ("pads", ints(&[&self.before[..], &self.after[..]].concat())),
            ("group", Attribute::Int(self.groups as i64)),
        ]
    }

    /// Offsets of all kernel elements, in the order of w's trailing axes.
    fn taps(&self) -> Vec<Vec<usize>> {
        let grow = |taps: Vec<Vec<usize>>, axis: usize| {
            let offsets = (0..self.kernel[axis]).map(|at| at * self.dilations[axis]);
            let longer = |tap: &Vec<usize>, offset| [&tap[..], &[offset]].concat();
            taps.iter().flat_map(|tap| offsets.clone().map(move |offset| longer(tap, offset))).collect()
        };
        (0..self.kernel.len()).fold(vec![vec![]], grow)
    }
}

/// y = x ∗ w: ∂L/∂x = g convolved with w turned by half a turn, input and output channels exchanged
/// (Dumoulin & Visin 2016, section 4); with strides, the transposed convolution.
pub(crate) fn input<'t>(n: &Call<'t>, x: Value<'t>, w: Value<'t>, g: Value<'t>) -> Result<Value<'t>, Unsupported> {
    let window = Window::of(n, w)?;
    if !window.is_dense() {
        return Ok(transposed(&window, g, w, &x.shape()));
    }
    let rest = |pads: &[usize]| (0..pads.len()).map(|axis| window.reach(axis) - pads[axis]).collect();
    let adjoint = Window { before: rest(&window.before), after: rest(&window.after), ..window.clone() };
    Ok(g.call("Conv", &[turned(&window, w)], adjoint.attributes(), &x.shape()))
}

/// [O, C/groups, k…] → [C, O/groups, k…], each kernel reversed along all spatial axes.
fn turned<'t>(window: &Window, w: Value<'t>) -> Value<'t> {
    let shape = w.shape();
    let (outputs, inputs, groups) = (shape[0], shape[1], window.groups);
    let taps: usize = window.kernel.iter().product();
    let rows = w.reshape(&[outputs * inputs, taps]);
    // A product with the exchange matrix reverses short rows exactly, four times faster than a negative slice.
    let reversed = if taps == 1 { rows } else { product(rows.plain(), exchange(w, taps).plain()) };
    let exchanged = reversed.reshape(&[groups, outputs / groups, inputs, taps]).transpose(&[0, 2, 1, 3]);
    exchanged.reshape(&[&[groups * inputs, outputs / groups], &window.kernel[..]].concat())
}

/// The matrix with ones on its antidiagonal.
fn exchange(like: Value, extent: usize) -> Value {
    let ones: Vec<usize> = (0..extent).map(|row| row * extent + extent - 1 - row).collect();
    like.tape.constant(marked(like.dtype(), &[extent, extent], &ones))
}

/// The exact adjoint of a convolution, of any stride.
fn transposed<'t>(window: &Window, g: Value<'t>, w: Value<'t>, target: &[usize]) -> Value<'t> {
    let source = g.shape();
    let full = |axis: usize| (source[axis + 2] - 1) * window.strides[axis] + window.reach(axis) + 1;
    let missing = |axis: usize| target[axis + 2] + window.before[axis] + window.after[axis] - full(axis);
    let padding: Vec<i64> = (0..window.kernel.len()).map(|axis| missing(axis) as i64).collect();
    let mut attributes = window.attributes();
    attributes.push(("output_padding", Attribute::Ints(padding)));
    g.call("ConvTranspose", &[w], attributes, target)
}

/// Up to this many positions (batch included) all kernel elements share one product. Above, the joined copy of their
/// views leaves the cache, and a product each is faster (one thread of an AVX-512 machine, 128 channels of 4×4 against
/// 64 of 8×8 and up, batch 8: 0.36 against 0.40 ms, 0.36 against 0.36 ms, 1.34 against 1.12 ms).
const JOINED_POSITIONS: usize = 256;

/// ∂L/∂w\[o,c,k\] = Σₙₚ g\[n,o,p\] · x\[n,c,p + k\]: matrix products over shifted views of x.
pub(crate) fn weight<'t>(n: &Call<'t>, x: Value<'t>, w: Value<'t>, g: Value<'t>) -> Result<Value<'t>, Unsupported> {
    Ok(correlation(&Window::of(n, w)?, x, g, &w.shape()))
}

fn correlation<'t>(window: &Window, x: Value<'t>, g: Value<'t>, shape: &[usize]) -> Value<'t> {
    let (batch, groups) = (x.shape()[0], window.groups);
    let (outputs, inputs, taps) = (shape[0] / groups, shape[1], window.taps());
    let positions: usize = batch * g.shape()[2..].iter().product::<usize>();
    let padded = x.pad(&[&[0, 0], &window.before[..]].concat(), &[&[0, 0], &window.after[..]].concat());
    let padded = channels_first(padded);
    let g_rows = channels_first(g).reshape(&stack(groups, [outputs, positions]));
    let view = |tap: &Vec<usize>| shifted(window, padded, tap, &g.shape()[2..]);
    if positions <= JOINED_POSITIONS && taps.len() > 1 {
        let views: Vec<Value> = taps.iter().map(|tap| view(tap).reshape(&[groups * inputs, 1, positions])).collect();
        let columns = Value::concat(&views, 1).reshape(&stack(groups, [inputs * taps.len(), positions]));
        return product(g_rows.plain(), columns.flipped()).reshape(shape);
    }
    let by_tap = |tap: &Vec<usize>| {
        let columns = view(tap).reshape(&stack(groups, [inputs, positions]));
        product(g_rows.plain(), columns.flipped()).reshape(&[groups * outputs, inputs])
    };
    let by_tap: Vec<Value> = taps.iter().map(by_tap).collect();
    // One run of memory a kernel element, then one transposition: joining them along the last axis copies single numbers.
    let rows = Value::concat(&by_tap, 0).reshape(&[taps.len(), groups * outputs * inputs]);
    rows.transpose(&[1, 0]).reshape(shape)
}

/// Matrices of groups; without groups one matrix, for which there is the faster operator.
fn stack(groups: usize, matrix: [usize; 2]) -> Vec<usize> {
    if groups == 1 { matrix.to_vec() } else { [&[groups], &matrix[..]].concat() }
}

/// [N, C, …] → [C, N, …], so that one product sums over batch and positions at once.
fn channels_first(value: Value) -> Value {
    let rank = value.shape().len();
    value.transpose(&[&[1, 0], &(2..rank).collect::<Vec<_>>()[..]].concat())
}

/// The elements of padded x that meet one kernel element.
fn shifted<'t>(window: &Window, padded: Value<'t>, tap: &[usize], extents: &[usize]) -> Value<'t> {
    let range = |axis: usize| (axis + 2, tap[axis], tap[axis] + (extents[axis] - 1) * window.strides[axis] + 1);
    let ranges: Vec<_> = (0..tap.len()).map(range).collect();
    padded.strided(&ranges, &window.strides)
}

impl<'t> Value<'t> {
    /// Every `steps`-th element of `start..end`, axis by axis.
    fn strided(self, ranges: &[(usize, usize, usize)], steps: &[usize]) -> Self {
        if steps.iter().all(|&step| step == 1) {
            return self.slices(ranges);
        }
        let mut shape = self.shape().to_vec();
        ranges.iter().zip(steps).for_each(|((axis, start, end), step)| shape[*axis] = (end - start).div_ceil(*step));
        let column = |pick: fn(&(usize, usize, usize)) -> usize| {
            self.tape.ints(&ranges.iter().map(|range| pick(range) as i64).collect::<Vec<_>>())
        };
        let steps: Vec<i64> = steps.iter().map(|&step| step as i64).collect();
        let inputs = [column(|r| r.1), column(|r| r.2), column(|r| r.0), self.tape.ints(&steps)];
        self.call("Slice", &inputs, vec![], &shape)
    }
}

/// ∂L/∂b = Σ g over batch and positions.
pub(crate) fn bias(g: Value) -> Value {
    let shape = g.shape();
    let axes: Vec<usize> = (0..shape.len()).filter(|&axis| axis != 1).collect();
    g.sum(&axes).reshape(&[shape[1]])
}

/// y = xᵀ∗w, the adjoint of a convolution: ∂L/∂x is that convolution of g.
pub(crate) fn transposed_input<'t>(n: &Call<'t>, w: Value<'t>, g: Value<'t>) -> Result<Value<'t>, Unsupported> {
    let window = Window::of(n, w)?;
    Ok(g.call("Conv", &[w], window.attributes(), &n.input(0).shape()))
}

/// y = xᵀ∗w: the weight gradient of the convolution with x and g in each other's place.
pub(crate) fn transposed_weight<'t>(
    n: &Call<'t>,
    x: Value<'t>,
    w: Value<'t>,
    g: Value<'t>,
) -> Result<Value<'t>, Unsupported> {
    Ok(correlation(&Window::of(n, w)?, g, x, &w.shape()))
}
