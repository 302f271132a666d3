//! Matrix products.

use plaudit_onnx::{Attribute, DType};

use crate::autodiff::{
    call::Call,
    tape::{Step, Value},
    value::{MICROSOFT, broadcast},
};

/// A matrix or a stack of matrices, transposed or not.
#[derive(Clone, Copy)]
pub(crate) struct Factor<'t> {
    value: Value<'t>,
    transposed: bool,
}

impl<'t> Value<'t> {
    /// As a factor of a product.
    pub(crate) fn plain(self) -> Factor<'t> {
        Factor { value: self, transposed: false }.seen_through()
    }

    /// Its last two axes exchanged, as a factor of a product; nothing is moved.
    pub(crate) fn flipped(self) -> Factor<'t> {
        Factor { value: self, transposed: true }.seen_through()
    }

    /// Its last two axes exchanged or not, as a factor of a product.
    pub(crate) fn flipped_if(self, transposed: bool) -> Factor<'t> {
        Factor { value: self, transposed }.seen_through()
    }

    fn rows_of(self, columns: usize) -> Self {
        let count = self.shape().iter().product::<usize>() / columns.max(1);
        self.reshape(&[count, columns])
    }
}

impl<'t> Factor<'t> {
    /// Uses the source of a `Transpose` instead of its result.
    fn seen_through(self) -> Self {
        let Some(step) = self.value.producer() else { return self };
        match (step.inputs.first(), exchanges_last_axes(&step)) {
            (Some(&Some(id)), true) => {
                Factor { value: Value { id, ..self.value }, transposed: !self.transposed }.seen_through()
            }
            _ => self,
        }
    }

    fn turned(self) -> Self {
        Factor { transposed: !self.transposed, ..self }
    }

    fn len(self) -> usize {
        self.value.shape().iter().product()
    }

    fn shape(self) -> Vec<usize> {
        let mut shape = self.value.shape().to_vec();
        let rank = shape.len();
        if self.transposed {
            shape.swap(rank - 2, rank - 1);
        }
        shape
    }

    fn moved(self) -> Value<'t> {
        if !self.transposed {
            return self.value;
        }
        let rank = self.value.shape().len();
        let mut order: Vec<usize> = (0..rank).collect();
        order.swap(rank - 2, rank - 1);
        self.value.transpose(&order)
    }
}

fn exchanges_last_axes(step: &Step) -> bool {
    let Some(Attribute::Ints(order)) = step.attributes.get("perm") else { return false };
    let rank = order.len();
    let mut exchanged: Vec<i64> = (0..rank as i64).collect();
    if rank >= 2 {
        exchanged.swap(rank - 2, rank - 1);
    }
    step.op == "Transpose" && rank >= 2 && *order == exchanged
}

/// Where a transposed factor is this many times larger than the other, bᵀa is made and transposed instead of aᵀb: turning
/// the large one costs more than the product (256×256 by 256×8, one thread: 0.89 against 0.44 ms).
const TALL: usize = 4;

/// a·b over the last two axes, earlier axes broadcast.
pub(crate) fn product<'t>(a: Factor<'t>, b: Factor<'t>) -> Value<'t> {
    let (left, right) = (a.shape(), b.shape());
    let mut shape = broadcast(&left[..left.len() - 2], &right[..right.len() - 2]);
    shape.extend([left[left.len() - 2], right[right.len() - 1]]);
    let flags = |first, second| {
        let flag = |name, factor: Factor| (name, Attribute::Int(i64::from(factor.transposed)));
        vec![flag(first, a), flag(second, b)]
    };
    if shape.len() == 2 {
        return a.value.call("Gemm", &[b.value], flags("transA", "transB"), &shape);
    }
    if !a.transposed && !b.transposed {
        return a.value.call("MatMul", &[b.value], vec![], &shape);
    }
    if a.transposed && !b.transposed && a.len() > TALL * b.len() {
        let rank = shape.len();
        let mut exchanged: Vec<usize> = (0..rank).collect();
        exchanged.swap(rank - 2, rank - 1);
        return product(b.turned(), a.turned()).transpose(&exchanged);
    }
    if a.value.dtype() == DType::F32 {
        return a.value.call_in(MICROSOFT, "FusedMatMul", &[b.value], flags("transA", "transB"), (DType::F32, &shape));
    }
    a.moved().call("MatMul", &[b.moved()], vec![], &shape)
}

/// The operands of a `MatMul` as stacks of matrices, and `g` likewise: vectors become one row or one column.
fn as_matrices<'t>(a: Value<'t>, b: Value<'t>, g: Value<'t>) -> [Value<'t>; 3] {
    let (mut left, mut right) = (a.shape().to_vec(), b.shape().to_vec());
    if left.len() == 1 {
        left.insert(0, 1);
    }
    if right.len() == 1 {
        right.push(1);
    }
    let mut shape = broadcast(&left[..left.len() - 2], &right[..right.len() - 2]);
    shape.extend([left[left.len() - 2], right[right.len() - 1]]);
    [a.reshape(&left), b.reshape(&right), g.reshape(&shape)]
}

/// y = ab: ∂L/∂a = g bᵀ.
pub(crate) fn matmul_left<'t>(a: Value<'t>, b: Value<'t>, g: Value<'t>) -> Value<'t> {
    let [matrices, b, g] = as_matrices(a, b, g);
    let d = if b.shape().len() == 2 {
        let columns = *g.shape().last().expect("a matrix has axes");
        product(g.rows_of(columns).plain(), b.flipped()).reshape(&matrices.shape())
    } else {
        product(g.plain(), b.flipped()).fit(&matrices.shape())
    };
    d.reshape(&a.shape())
}

/// y = ab: ∂L/∂b = aᵀ g, summed over the rows of all matrices where b is one matrix.
pub(crate) fn matmul_right<'t>(a: Value<'t>, b: Value<'t>, g: Value<'t>) -> Value<'t> {
    let [a, matrices, g] = as_matrices(a, b, g);
    let last = |value: Value| *value.shape().last().expect("a matrix has axes");
    let d = if matrices.shape().len() == 2 {
        product(a.rows_of(last(a)).flipped(), g.rows_of(last(g)).plain())
    } else {
        product(a.flipped(), g.plain()).fit(&matrices.shape())
    };
    d.reshape(&b.shape())
}

/// y = p·v with p = softmax(s): ∂L/∂s = p ⊙ (g vᵀ − D), where D = Σ p ⊙ (g vᵀ) over a row = Σ g ⊙ y over a row (Dao et
/// al. 2022, FlashAttention, appendix B.2), so that no array of p's size is summed; the subtraction rides in the product
/// as one more column: [g | −D]·[v | 1]ᵀ.
pub(crate) fn attend_scores<'t>(n: &Call<'t>, v: Value<'t>, p: Value<'t>, g: Value<'t>) -> Value<'t> {
    let axis = g.shape().len() - 1;
    let rows = (g * n.y()).sum(&[axis]);
    let ones = [&v.shape()[..axis], &[1]].concat();
    let left = Value::concat(&[g, -rows], axis);
    let right = Value::concat(&[v, v.ones(&ones)], axis);
    p * product(left.plain(), right.flipped())
}

/// y = α a'b' + βc, where ' may transpose: ∂L/∂a' = α g b'ᵀ.
pub(crate) fn gemm_left<'t>(n: &Call<'t>, _a: Value<'t>, b: Value<'t>, g: Value<'t>) -> Value<'t> {
    let (flip_a, flip_b) = flips(n);
    let d = if flip_a { product(b.flipped_if(flip_b), g.flipped()) } else { product(g.plain(), b.flipped_if(!flip_b)) };
    d * f64::from(n.node.float("alpha", 1.0))
}

/// y = α a'b' + βc: ∂L/∂b' = α a'ᵀ g.
pub(crate) fn gemm_right<'t>(n: &Call<'t>, a: Value<'t>, _b: Value<'t>, g: Value<'t>) -> Value<'t> {
    let (flip_a, flip_b) = flips(n);
    let d = if flip_b { product(g.flipped(), a.flipped_if(flip_a)) } else { product(a.flipped_if(!flip_a), g.plain()) };
    d * f64::from(n.node.float("alpha", 1.0))
}

fn flips(n: &Call) -> (bool, bool) {
    (n.node.int("transA", 0) == 1, n.node.int("transB", 0) == 1)
}

/// (ab)ᵀ = bᵀaᵀ: a product that the backward part made is made transposed instead.
pub(crate) fn transposed_product(value: Value) -> Option<Value> {
    let step = value.producer()?;
    let (&[Some(a), Some(b)], true) = (&step.inputs[..], step.op == "Gemm" && step.attributes.len() == 2) else {
        return None;
    };
    let flag = |name| step.attributes.get(name) == Some(&Attribute::Int(1));
    let factor = |id, name| Factor { value: Value { id, ..value }, transposed: !flag(name) };
    Some(product(factor(b, "transB"), factor(a, "transA")))
}
