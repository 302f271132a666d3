//! The gradient table: for each operator, ∂L/∂input as a formula of its inputs, its output `y` and `g` = ∂L/∂y.
//!
//! `STOP` is a zero. An operator that is not here cannot be on the path from a parameter to the loss.

use std::f64::consts::FRAC_2_SQRT_PI;

use super::{
    call::{Call, Cotangent, IntoCotangent, Stop},
    rules::{conv, elementwise, gather, linear, norm, reduce, shape},
};

/// One operator's row.
pub(crate) struct Row {
    /// The ONNX operator.
    pub(crate) op: &'static str,
    /// The inputs' names; one name with dots stands for all inputs.
    pub(crate) inputs: &'static str,
    /// The formula of each input's cotangent.
    pub(crate) formulas: &'static [&'static str],
    /// The cotangent of an input of a call.
    pub(crate) cotangent: for<'t> fn(&Call<'t>, usize) -> Cotangent<'t>,
}

#[cfg(test)]
impl Row {
    /// The formula of input `index`.
    pub(crate) fn formula(&self, index: usize) -> &'static str {
        if self.variadic() { self.formulas[0] } else { self.formulas.get(index).copied().unwrap_or("STOP") }
    }

    /// Whether one formula serves every input.
    pub(crate) fn variadic(&self) -> bool {
        self.inputs.starts_with("..")
    }
}

/// The row of an operator.
pub(crate) fn row(op: &str) -> Option<&'static Row> {
    TABLE.iter().find(|row| row.op == op)
}

macro_rules! gradient_table {
    ($n:ident $y:ident $g:ident; $($op:ident $inputs:tt => $($formula:expr),+;)*) => {
        /// All rows, grouped as they are printed.
        pub(crate) static TABLE: &[Row] = &[$(gradient_table!(@row $n $y $g $op $inputs $($formula),+)),*];
    };
    (@row $n:ident $y:ident $g:ident $op:ident [$x:ident $i:ident] $formula:expr) => {
        Row {
            op: stringify!($op),
            inputs: concat!("..", stringify!($x)),
            formulas: &[stringify!($formula)],
            #[allow(unused_variables)]
            cotangent: |$n, $i| {
                let ($x, $y, $g) = ($n.input($i), $n.y(), $n.g());
                $formula.into_cotangent()
            },
        }
    };
    (@row $n:ident $y:ident $g:ident $op:ident ($($x:ident),+) $($formula:expr),+) => {
        Row {
            op: stringify!($op),
            inputs: stringify!($($x),+),
            formulas: &[$(stringify!($formula)),+],
            #[allow(unused_variables, unused_assignments, unused_mut)]
            cotangent: |$n, index| {
                let ($y, $g) = ($n.y(), $n.g());
                let mut position = 0;
                $(let $x = $n.input(position); position += 1;)+
                let mut position = 0;
                $(
                    if index == position {
                        return $formula.into_cotangent();
                    }
                    position += 1;
                )+
                STOP.into_cotangent()
            },
        }
    };
}

const STOP: Stop = Stop;

gradient_table! { n y g;
    // Arithmetic
    Add (a, b) => g, g;
    Sub (a, b) => g, -g;
    Mul (a, b) => g * b, g * a;
    Div (a, b) => g / b, -(g * y / b);
    Neg (x) => -g;
    Pow (a, b) => elementwise::power(a, b, g), g * y * a.ln();
    Sum [x i] => g;
    Max [x i] => elementwise::extremum(n, i, g);
    Min [x i] => elementwise::extremum(n, i, g);

    // Functions of one number
    Sqrt (x) => g * 0.5 / y;
    Reciprocal (x) => -(g * y * y);
    Exp (x) => g * y;
    Log (x) => g / x;
    Sin (x) => g * x.cos();
    Cos (x) => -(g * x.sin());
    Tanh (x) => g * (1.0 - y * y);
    Erf (x) => g * FRAC_2_SQRT_PI * (-(x * x)).exp();
    Abs (x) => g * x.sign();
    Sigmoid (x) => g * y * (1.0 - y);
    Softplus (x) => g * x.sigmoid();
    Relu (x) => x.greater(x.scalar(0.0)).choose(g, g.scalar(0.0));
    Clip (x) => x.equal(y).choose(g, g.scalar(0.0));
    Gelu (x) => elementwise::gelu(n, x, g);
    Swish (x, s) => elementwise::swish(n, y, s, g), STOP;
    Softmax (x) => elementwise::softmax(n, y, g);
    LogSoftmax (x) => elementwise::log_softmax(n, y, g);
    Attend (s, v, p) => linear::attend_scores(n, v, p, g), linear::matmul_right(p, v, g), STOP;
    Where (c, a, b) => STOP, c.choose(g, g.scalar(0.0)), c.choose(g.scalar(0.0), g);

    // Products
    MatMul (a, b) => linear::matmul_left(a, b, g), linear::matmul_right(a, b, g);
    Gemm (a, b) => linear::gemm_left(n, a, b, g), linear::gemm_right(n, a, b, g), g * f64::from(n.node.float("beta", 1.0));
    Conv (x, w) => conv::input(n, x, w, g), conv::weight(n, x, w, g), conv::bias(g);
    ConvTranspose (x, w) => conv::transposed_input(n, w, g), conv::transposed_weight(n, x, w, g), conv::bias(g);

    // Reductions
    ReduceSum (x) => reduce::restored(n, g);
    ReduceMean (x) => reduce::mean(n, x, g);
    ReduceMax (x) => reduce::extremum(n, x, y, g);
    ReduceMin (x) => reduce::extremum(n, x, y, g);
    ReduceL2 (x) => reduce::norm(n, x, y, g);

    // Normalisations
    LayerNormalization (x, scale) => norm::layer(n).map(|d| d.x), norm::layer(n).map(|d| d.scale), g;
    InstanceNormalization (x, scale, bias) => norm::instance(n).x, norm::instance(n).scale, norm::channel_sum(n, g);
    GroupNormalization (x, scale, bias) => norm::group(n).x, norm::group(n).scale, norm::channel_sum(n, g);

    // Shape and place
    Identity (x) => g;
    Cast (x) => shape::cast(x, g);
    Reshape (x) => g.reshape(&x.shape());
    Flatten (x) => g.reshape(&x.shape());
    Squeeze (x) => g.reshape(&x.shape());
    Unsqueeze (x) => g.reshape(&x.shape());
    Expand (x) => g;
    Transpose (x) => shape::transpose(n, g);
    Concat [x i] => shape::concat(n, i, g);
    Split (x) => shape::split(n);
    Slice (x) => shape::slice(n, x, g);
    Pad (x) => shape::pad(n, x, g);
    Resize (x) => shape::resize(n, x, g);
    Gather (x) => gather::gather(n, x, g);
    GatherND (x) => gather::gather_nd(n, x, g);
    GatherElements (x) => gather::gather_elements(n, x, g);

    // Constant almost everywhere, or no number
    Sign (x) => STOP;
    Floor (x) => STOP;
    Ceil (x) => STOP;
    Round (x) => STOP;
    ArgMax (x) => STOP;
    Equal (a, b) => STOP, STOP;
    Greater (a, b) => STOP, STOP;
    GreaterOrEqual (a, b) => STOP, STOP;
    Less (a, b) => STOP, STOP;
    LessOrEqual (a, b) => STOP, STOP;
    IsNaN (x) => STOP;
    Shape (x) => STOP;
}

/// The table as text: one line an operator, one column an input.
pub(crate) fn print() -> String {
    let line = |row: &Row| {
        let call = format!("{}({})", row.op, row.inputs);
        format!("{call:<40}{}\n", row.formulas.join("  |  ").replace('\n', " "))
    };
    TABLE.iter().map(line).collect()
}
