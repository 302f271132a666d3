//! At least one call of every row of the gradient table.

use plaudit_onnx::{Attribute, Node, Tensor};

use super::harness::{Case, Data};

fn normal(shape: &[usize]) -> Data {
    Data::Normal(shape.to_vec())
}

fn positive(shape: &[usize]) -> Data {
    Data::Positive(shape.to_vec())
}

fn ints(values: &[i64]) -> Data {
    Data::Fixed(Tensor::i64(&[values.len()], values))
}

fn one(op: &'static str) -> Case {
    Case::new(op, vec![normal(&[2, 3])])
}

fn double(value: f64) -> Data {
    Data::Fixed(super::harness::floats(plaudit_onnx::DType::F64, &[], &[value]))
}

/// All of them.
pub(super) fn cases() -> Vec<Case> {
    [arithmetic(), functions(), products(), convolutions(), reductions(), norms(), places(), lookups(), stops()]
        .concat()
}

fn arithmetic() -> Vec<Case> {
    let pair = |op| Case::new(op, vec![normal(&[2, 3]), normal(&[2, 3])]);
    let spread = |op| Case::new(op, vec![normal(&[2, 1, 3]), normal(&[4, 1])]).about("broadcasting both");
    vec![
        pair("Add").linear(),
        spread("Add").linear(),
        pair("Sub").linear(),
        spread("Sub").linear(),
        pair("Mul").linear(),
        spread("Mul").linear(),
        Case::new("Mul", vec![normal(&[2, 3]), normal(&[])]).about("by a scalar").linear(),
        pair("Div"),
        spread("Div"),
        one("Neg").linear(),
        Case::new("Pow", vec![positive(&[2, 3]), normal(&[2, 3])]),
        Case::new("Pow", vec![normal(&[2, 3]), double(2.0)]).about("squared"),
        Case::new("Pow", vec![normal(&[2, 3]), double(3.0)]).about("cubed"),
        Case::new("Pow", vec![positive(&[2, 3]), double(-0.5)]).about("inverse root"),
        Case::new("Sum", vec![normal(&[2, 3]), normal(&[3]), normal(&[2, 1])]).linear(),
        Case::new("Max", vec![normal(&[2, 3]), normal(&[3]), normal(&[2, 3])]),
        Case::new("Min", vec![normal(&[2, 3]), normal(&[2, 1])]),
    ]
}

fn functions() -> Vec<Case> {
    let root = |op| Case::new(op, vec![positive(&[2, 3])]);
    let gate = |scaled: &[Node]| {
        let product = Node::new("Mul", &["x0", "s"], &["y"]);
        one("Swish").nodes([scaled, &[product]].concat())
    };
    let scaled = [Node::new("Mul", &["x1", "x0"], &["scaled"]), Node::new("Sigmoid", &["scaled"], &["s"])];
    let mut quick =
        Case::new("Swish", vec![normal(&[2, 3]), Data::Fixed(Tensor::f32(&[], &[1.702]))]).about("quick GELU").single();
    quick.nodes = [&scaled[..], &[Node::new("Mul", &["x0", "s"], &["y"])]].concat();
    let condition = Data::Fixed(Tensor::new(plaudit_onnx::DType::Bool, &[2, 1], vec![1, 0]));
    let last = |op| Case::new(op, vec![normal(&[2, 3, 4])]);
    vec![
        root("Sqrt"),
        one("Reciprocal"),
        one("Exp"),
        root("Log"),
        one("Sin"),
        one("Cos"),
        one("Tanh"),
        one("Erf").single(),
        one("Abs"),
        one("Sigmoid"),
        one("Softplus").single(),
        one("Relu"),
        Case::new("Clip", vec![normal(&[3, 4]), double(-1.0), double(1.2)]),
        Case::new("Clip", vec![normal(&[3, 4]), Data::Absent, double(1.2)]).about("above only"),
        gelu(),
        gelu().text("approximate", "tanh").about("tanh approximation"),
        gate(&[Node::new("Sigmoid", &["x0"], &["s"])]).about("SiLU"),
        quick,
        last("Softmax"),
        last("Softmax").int("axis", 1).about("middle axis"),
        last("LogSoftmax"),
        Case::new("Where", vec![condition, normal(&[2, 3]), normal(&[3])]).linear(),
    ]
}

/// `Gelu` is ONNX's own from opset 20 on.
fn gelu() -> Case {
    one("Gelu").single().opset(20)
}

fn products() -> Vec<Case> {
    let matmul = |a: &[usize], b: &[usize]| Case::new("MatMul", vec![normal(a), normal(b)]).linear();
    let gemm = |a: &[usize], b: &[usize], c: &[usize]| Case::new("Gemm", vec![normal(a), normal(b), normal(c)]);
    let scaled = |case: Case| case.with("alpha", Attribute::Float(0.5)).with("beta", Attribute::Float(2.0)).linear();
    vec![
        matmul(&[2, 3], &[3, 4]),
        matmul(&[2, 5, 3], &[3, 4]).about("one matrix for all"),
        matmul(&[2, 5, 3], &[2, 3, 4]).about("stacks"),
        matmul(&[2, 5, 3], &[2, 3, 4]).about("stacks in single precision").single(),
        matmul(&[2, 1, 5, 3], &[4, 3, 2]).about("broadcast stacks"),
        matmul(&[5, 3], &[2, 3, 4]).about("one matrix on the left"),
        matmul(&[3], &[3, 4]).about("vector on the left"),
        matmul(&[2, 5, 3], &[3]).about("vector on the right"),
        matmul(&[3], &[3]).about("two vectors"),
        attend(3, 5, 2),
        attend(12, 10, 2).about("tall"),
        attend(12, 10, 2).single().about("tall, single precision"),
        gemm(&[2, 3], &[3, 4], &[4]).linear(),
        scaled(gemm(&[2, 3], &[3, 4], &[2, 4])).about("scaled"),
        scaled(gemm(&[3, 2], &[3, 4], &[2, 1])).int("transA", 1).about("left transposed"),
        scaled(gemm(&[2, 3], &[4, 3], &[1])).int("transB", 1).about("right transposed"),
        scaled(gemm(&[3, 2], &[4, 3], &[4])).int("transA", 1).int("transB", 1).about("both transposed"),
    ]
}

/// The exporters' attention: a softmax and its product with the values.
fn attend(queries: usize, keys: usize, size: usize) -> Case {
    let mut case = Case::new("Attend", vec![normal(&[2, 3, queries, keys]), normal(&[2, 3, keys, size])]);
    case.nodes = vec![Node::new("Softmax", &["x0"], &["p"]), Node::new("MatMul", &["p", "x1"], &["y"])];
    case
}

fn convolutions() -> Vec<Case> {
    let conv = |x: &[usize], w: &[usize]| Case::new("Conv", vec![normal(x), normal(w), normal(&w[..1])]);
    let transposed = |x: &[usize], w: &[usize], outputs: usize| {
        Case::new("ConvTranspose", vec![normal(x), normal(w), normal(&[outputs])]).linear().single()
    };
    vec![
        conv(&[2, 3, 5, 4], &[4, 3, 3, 3]).ints("pads", &[1, 1, 1, 1]).linear().single(),
        conv(&[2, 3, 5, 4], &[4, 3, 1, 1]).linear().single().about("1×1"),
        conv(&[2, 3, 6, 5], &[4, 3, 3, 2]).ints("pads", &[1, 0, 0, 1]).linear().single().about("uneven"),
        conv(&[2, 3, 6, 7], &[4, 3, 3, 3])
            .ints("pads", &[1, 1, 1, 1])
            .ints("strides", &[2, 2])
            .linear()
            .single()
            .about("stride 2"),
        conv(&[2, 3, 8, 8], &[4, 3, 4, 4]).ints("strides", &[4, 4]).linear().single().about("patches"),
        conv(&[2, 3, 7, 6], &[4, 3, 3, 3])
            .ints("dilations", &[2, 1])
            .ints("pads", &[2, 1, 1, 0])
            .linear()
            .single()
            .about("dilated"),
        conv(&[2, 4, 5, 4], &[6, 2, 3, 3])
            .ints("pads", &[1, 1, 1, 1])
            .int("group", 2)
            .linear()
            .single()
            .about("groups"),
        conv(&[2, 3, 5, 5], &[4, 3, 1, 1])
            .ints("pads", &[1, 1, 1, 1])
            .linear()
            .single()
            .about("padded beyond the kernel"),
        conv(&[2, 3, 9], &[4, 3, 3]).ints("pads", &[1, 1]).linear().single().about("one axis"),
        transposed(&[2, 3, 4, 5], &[3, 4, 3, 3], 4).ints("pads", &[1, 1, 1, 1]),
        transposed(&[2, 3, 4, 5], &[3, 4, 3, 3], 4)
            .ints("strides", &[2, 2])
            .ints("pads", &[1, 1, 1, 1])
            .ints("output_padding", &[1, 1])
            .about("stride 2"),
        transposed(&[2, 4, 4, 5], &[4, 3, 2, 2], 6).int("group", 2).about("groups"),
    ]
}

fn reductions() -> Vec<Case> {
    let over = |op, axes: &[i64]| Case::new(op, vec![normal(&[2, 3, 4]), ints(axes)]);
    vec![
        over("ReduceSum", &[1]).linear(),
        over("ReduceSum", &[0, -1]).int("keepdims", 0).linear().about("axes dropped"),
        Case::new("ReduceSum", vec![normal(&[2, 3])]).linear().about("all axes"),
        over("ReduceMean", &[-1]).linear(),
        over("ReduceMean", &[0, 2]).int("keepdims", 0).linear().about("axes dropped"),
        over("ReduceMax", &[1]).int("keepdims", 0),
        over("ReduceMin", &[-1]),
        over("ReduceL2", &[-1]).single(),
    ]
}

fn norms() -> Vec<Case> {
    let channels = |op, x: &[usize], scale: usize| Case::new(op, vec![normal(x), normal(&[scale]), normal(&[scale])]);
    vec![
        channels("LayerNormalization", &[2, 3, 5], 5).single_statistics(),
        Case::new("LayerNormalization", vec![normal(&[2, 3, 5]), normal(&[3, 5])])
            .single_statistics()
            .int("axis", 1)
            .single_statistics()
            .about("two axes, no bias"),
        channels("InstanceNormalization", &[2, 3, 4, 5], 3).single(),
        channels("InstanceNormalization", &[2, 3, 7], 3).single().about("one axis"),
        group().single(),
        channels("GroupNormalization", &[2, 6, 4, 3], 6).int("num_groups", 3).single().opset(21).about("as one node"),
    ]
}

/// The exporters' group normalisation: an instance normalisation of groups, then scale and bias of channels.
fn group() -> Case {
    let mut case = Case::new(
        "GroupNormalization",
        vec![
            normal(&[2, 6, 4, 3]),
            normal(&[6, 1, 1]),
            normal(&[6, 1, 1]),
            ints(&[2, 3, -1]),
            ints(&[2, 6, 4, 3]),
            Data::Fixed(Tensor::f32(&[3], &[1.0; 3])),
            Data::Fixed(Tensor::f32(&[3], &[0.0; 3])),
        ],
    );
    case.nodes = vec![
        Node::new("Reshape", &["x0", "x3"], &["groups"]),
        Node::new("InstanceNormalization", &["groups", "x5", "x6"], &["normalised"]),
        Node::new("Reshape", &["normalised", "x4"], &["restored"]),
        Node::new("Mul", &["restored", "x1"], &["scaled"]),
        Node::new("Add", &["scaled", "x2"], &["y"]),
    ];
    case
}

fn places() -> Vec<Case> {
    let cube = || normal(&[2, 3, 4]);
    let to = |op, shape: &[i64]| Case::new(op, vec![cube(), ints(shape)]).linear();
    let slice = |starts: &[i64], ends: &[i64], axes: &[i64], steps: &[i64]| {
        Case::new("Slice", vec![normal(&[5, 7]), ints(starts), ints(ends), ints(axes), ints(steps)]).linear()
    };
    let resize = |factors: &[f32]| {
        let scales = Data::Fixed(Tensor::f32(&[factors.len()], factors));
        Case::new("Resize", vec![normal(&[2, 3, 4, 5]), Data::Absent, scales]).linear().single().text("mode", "nearest")
    };
    vec![
        Case::new("Identity", vec![cube()]).linear(),
        Case::new("Cast", vec![cube()]).int("to", 11).linear(),
        to("Reshape", &[4, -1]),
        Case::new("Flatten", vec![cube()]).int("axis", 1).linear(),
        Case::new("Squeeze", vec![normal(&[2, 1, 4]), ints(&[1])]).linear(),
        Case::new("Unsqueeze", vec![cube(), ints(&[1, -1])]).linear(),
        Case::new("Expand", vec![normal(&[3, 1]), ints(&[2, 3, 4])]).linear(),
        Case::new("Transpose", vec![cube()]).ints("perm", &[2, 0, 1]).linear(),
        Case::new("Transpose", vec![cube()]).linear().about("reversed"),
        Case::new("Concat", vec![normal(&[2, 3]), normal(&[2, 1]), normal(&[2, 2])]).int("axis", -1).linear(),
        Case::new("Split", vec![normal(&[2, 6]), ints(&[1, 2, 3])])
            .int("axis", 1)
            .outputs(&["y0", "y1", "y2"])
            .linear(),
        Case::new("Split", vec![normal(&[4, 6])])
            .int("axis", 1)
            .int("num_outputs", 2)
            .outputs(&["y0", "y1"])
            .linear()
            .about("equal parts"),
        slice(&[1, -3], &[4, -1], &[0, 1], &[1, 1]),
        slice(&[1], &[i64::MAX], &[-1], &[2]).about("every other"),
        slice(&[-1], &[i64::MIN], &[0], &[-2]).about("backwards"),
        Case::new("Pad", vec![normal(&[2, 3]), ints(&[0, 1, 2, 0])]).linear(),
        Case::new("Pad", vec![cube(), ints(&[1, 2]), Data::Absent, ints(&[-1])]).linear().about("named axes"),
        resize(&[1.0, 1.0, 2.0, 2.0])
            .text("coordinate_transformation_mode", "asymmetric")
            .text("nearest_mode", "floor"),
        resize(&[1.0, 1.0, 2.0, 3.0]).about("rounding"),
    ]
}

fn lookups() -> Vec<Case> {
    let at = |shape: &[usize], values: &[i64]| Data::Fixed(Tensor::i64(shape, values));
    let gather = |indices, axis| Case::new("Gather", vec![normal(&[5, 4]), indices]).int("axis", axis).linear();
    vec![
        gather(at(&[2, 3], &[0, 4, 1, 1, -1, 0]), 0).about("rows, some twice"),
        gather(at(&[3], &[3, 0, 3]), 1).about("columns"),
        gather(at(&[], &[2]), 1).about("one column"),
        gather(at(&[3], &[1, 2, 3]), 0).about("a run of rows"),
        Case::new("GatherND", vec![normal(&[3, 4, 2]), at(&[3, 2], &[0, 1, 2, 3, 0, 1])]).linear(),
        Case::new("GatherElements", vec![normal(&[3, 4]), at(&[2, 4], &[0, 1, 2, 0, 2, 1, 2, 0])]).linear(),
    ]
}

fn stops() -> Vec<Case> {
    let compare = |op| Case::new(op, vec![normal(&[2, 3]), normal(&[2, 3])]).counted();
    vec![
        one("Sign"),
        one("Floor"),
        one("Ceil"),
        one("Round"),
        one("ArgMax").int("axis", 1).counted(),
        compare("Equal"),
        compare("Greater"),
        compare("GreaterOrEqual"),
        compare("Less"),
        compare("LessOrEqual"),
        one("IsNaN").single().counted(),
        one("Shape").counted(),
    ]
}
