//! Every function of `expr` computes what its documentation says, as ONNX Runtime runs it.
#![allow(clippy::unwrap_used)]

use plaudit::runtime::{Session, SessionSettings};
use plaudit_onnx::{
    DType, Tensor,
    expr::{Builder, Expr},
};

/// Largest absolute difference of results of order one in f32.
const TOLERANCE: f32 = 2e-6;

/// x, [2, 3].
const X: [f32; 6] = [0.5, -1.25, 2.0, -0.75, 0.1, 1.5];
/// y, [2, 3], positive.
const Y: [f32; 6] = [1.0, 0.3, 2.5, 0.8, 0.1, 3.0];

struct Case {
    name: &'static str,
    formula: fn(&Expr, &Expr) -> Expr,
    expected: Vec<f32>,
}

fn each(function: impl Fn(f32, f32) -> f32) -> Vec<f32> {
    X.iter().zip(Y).map(|(&x, y)| function(x, y)).collect()
}

/// Of each row of three.
fn rows(function: impl Fn(&[f32]) -> Vec<f32>) -> Vec<f32> {
    X.chunks(3).flat_map(function).collect()
}

fn softmax(row: &[f32]) -> Vec<f32> {
    let sum: f32 = row.iter().map(|x| x.exp()).sum();
    row.iter().map(|x| x.exp() / sum).collect()
}

fn case(name: &'static str, formula: fn(&Expr, &Expr) -> Expr, expected: Vec<f32>) -> Case {
    Case { name, formula, expected }
}

fn elementwise() -> Vec<Case> {
    let sigmoid = |x: f32| 1.0 / (1.0 + (-x).exp());
    vec![
        case("values with values", |x, y| (x + y) * (x - y) / y, each(|x, y| (x + y) * (x - y) / y)),
        case("numbers on the right", |x, _| ((x + 1.0) * 2.0 - 3.0) / 4.0, each(|x, _| ((x + 1.0) * 2.0 - 3.0) / 4.0)),
        case(
            "numbers on the left",
            |x, y| 1.0 + 2.0 * (3.0 - x) + 4.0 / y,
            each(|x, y| 1.0 + 2.0 * (3.0 - x) + 4.0 / y),
        ),
        case("neg", |x, _| -x, each(|x, _| -x)),
        case("square", |x, _| x.square(), each(|x, _| x * x)),
        case("sqrt", |_, y| y.sqrt(), each(|_, y| y.sqrt())),
        case("exp", |x, _| x.exp(), each(|x, _| x.exp())),
        case("log", |_, y| y.log(), each(|_, y| y.ln())),
        case("abs", |x, _| x.abs(), each(|x, _| x.abs())),
        case("sign", |x, _| x.sign(), each(|x, _| x.signum())),
        case("reciprocal", |_, y| y.reciprocal(), each(|_, y| y.recip())),
        case("tanh", |x, _| x.tanh(), each(|x, _| x.tanh())),
        case("sigmoid", |x, _| x.sigmoid(), each(move |x, _| sigmoid(x))),
        case("softplus", |x, _| x.softplus(), each(|x, _| x.exp().ln_1p())),
        case("log_sigmoid", |x, _| x.log_sigmoid(), each(move |x, _| sigmoid(x).ln())),
        case("log_sigmoid far out", |x, _| (x * 0.0 - 200.0).log_sigmoid(), each(|_, _| -200.0)),
        case("relu", |x, _| x.relu(), each(|x, _| x.max(0.0))),
        case("pow", |_, y| y.pow(1.5), each(|_, y| y.powf(1.5))),
        case("clip", |x, _| x.clip(-1.0, 1.0), each(|x, _| x.clamp(-1.0, 1.0))),
        case("maximum", |x, y| x.maximum(y), each(f32::max)),
        case("minimum", |x, y| x.minimum(y), each(f32::min)),
        case("cast", |x, _| x.cast(DType::I64).cast(DType::F32), each(|x, _| x.trunc())),
        case("where greater", |x, y| x.greater(y).where_(x, y), each(f32::max)),
        case("where not less", |x, y| x.less(y).not().where_(x, y), each(f32::max)),
        case("where equal", |x, y| x.equal(y).where_(&(x * 9.0), y), each(|x, y| if x == y { x * 9.0 } else { y })),
        case("stop_gradient", |x, _| x.stop_gradient(), X.to_vec()),
    ]
}

fn reductions() -> Vec<Case> {
    let sum = |row: &[f32]| row.iter().sum::<f32>();
    let norm = |row: &[f32]| row.iter().map(|x| x * x).sum::<f32>().sqrt();
    vec![
        case("mean", |x, _| x.mean(&[1], false), rows(|row| vec![sum(row) / 3.0])),
        case("sum", |x, _| x.sum(&[-1], true), rows(|row| vec![sum(row)])),
        case("max", |x, _| x.max(&[-1], false), vec![2.0, 1.5]),
        case("mean_all", |x, _| x.mean_all(), vec![sum(&X) / 6.0]),
        case("sum_all", |x, _| x.sum_all(), vec![sum(&X)]),
        case("softmax", |x, _| x.softmax(-1), rows(softmax)),
        case("log_softmax", |x, _| x.log_softmax(1), rows(|row| softmax(row).iter().map(|p| p.ln()).collect())),
        case("normalized", |x, _| x.normalized(-1), rows(|row| row.iter().map(|x| x / norm(row)).collect())),
    ]
}

fn indices(x: &Expr) -> Expr {
    x.builder().tensor(Tensor::i64(&[2], &[2, 0]))
}

fn shapes() -> Vec<Case> {
    vec![
        case("matmul", |x, y| x.matmul(&y.transpose(&[1, 0])).slice(0, 0, 1), {
            let dot = |row: usize| X[..3].iter().zip(&Y[3 * row..]).map(|(x, y)| x * y).sum();
            vec![dot(0), dot(1)]
        }),
        case("transpose", |x, _| x.transpose(&[1, 0]), vec![0.5, -0.75, -1.25, 0.1, 2.0, 1.5]),
        case("slice", |x, _| x.slice(1, -2, 3), vec![-1.25, 2.0, 0.1, 1.5]),
        case("gather", |x, _| x.gather(&indices(x), 1), vec![2.0, 0.5, 1.5, -0.75]),
        case("concat", |x, _| x.builder().concat(&[x.slice(1, 0, 1), x.slice(1, 2, 3)], 1), vec![0.5, 2.0, -0.75, 1.5]),
        case("one_hot", |x, _| indices(x).one_hot(3), vec![0.0, 0.0, 1.0, 1.0, 0.0, 0.0]),
        case("reshape and sum", |x, _| x.reshape(&[3, -1]).sum(&[1], false), vec![-0.75, 1.25, 1.6]),
        case("squeeze", |x, _| x.unsqueeze(&[0]).squeeze(&[0]), X.to_vec()),
        case("expand", |x, _| x.mean_all().expand(&[2]), vec![0.35, 0.35]),
        case("shape", |x, _| x.shape().cast(DType::F32), vec![2.0, 3.0]),
    ]
}

fn run(opset: i64, cases: &[Case]) -> Vec<Vec<f32>> {
    let b = Builder::new("cases", opset);
    let x = b.input("x", DType::F32, &[2.into(), 3.into()]);
    let y = b.input("y", DType::F32, &[2.into(), 3.into()]);
    for case in cases {
        b.output(case.name, &(case.formula)(&x, &y));
    }
    let mut session = Session::from_model(&b.finish().unwrap(), &SessionSettings::default()).unwrap();
    let (x, y) = (Tensor::f32(&[2, 3], &X), Tensor::f32(&[2, 3], &Y));
    session.run(&[("x", &x), ("y", &y)]).unwrap().iter().map(|tensor| tensor.to_f32().unwrap()).collect()
}

#[test]
fn every_function_computes_what_it_says_in_every_operator_set() {
    let cases: Vec<Case> = [elementwise(), reductions(), shapes()].into_iter().flatten().collect();
    let mut wrong = Vec::new();
    for opset in [13, 17, 18, 20] {
        for (case, result) in cases.iter().zip(run(opset, &cases)) {
            let close = |(a, b): (&f32, &f32)| (a - b).abs() <= TOLERANCE * b.abs().max(1.0);
            if result.len() != case.expected.len() || !result.iter().zip(&case.expected).all(close) {
                wrong.push(format!("opset {opset}, {}: {result:?}, not {:?}", case.name, case.expected));
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}
