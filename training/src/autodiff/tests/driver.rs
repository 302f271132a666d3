//! What the driver owns: pruning, accumulation, naming, and reports.

use std::collections::HashSet;

use plaudit_onnx::{Attribute, DType, Graph, Model, Node, Tensor, ValueInfo};

use super::harness::{numbers, session};
use crate::autodiff::{AutodiffError, backward, backward_stopping};

/// A graph of f32 values: inputs, then nodes, then the shapes of all their results.
fn graph(inputs: &[(&str, &[usize])], nodes: &[Node], values: &[(&str, &[usize])]) -> Graph {
    let info = |(name, shape): &(&str, &[usize])| ValueInfo::fixed(*name, DType::F32, shape);
    Graph {
        inputs: inputs.iter().map(info).collect(),
        nodes: nodes.to_vec(),
        values: values.iter().map(|value| (value.0.to_owned(), info(value))).collect(),
        outputs: vec![ValueInfo::fixed("loss", DType::F32, &[])],
        ..Graph::default()
    }
}

fn total(of: &str) -> Node {
    Node::new("ReduceSum", &[of], &["loss"]).with("keepdims", Attribute::Int(0))
}

fn names(wrt: &[&str]) -> Vec<String> {
    wrt.iter().map(|&name| name.to_owned()).collect()
}

fn run(graph: Graph, inputs: &[(&str, Tensor)]) -> Vec<Vec<f64>> {
    let mut model = Model::new("driver", 18);
    model.graph = graph;
    let inputs: Vec<_> = inputs.iter().map(|(name, tensor)| (*name, tensor)).collect();
    session(&model).run(&inputs).unwrap().iter().map(numbers).collect()
}

#[test]
fn a_value_used_twice_receives_the_sum_of_its_cotangents() {
    let nodes = [Node::new("Mul", &["x", "x"], &["square"]), Node::new("Add", &["square", "x"], &["y"]), total("y")];
    let mut graph = graph(&[("x", &[2])], &nodes, &[("square", &[2]), ("y", &[2])]);
    let gradients = backward(&mut graph, "loss", &names(&["x"])).unwrap();
    assert_eq!(gradients["x"], "grad/x");
    let results = run(graph, &[("x", Tensor::f32(&[2], &[3.0, -1.0]))]);
    assert_eq!(results[1], [7.0, -1.0]);
}

#[test]
fn gradients_come_in_the_order_asked_for_with_their_parameters_shapes() {
    let nodes = [Node::new("Mul", &["a", "b"], &["y"]), total("y")];
    let mut graph = graph(&[("a", &[2, 3]), ("b", &[3])], &nodes, &[("y", &[2, 3])]);
    let gradients = backward(&mut graph, "loss", &names(&["b", "a"])).unwrap();
    assert_eq!(gradients.keys().collect::<Vec<_>>(), ["b", "a"]);
    let shapes: Vec<_> = graph.outputs.iter().map(|info| info.static_shape().unwrap()).collect();
    assert_eq!(shapes, [vec![], vec![3], vec![2, 3]]);
}

#[test]
fn nothing_is_computed_for_values_that_are_not_trained() {
    let nodes = [Node::new("MatMul", &["x", "w"], &["y"]), total("y")];
    let mut graph = graph(&[("x", &[2, 3]), ("w", &[3, 4])], &nodes, &[("y", &[2, 4])]);
    backward(&mut graph, "loss", &names(&["w"])).unwrap();
    let products = graph.nodes.iter().filter(|node| matches!(node.op.as_str(), "MatMul" | "Gemm")).count();
    assert_eq!(products, 2, "forward and ∂L/∂w only");
}

#[test]
fn two_parameters_with_one_gradient_have_two_outputs() {
    let nodes = [Node::new("Add", &["a", "b"], &["y"]), total("y")];
    let mut graph = graph(&[("a", &[2]), ("b", &[2])], &nodes, &[("y", &[2])]);
    backward(&mut graph, "loss", &names(&["a", "b"])).unwrap();
    let one = || Tensor::f32(&[2], &[1.0, 1.0]);
    let results = run(graph, &[("a", one()), ("b", one())]);
    assert_eq!(results[1..], [vec![1.0, 1.0], vec![1.0, 1.0]]);
}

#[test]
fn no_gradient_passes_a_stopped_value() {
    let nodes = [Node::new("Exp", &["x"], &["frozen"]), Node::new("Mul", &["frozen", "x"], &["y"]), total("y")];
    let mut graph = graph(&[("x", &[1])], &nodes, &[("frozen", &[1]), ("y", &[1])]);
    let stop = HashSet::from(["frozen".to_owned()]);
    backward_stopping(&mut graph, "loss", &names(&["x"]), &stop).unwrap();
    let results = run(graph, &[("x", Tensor::f32(&[1], &[0.0]))]);
    assert_eq!(results[1], [1.0]);
}

#[test]
fn all_gaps_are_reported_together_and_the_graph_is_left_alone() {
    let nodes = [
        Node { name: "first".to_owned(), ..Node::new("Hardmax", &["x"], &["a"]) },
        Node { name: "second".to_owned(), ..Node::new("Pad", &["a", "pads"], &["b"]) }
            .with("mode", Attribute::String("reflect".to_owned())),
        total("b"),
    ];
    let mut graph = graph(&[("x", &[4])], &nodes, &[("a", &[4]), ("b", &[6])]);
    graph.initializers.insert("pads".to_owned(), Tensor::i64(&[2], &[1, 1]));
    let before = graph.clone();
    let error = backward(&mut graph, "loss", &names(&["x"])).unwrap_err();
    insta::assert_snapshot!(error);
    assert_eq!(graph, before);
}

#[test]
fn unknown_shapes_are_reported_together() {
    let nodes = [Node::new("Exp", &["x"], &["a"]), Node::new("Neg", &["a"], &["b"]), total("b")];
    let mut graph = graph(&[("x", &[4])], &nodes, &[]);
    let error = backward(&mut graph, "loss", &names(&["x"])).unwrap_err();
    assert_eq!(error, AutodiffError::UnknownShapes(names(&["a", "b"])));
}

#[test]
fn a_loss_of_several_numbers_is_refused() {
    let mut graph = graph(&[("x", &[4])], &[Node::new("Exp", &["x"], &["y"])], &[("y", &[4])]);
    let error = backward(&mut graph, "y", &names(&["x"])).unwrap_err();
    assert_eq!(error, AutodiffError::NotOneNumber { loss: "y".to_owned(), shape: vec![4] });
}

#[test]
fn a_parameter_that_the_loss_does_not_read_is_refused() {
    let mut graph = graph(&[("x", &[4]), ("z", &[4])], &[total("x")], &[]);
    let error = backward(&mut graph, "loss", &names(&["x", "z"])).unwrap_err();
    assert_eq!(error, AutodiffError::Unreached { loss: "loss".to_owned(), parameters: names(&["z"]) });
}
