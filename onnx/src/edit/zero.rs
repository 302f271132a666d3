//! Additions of nothing: `torch.baddbmm(input, a, b, beta=0)` exported as `α·(a·b) + 0·input`.

use super::{Edit, Step};
use crate::{Graph, Node};

/// Removes `0 · x` where it is added to a (scaled) matrix product.
///
/// PyTorch ignores `input` when β = 0; ONNX computes it, and with static shapes constant folding stores it: all-zero
/// [rows · heads, S, S] tensors, 537 MB a row and attention at 512². A product has the sum's full shape, so what
/// remains keeps it.
pub fn zero_additions(graph: &Graph) -> Edit {
    let mut edit = Edit::new("additions with β = 0 removed");
    for node in graph.nodes.iter().filter(|node| is(node, "Add")) {
        let [left, right] = node.inputs.as_slice() else { continue };
        let kept = match (is_nothing(graph, left), is_nothing(graph, right)) {
            (false, true) => left,
            (true, false) => right,
            _ => continue,
        };
        if is_product(graph, kept) {
            edit.steps.push(Step::Redirect { from: node.outputs[0].clone(), to: kept.clone() });
        }
    }
    edit
}

fn is(node: &Node, op: &str) -> bool {
    node.op == op && node.domain.is_empty()
}

fn maker<'a>(graph: &'a Graph, value: &str) -> Option<&'a Node> {
    graph.nodes.iter().find(|node| node.outputs.iter().any(|output| output == value))
}

/// Whether `value` is 0 · something.
fn is_nothing(graph: &Graph, value: &str) -> bool {
    maker(graph, value)
        .is_some_and(|node| is(node, "Mul") && node.inputs.iter().any(|input| scalar(graph, input) == Some(true)))
}

/// Whether `value` is a matrix product, perhaps times a constant.
fn is_product(graph: &Graph, value: &str) -> bool {
    let Some(node) = maker(graph, value) else { return false };
    match node.op.as_str() {
        "MatMul" => true,
        "Mul" | "Div" => {
            let (constants, rest): (Vec<_>, Vec<_>) =
                node.inputs.iter().partition(|input| scalar(graph, input).is_some());
            constants.len() == 1 && rest.len() == 1 && is_product(graph, rest[0])
        }
        "Cast" | "Identity" => is_product(graph, &node.inputs[0]),
        _ => false,
    }
}

/// For a constant of one element, perhaps cast: whether it is zero. `None` for anything else.
fn scalar(graph: &Graph, value: &str) -> Option<bool> {
    if let Some(tensor) = graph.constant(value) {
        // Positive zero has no bit set in any element type.
        return (tensor.len() == 1).then(|| tensor.data.iter().all(|&byte| byte == 0));
    }
    let node = maker(graph, value)?;
    match node.op.as_str() {
        "Cast" | "CastLike" | "Identity" => scalar(graph, node.inputs.first()?),
        "Constant" => match (node.attributes.get("value_float"), node.attributes.get("value_int")) {
            (Some(crate::Attribute::Float(value)), _) => Some(*value == 0.0),
            (_, Some(crate::Attribute::Int(value))) => Some(*value == 0),
            _ => None,
        },
        _ => None,
    }
}
