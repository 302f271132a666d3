//! Operators on values: each states its result's shape and appends one node.

use std::ops::{Add, Div, Mul, Neg, Sub};

use plaudit_onnx::{Attribute, DType};

use super::tape::{Emission, Value, filled};

/// Operators of ONNX Runtime beyond ONNX's own.
pub(crate) const MICROSOFT: &str = "com.microsoft";

/// The shape of an elementwise result of two shapes, aligned at their last axes.
pub(crate) fn broadcast(a: &[usize], b: &[usize]) -> Vec<usize> {
    let rank = a.len().max(b.len());
    let at = |shape: &[usize], axis: usize| (axis + shape.len()).checked_sub(rank).map_or(1, |axis| shape[axis]);
    (0..rank).map(|axis| if at(a, axis) == 1 { at(b, axis) } else { at(a, axis) }).collect()
}

impl<'t> Value<'t> {
    /// One node with one output.
    pub(crate) fn call(
        self,
        op: &str,
        others: &[Value<'t>],
        attributes: Vec<(&str, Attribute)>,
        shape: &[usize],
    ) -> Self {
        self.call_in("", op, others, attributes, (self.dtype(), shape))
    }

    /// One node of any domain and result type.
    pub(crate) fn call_in(
        self,
        domain: &str,
        op: &str,
        others: &[Value<'t>],
        attributes: Vec<(&str, Attribute)>,
        output: (DType, &[usize]),
    ) -> Self {
        let inputs = std::iter::once(&self).chain(others).map(|value| Some(value.id)).collect();
        self.tape.emit(Emission { op, domain, inputs, attributes }, &[output])[0]
    }

    fn unary(self, op: &str) -> Self {
        self.call(op, &[], vec![], &self.shape())
    }

    fn binary(self, op: &str, other: Self) -> Self {
        self.call(op, &[other], vec![], &broadcast(&self.shape(), &other.shape()))
    }

    /// A number of this value's type.
    pub(crate) fn scalar(self, number: f64) -> Self {
        self.tape.scalar(self.dtype(), number)
    }

    /// The number a one-element constant holds.
    pub(crate) fn number(self) -> Option<f64> {
        let tensor = self.known().filter(|tensor| tensor.len() == 1)?;
        match tensor.dtype {
            DType::F32 => Some(f64::from(tensor.to_f32()?[0])),
            DType::F64 => Some(bytemuck::pod_read_unaligned(&tensor.data)),
            DType::I64 => Some(tensor.to_i64()?[0] as f64),
            _ => None,
        }
    }

    fn compare(self, op: &str, other: Self) -> Self {
        let shape = broadcast(&self.shape(), &other.shape());
        self.call_in("", op, &[other], vec![], (DType::Bool, &shape))
    }

    pub(crate) fn exp(self) -> Self {
        self.unary("Exp")
    }
    pub(crate) fn ln(self) -> Self {
        self.unary("Log")
    }
    pub(crate) fn sin(self) -> Self {
        self.unary("Sin")
    }
    pub(crate) fn cos(self) -> Self {
        self.unary("Cos")
    }
    pub(crate) fn erf(self) -> Self {
        self.unary("Erf")
    }
    pub(crate) fn tanh(self) -> Self {
        self.unary("Tanh")
    }
    pub(crate) fn sign(self) -> Self {
        self.unary("Sign")
    }
    pub(crate) fn sigmoid(self) -> Self {
        self.unary("Sigmoid")
    }
    pub(crate) fn pow(self, exponent: Self) -> Self {
        self.binary("Pow", exponent)
    }
    pub(crate) fn equal(self, other: Self) -> Self {
        self.compare("Equal", other)
    }
    pub(crate) fn greater(self, other: Self) -> Self {
        self.compare("Greater", other)
    }

    /// `self ? yes : no`, elementwise; `self` is boolean.
    pub(crate) fn choose(self, yes: Self, no: Self) -> Self {
        let shape = broadcast(&self.shape(), &broadcast(&yes.shape(), &no.shape()));
        self.call_in("", "Where", &[yes, no], vec![], (yes.dtype(), &shape))
    }

    /// The same numbers in another element type.
    pub(crate) fn cast(self, dtype: DType) -> Self {
        if self.dtype() == dtype {
            return self;
        }
        self.call_in("", "Cast", &[], vec![("to", Attribute::Int(onnx_code(dtype)))], (dtype, &self.shape()))
    }

    /// A sum over axes, which stay as extent 1.
    pub(crate) fn sum(self, axes: &[usize]) -> Self {
        let mut shape = self.shape().to_vec();
        let axes: Vec<usize> = axes.iter().copied().filter(|&axis| shape[axis] != 1).collect();
        if axes.is_empty() {
            return self;
        }
        axes.iter().for_each(|&axis| shape[axis] = 1);
        let axes: Vec<i64> = axes.iter().map(|&axis| axis as i64).collect();
        self.call("ReduceSum", &[self.tape.ints(&axes)], vec![("keepdims", Attribute::Int(1))], &shape)
    }

    /// The same elements in another shape.
    pub(crate) fn reshape(self, shape: &[usize]) -> Self {
        if *self.shape() == *shape {
            return self;
        }
        let source = match self.producer() {
            Some(step) if step.op == "Reshape" => step.inputs[0].map_or(self, |id| Value { tape: self.tape, id }),
            _ => self,
        };
        if *source.shape() == *shape {
            return source;
        }
        let extents: Vec<i64> = shape.iter().map(|&n| n as i64).collect();
        source.call("Reshape", &[self.tape.ints(&extents)], vec![], shape)
    }

    /// Axes in another order: result axis i is source axis `order[i]`.
    pub(crate) fn transpose(self, order: &[usize]) -> Self {
        if let Some((source, before)) = self.transposed_from() {
            let composed: Vec<usize> = order.iter().map(|&axis| before[axis]).collect();
            return source.transpose(&composed);
        }
        let shape = self.shape();
        let moved: Vec<usize> = order.iter().copied().filter(|&axis| shape[axis] != 1).collect();
        let result: Vec<usize> = order.iter().map(|&axis| shape[axis]).collect();
        if moved.is_sorted() {
            return self.reshape(&result);
        }
        let order = order.iter().map(|&axis| axis as i64).collect();
        self.call("Transpose", &[], vec![("perm", Attribute::Ints(order))], &result)
    }

    /// The source and order of the transposition that made this value.
    fn transposed_from(self) -> Option<(Self, Vec<usize>)> {
        let step = self.producer().filter(|step| step.op == "Transpose")?;
        let Some(Attribute::Ints(order)) = step.attributes.get("perm") else { return None };
        let source = Value { id: step.inputs[0]?, ..self };
        Some((source, order.iter().map(|&axis| axis as usize).collect()))
    }

    /// Elements `start..end` of one axis.
    pub(crate) fn slice(self, axis: usize, start: usize, end: usize) -> Self {
        self.slices(&[(axis, start, end)])
    }

    /// Elements `start..end` of several axes.
    pub(crate) fn slices(self, ranges: &[(usize, usize, usize)]) -> Self {
        let mut shape = self.shape().to_vec();
        let ranges: Vec<_> = ranges.iter().filter(|(axis, start, end)| (*start, *end) != (0, shape[*axis])).collect();
        if ranges.is_empty() {
            return self;
        }
        ranges.iter().for_each(|(axis, start, end)| shape[*axis] = end - start);
        let column = |pick: fn(&(usize, usize, usize)) -> usize| {
            self.tape.ints(&ranges.iter().map(|range| pick(range) as i64).collect::<Vec<_>>())
        };
        self.call("Slice", &[column(|r| r.1), column(|r| r.2), column(|r| r.0)], vec![], &shape)
    }

    /// The elements of one axis in reverse order.
    pub(crate) fn reverse(self, axis: usize) -> Self {
        let shape = self.shape();
        if shape[axis] == 1 {
            return self;
        }
        let ints = |value: i64| self.tape.ints(&[value]);
        self.call("Slice", &[ints(-1), ints(i64::MIN), ints(axis as i64), ints(-1)], vec![], &shape)
    }

    /// Zeros before and after each axis.
    pub(crate) fn pad(self, before: &[usize], after: &[usize]) -> Self {
        if before.iter().chain(after).all(|&n| n == 0) {
            return self;
        }
        let pads: Vec<i64> = before.iter().chain(after).map(|&n| n as i64).collect();
        let shape: Vec<usize> =
            self.shape().iter().zip(before.iter().zip(after)).map(|(n, (b, a))| n + b + a).collect();
        self.call("Pad", &[self.tape.ints(&pads)], vec![], &shape)
    }

    /// Repeats axes of extent 1, and adds leading ones.
    pub(crate) fn expand(self, shape: &[usize]) -> Self {
        if *self.shape() == *shape {
            return self;
        }
        let extents: Vec<i64> = shape.iter().map(|&n| n as i64).collect();
        self.call("Expand", &[self.tape.ints(&extents)], vec![], shape)
    }

    /// Zeros of this value's type and another shape.
    pub(crate) fn zeros(self, shape: &[usize]) -> Self {
        self.scalar(0.0).expand(shape)
    }

    /// Ones of this value's type and another shape, as a constant.
    pub(crate) fn ones(self, shape: &[usize]) -> Self {
        self.tape.constant(filled(self.dtype(), shape, 1.0))
    }

    /// The cotangent of a value that was broadcast (summed) or reduced (repeated): brought to `shape`.
    pub(crate) fn fit(self, shape: &[usize]) -> Self {
        let own = self.shape();
        if *own == *shape {
            return self;
        }
        let lead = own.len().saturating_sub(shape.len());
        let summed: Vec<usize> =
            (0..own.len()).filter(|&axis| axis < lead || shape[axis - lead] == 1 && own[axis] != 1).collect();
        if own.len() >= shape.len() {
            let sum = self.sum(&summed);
            let rest: Vec<usize> = sum.shape()[lead..].to_vec();
            return sum.reshape(&rest).expand(shape);
        }
        self.expand(shape)
    }

    /// One tensor of several along an axis.
    pub(crate) fn concat(parts: &[Value<'t>], axis: usize) -> Self {
        let (first, rest) = parts.split_first().expect("a concatenation has parts");
        if rest.is_empty() {
            return *first;
        }
        let mut shape = first.shape().to_vec();
        shape[axis] = parts.iter().map(|part| part.shape()[axis]).sum();
        first.call("Concat", rest, vec![("axis", Attribute::Int(axis as i64))], &shape)
    }
}

/// ONNX's number for an element type (`TensorProto.DataType`).
pub(crate) fn onnx_code(dtype: DType) -> i64 {
    match dtype {
        DType::F32 => 1,
        DType::U8 => 2,
        DType::I8 => 3,
        DType::U16 => 4,
        DType::I16 => 5,
        DType::I32 => 6,
        DType::I64 => 7,
        DType::Bool => 9,
        DType::F16 => 10,
        DType::F64 => 11,
        DType::U32 => 12,
        DType::U64 => 13,
        DType::Bf16 => 16,
    }
}

impl Neg for Value<'_> {
    type Output = Self;

    fn neg(self) -> Self {
        self.unary("Neg")
    }
}

/// An operator between values, and with a number on either side.
macro_rules! operator {
    ($($trait:ident $method:ident $onnx:literal $neutral:expr;)*) => {$(
        impl $trait for Value<'_> {
            type Output = Self;

            fn $method(self, other: Self) -> Self {
                let absorbs = |value: Self, shape: &[usize]| value.number() == $neutral && value.shape().len() <= shape.len();
                if absorbs(other, &self.shape()) {
                    return self;
                }
                self.binary($onnx, other)
            }
        }

        impl $trait<f64> for Value<'_> {
            type Output = Self;

            fn $method(self, number: f64) -> Self {
                self.$method(self.scalar(number))
            }
        }

        impl<'t> $trait<Value<'t>> for f64 {
            type Output = Value<'t>;

            fn $method(self, value: Value<'t>) -> Value<'t> {
                value.scalar(self).$method(value)
            }
        }
    )*};
}

operator! {
    Add add "Add" Some(0.0);
    Sub sub "Sub" Some(0.0);
    Mul mul "Mul" Some(1.0);
    Div div "Div" Some(1.0);
}
