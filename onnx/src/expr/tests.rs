//! Formulas become the graphs they say.

use super::{Builder, Prefixes, is_stop_gradient};
use crate::{Attribute, DType, Graph, Model, Node, Tensor, ValueInfo};

/// y = x · w, where w is `scale` times the identity.
fn layer(scale: f32) -> Model {
    let mut model = Model::new("layer", 18);
    model.graph.inputs = vec![ValueInfo::fixed("x", DType::F32, &[1, 2])];
    model.graph.outputs = vec![ValueInfo::fixed("y", DType::F32, &[1, 2])];
    model.graph.initializers.insert("w".to_owned(), Tensor::f32(&[2, 2], &[scale, 0.0, 0.0, scale]));
    model.graph.nodes = vec![Node::new("MatMul", &["x", "w"], &["y"])];
    model
}

fn text(builder: Builder) -> String {
    builder.finish().unwrap().to_string()
}

fn faults(builder: Builder) -> String {
    builder.finish().unwrap_err().to_string()
}

#[test]
fn a_formula_reads_in_the_graph_as_it_was_written() {
    let b = Builder::new("weighted", 18);
    let (x, y) = (b.input("x", DType::F32, &["batch".into(), 4.into()]), b.input("y", DType::F32, &["batch".into()]));
    let each = (&x * 2.0 - 1.0).square().mean(&[1], false);
    b.output("loss", &(1.0 / (each + &y)).mean_all());
    b.output("half", &(&y * 2.0));
    insta::assert_snapshot!(text(b), @r#"
    graph weighted (opset 18)
      in   x: f32[batch, 4]
      in   y: f32[batch]
      constant = Constant(value=f32[] = {2.0})
      mul = Mul(x, constant)
      constant_1 = Constant(value=f32[] = {1.0})
      sub = Sub(mul, constant_1)
      mul_1 = Mul(sub, sub)
      constant_2 = Constant(value=i64[1] = {1})
      reducemean = ReduceMean(mul_1, constant_2, keepdims=0)
      add = Add(reducemean, y)
      div = Div(constant_1, add)
      reducemean_1 = ReduceMean(div, keepdims=0)
      mul_2 = Mul(y, constant)
      loss = Identity(reducemean_1)
      half = Identity(mul_2)
      out  loss: f32
      out  half: f32
    "#);
}

#[test]
fn axes_are_attributes_before_opset_18_where_the_operator_says_so() {
    let b = Builder::new("old", 17);
    let x = b.input("x", DType::F32, &[4.into()]);
    b.output("mean", &x.mean(&[-1], true));
    b.output("sum", &x.sum(&[-1], true));
    insta::assert_snapshot!(text(b), @r#"
    graph old (opset 17)
      in   x: f32[4]
      reducemean = ReduceMean(x, axes=[-1], keepdims=1)
      constant = Constant(value=i64[1] = {-1})
      reducesum = ReduceSum(x, constant, keepdims=1)
      mean = Identity(reducemean)
      sum = Identity(reducesum)
      out  mean: f32
      out  sum: f32
    "#);
}

#[test]
fn calls_share_equal_weights_and_rename_values() {
    let b = Builder::new("twins", 18);
    let x = b.input("x", DType::F32, &[1.into(), 2.into()]);
    let first = b.call(&layer(2.0), "", &[("x", x)]).remove(0);
    let twin = Prefixes { values: "twin/", weights: "" };
    let second = b.call_as(&layer(2.0), twin, &[("x", first)]).remove(0);
    let other = b.call(&layer(3.0), "other.", &[("x", second)]).remove(0);
    b.output("out", &other);
    insta::assert_snapshot!(text(b), @r#"
    graph twins (opset 18)
      in   x: f32[1, 2]
      init w: f32[2, 2] = {2.0, 0.0, 0.0, 2.0}
      init other.w: f32[2, 2] = {3.0, 0.0, 0.0, 3.0}
      y = MatMul(x, w)
      twin/y = MatMul(y, w)
      other.y = MatMul(twin/y, other.w)
      out = Identity(other.y)
      out  out: f32
    "#);
}

#[test]
fn a_call_does_not_take_a_name_that_is_there() {
    let b = Builder::new("clash", 18);
    let y = b.input("y", DType::F32, &[1.into(), 2.into()]);
    let out = b.call(&layer(2.0), "", &[("x", y)]).remove(0);
    assert_eq!(out.name(), "y_1");
    b.output("out", &out);
    b.finish().unwrap();
}

#[test]
fn subgraphs_keep_their_captured_values() {
    let mut model = layer(1.0);
    let branch = |op: &str| {
        Attribute::Graph(Box::new(Graph {
            nodes: vec![Node::new(op, &["x"], &["inner"])],
            outputs: vec![ValueInfo::fixed("inner", DType::F32, &[1, 2])],
            ..Graph::default()
        }))
    };
    model.graph.inputs.push(ValueInfo::fixed("flag", DType::Bool, &[]));
    let choice =
        Node::new("If", &["flag"], &["y"]).with("then_branch", branch("Neg")).with("else_branch", branch("Abs"));
    model.graph.nodes = vec![choice];
    let b = Builder::new("branches", 18);
    let value = b.input("value", DType::F32, &[1.into(), 2.into()]);
    let flag = b.input("flag", DType::Bool, &[]);
    b.output("out", &b.call(&model, "m/", &[("x", value), ("flag", flag)])[0]);
    insta::assert_snapshot!(text(b), @r#"
    graph branches (opset 18)
      in   value: f32[1, 2]
      in   flag: bool[]
      m/y = If(flag) else_branch {
        m/inner = Abs(value)
        out  m/inner: f32[1, 2]
      } then_branch {
        m/inner_1 = Neg(value)
        out  m/inner_1: f32[1, 2]
      }
      out = Identity(m/y)
      out  out: f32
    "#);
}

#[test]
fn what_no_output_needs_is_left_out() {
    let b = Builder::new("lean", 18);
    let x = b.input("x", DType::F32, &[1.into(), 2.into()]);
    let _unused = b.call(&layer(2.0), "", &[("x", x.clone())]);
    b.output("y", &x.relu());
    let model = b.finish().unwrap();
    assert!(model.graph.initializers.is_empty());
    assert_eq!(model.graph.nodes.len(), 2);
}

#[test]
fn mistakes_are_reported_together() {
    let b = Builder::new("wrong", 18);
    let x = b.input("x", DType::F32, &[2.into()]);
    let ids = b.input("ids", DType::I64, &[2.into()]);
    let foreign = Builder::new("elsewhere", 18).constant(1.0);
    b.output("mixed", &(&x + &ids));
    b.output("mixed", &x);
    b.output("foreign", &(&x + foreign));
    b.output("chosen", &x.where_(&x, &ids));
    b.output("flag", &(x.equal(&x) * 2.0));
    b.call(&layer(1.0), "", &[("z", x.clone())]);
    b.call(&Model { opsets: [(String::new(), 17)].into(), ..layer(2.0) }, "", &[("x", ids)]);
    let said = faults(b);
    for words in [
        "mixes f32 and i64",
        "output `mixed`: appears twice",
        "mixes values of different graphs",
        "takes bool and two equal element types, not f32, f32 and i64",
        "arithmetic of bool with the number 2",
        "no input `z`; it has x",
        "input `x` is missing",
        "operator set `` 17, but this graph has 18",
        "input `x` is f32, not i64",
        "initializer `w`: has two values",
    ] {
        assert!(said.contains(words), "{words} is not in {said}");
    }
}

#[test]
fn operator_sets_that_the_formulas_do_not_fit_are_refused() {
    assert!(faults(Builder::new("ancient", 12)).contains("at least 13"));
}

#[test]
fn only_a_stopped_value_is_one() {
    let b = Builder::new("stop", 18);
    let x = b.input("x", DType::F32, &[2.into()]);
    b.output("y", &(x.maximum(&x.square()) * x.stop_gradient()));
    let model = b.finish().unwrap();
    let stopped: Vec<&str> =
        model.graph.nodes.iter().filter(|node| is_stop_gradient(node)).map(|node| node.op.as_str()).collect();
    assert_eq!(stopped, ["Max"]);
}

#[test]
fn constants_take_the_element_type_of_what_they_meet() {
    let b = Builder::new("half", 18);
    let x = b.input("x", DType::F16, &[2.into()]);
    b.output("y", &(x * 0.5).clip(0.0, 1.0));
    let model = b.finish().unwrap();
    assert!(model.to_string().contains("f16[] = {0.5}"), "{model}");
}

#[test]
fn node_names_are_never_used_twice() {
    let b = Builder::new("names", 18);
    let x = b.input("x", DType::F32, &[1.into(), 2.into()]);
    let mut model = layer(2.0);
    model.graph.nodes[0].name = "abs".to_owned();
    let twice = b.call(&model, "", &[("x", b.call(&model, "", &[("x", x.abs())]).remove(0))]).remove(0);
    b.output("abs", &twice.abs());
    let model = b.finish().unwrap();
    let mut names: Vec<&str> = model.graph.nodes.iter().map(|node| node.name.as_str()).collect();
    names.retain(|name| !name.is_empty());
    let count = names.len();
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), count, "{model}");
}

#[test]
fn a_convolution_pads_by_half_its_dilated_kernel() {
    let b = Builder::new("conv", 18);
    let x = b.input("x", DType::F32, &[1.into(), 1.into(), 9.into(), 9.into()]);
    let kernel = b.weight("kernel.weight", Tensor::f32(&[1, 1, 3, 3], &[0.0; 9]));
    b.output("y", &x.conv(&kernel, 3, 2, 2));
    let model = b.finish().unwrap();
    let node = model.graph.nodes.iter().find(|node| node.op == "Conv").expect("a convolution");
    let numbers =
        ["kernel_shape", "strides", "dilations", "pads"].map(|name| node.ints(name).expect("a list").to_vec());
    assert_eq!(numbers, [vec![3, 3], vec![2, 2], vec![2, 2], vec![2, 2, 2, 2]]);
}
