//! Functions of values, element by element, and products.

use super::Expr;
use crate::{Attribute, DType, Node, Tensor};

macro_rules! functions {
    ($($(#[doc = $doc:literal])* $name:ident $op:literal;)*) => {
        impl Expr {$(
            $(#[doc = $doc])*
            #[must_use]
            pub fn $name(&self) -> Self {
                self.unary($op)
            }
        )*}
    };
}

functions! {
    /// √x.
    sqrt "Sqrt";
    /// eˣ.
    exp "Exp";
    /// ln x.
    log "Log";
    /// |x|.
    abs "Abs";
    /// The sign of x: −1, 0 or 1.
    sign "Sign";
    /// 1 / x.
    reciprocal "Reciprocal";
    /// tanh x.
    tanh "Tanh";
    /// σ(x) = 1 / (1 + e⁻ˣ).
    sigmoid "Sigmoid";
    /// ln(1 + eˣ).
    softplus "Softplus";
    /// max(x, 0).
    relu "Relu";
}

impl Expr {
    /// x².
    #[must_use]
    pub fn square(&self) -> Self {
        self * self
    }

    /// ln σ(x) = −softplus(−x): finite where `sigmoid().log()` is not.
    #[must_use]
    pub fn log_sigmoid(&self) -> Self {
        -(-self).softplus()
    }

    /// x raised to a power.
    #[must_use]
    pub fn pow(&self, exponent: f32) -> Self {
        Self::uniform("Pow", &[self, &self.scalar(exponent)], self.dtype, &[])
    }

    /// x limited to `low..=high`; the gradient is zero outside.
    #[must_use]
    pub fn clip(&self, low: f32, high: f32) -> Self {
        Self::uniform("Clip", &[self, &self.scalar(low), &self.scalar(high)], self.dtype, &[])
    }

    /// The larger of two values.
    #[must_use]
    pub fn maximum(&self, other: &Self) -> Self {
        Self::uniform("Max", &[self, other], self.dtype, &[])
    }

    /// The smaller of two values.
    #[must_use]
    pub fn minimum(&self, other: &Self) -> Self {
        Self::uniform("Min", &[self, other], self.dtype, &[])
    }

    /// Matrix product of the last two axes, batched over the others: [.., m, k] · [.., k, n] → [.., m, n].
    #[must_use]
    pub fn matmul(&self, other: &Self) -> Self {
        Self::uniform("MatMul", &[self, other], self.dtype, &[])
    }

    /// Convolution of [n, c, h, w] with `weight` [o, c, k, k], k odd: [n, o, h', w'], where h' = ⌈h / stride⌉ for the padding
    /// that is used, `dilation · (k − 1) / 2` zeros on every side. `kernel` is k.
    #[must_use]
    pub fn conv(&self, weight: &Self, kernel: i64, stride: i64, dilation: i64) -> Self {
        let pad = dilation * (kernel - 1) / 2;
        let attributes = [
            ("kernel_shape", Attribute::Ints(vec![kernel; 2])),
            ("strides", Attribute::Ints(vec![stride; 2])),
            ("dilations", Attribute::Ints(vec![dilation; 2])),
            ("pads", Attribute::Ints(vec![pad; 4])),
        ];
        Self::uniform("Conv", &[self, weight], self.dtype, &attributes)
    }

    /// The same numbers as another element type; floats become integers by cutting off.
    #[must_use]
    pub fn cast(&self, dtype: DType) -> Self {
        if dtype == self.dtype {
            return self.clone();
        }
        Self::node("Cast", &[self], dtype, &[("to", Attribute::Int(dtype.onnx()))])
    }

    /// Where both are equal, as `bool`.
    #[must_use]
    pub fn equal(&self, other: &Self) -> Self {
        Self::uniform("Equal", &[self, other], DType::Bool, &[])
    }

    /// Where this is greater, as `bool`.
    #[must_use]
    pub fn greater(&self, other: &Self) -> Self {
        Self::uniform("Greater", &[self, other], DType::Bool, &[])
    }

    /// Where this is smaller, as `bool`.
    #[must_use]
    pub fn less(&self, other: &Self) -> Self {
        Self::uniform("Less", &[self, other], DType::Bool, &[])
    }

    /// Where this `bool` is false.
    #[must_use]
    pub fn not(&self) -> Self {
        self.unary("Not")
    }

    /// `yes` where this `bool` is true, `no` elsewhere.
    #[must_use]
    pub fn where_(&self, yes: &Self, no: &Self) -> Self {
        let result = Self::node("Where", &[self, yes, no], yes.dtype, &[]);
        if self.dtype != DType::Bool || yes.dtype != no.dtype {
            let fault =
                format!("takes bool and two equal element types, not {}, {} and {}", self.dtype, yes.dtype, no.dtype);
            result.state.borrow_mut().problems.add(format!("Where `{}`", result.name), fault);
        }
        result
    }

    /// f32 [.., depth] with a one at each of these integer indices [..] and zeros elsewhere.
    #[must_use]
    pub fn one_hot(&self, depth: usize) -> Self {
        let builder = self.builder();
        let (depth, values) = (Tensor::i64(&[], &[depth as i64]), Tensor::f32(&[2], &[0.0, 1.0]));
        let inputs = [self, &builder.tensor(depth), &builder.tensor(values)];
        Self::node("OneHot", &inputs, DType::F32, &[("axis", Attribute::Int(-1))])
    }

    /// The same value, through which no gradient flows.
    ///
    /// In the graph this is a `Max` of one input: `Identity` would not survive ONNX Runtime's basic optimisation.
    /// Differentiation asks [`is_stop_gradient`].
    #[must_use]
    pub fn stop_gradient(&self) -> Self {
        self.unary("Max")
    }
}

/// Whether `node` is what [`Expr::stop_gradient`] leaves in a graph.
pub fn is_stop_gradient(node: &Node) -> bool {
    node.op == "Max" && node.domain.is_empty() && node.inputs.len() == 1
}
