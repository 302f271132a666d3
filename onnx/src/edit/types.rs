//! Element types of all values of a graph, without running it.

use std::collections::HashMap;

use crate::{Attribute, DType, Graph, Node};

/// The element type of every value, from what is declared and, where nothing is, from each operator's signature.
///
/// # Errors
/// Names the nodes whose outputs have no type that is known here: control flow, operators of other domains.
pub(super) fn infer(graph: &Graph) -> Result<HashMap<String, DType>, String> {
    let declared = graph.inputs.iter().map(|info| (info.name.clone(), info.dtype));
    let stored = graph.initializers.iter().map(|(name, tensor)| (name.clone(), tensor.dtype));
    let mut types: HashMap<String, DType> = declared.chain(stored).collect();
    let mut unknown = Vec::new();
    for node in &graph.nodes {
        for (slot, output) in node.outputs.iter().enumerate().filter(|(_, name)| !name.is_empty()) {
            let declared = graph.values.get(output).map(|info| info.dtype);
            match declared.or_else(|| signature(node, slot, &types)) {
                Some(dtype) => {
                    types.insert(output.clone(), dtype);
                }
                None => unknown.push(format!("{} `{}`", node.op, node.name)),
            }
        }
    }
    if unknown.is_empty() { Ok(types) } else { Err(format!("unknown element types: {}", unknown.join(", "))) }
}

/// What the operator's specification says of output `slot`.
fn signature(node: &Node, slot: usize, types: &HashMap<String, DType>) -> Option<DType> {
    let input = |at: usize| node.inputs.get(at).and_then(|name| types.get(name)).copied();
    if !node.domain.is_empty() {
        return None;
    }
    match (node.op.as_str(), slot) {
        ("If" | "Loop" | "Scan", _) => None,
        ("Cast", _) => DType::from_onnx(node.int("to", 0)),
        ("Shape" | "Size" | "NonZero" | "ArgMax" | "ArgMin", _) | ("TopK" | "MaxPool", 1) => Some(DType::I64),
        ("Equal" | "Greater" | "Less" | "GreaterOrEqual" | "LessOrEqual", _)
        | ("And" | "Or" | "Xor" | "Not" | "IsNaN" | "IsInf", _)
        | ("Dropout", 1) => Some(DType::Bool),
        ("Constant" | "ConstantOfShape", _) => Some(constant(node)),
        ("Where" | "CastLike", _) => input(1),
        ("OneHot", _) => input(2),
        _ => input(0),
    }
}

fn constant(node: &Node) -> DType {
    match node.attributes.get("value") {
        Some(Attribute::Tensor(tensor)) => tensor.dtype,
        _ if node.attributes.contains_key("value_int") || node.attributes.contains_key("value_ints") => DType::I64,
        _ => DType::F32,
    }
}
