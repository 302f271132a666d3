//! Idioms that exporters spell out in several nodes and that have one short gradient together.

use std::collections::HashMap;

use plaudit_onnx::{Attribute, Graph, Node, ValueInfo};

/// Domain of the table's own operators, which no runtime sees.
pub(crate) const DOMAIN: &str = "plaudit";

/// The graph's nodes, with an idiom's last node replaced by one node of the table; the graph itself stays as it is.
///
/// The idiom's other nodes stay in the list: no cotangent reaches them, unless something else reads their results.
pub(crate) fn recognise(graph: &Graph) -> Vec<Node> {
    let idioms = Idioms::of(graph);
    let lift = |node: &Node| match (node.op.as_str(), node.domain.as_str()) {
        ("Mul", "") => idioms.swish(node),
        ("Add", "") => idioms.group_norm(node),
        ("MatMul", "") => idioms.attend(node),
        _ => None,
    };
    graph.nodes.iter().map(|node| lift(node).unwrap_or_else(|| node.clone())).collect()
}

struct Idioms<'g> {
    graph: &'g Graph,
    producers: HashMap<&'g str, &'g Node>,
    shapes: HashMap<&'g str, Vec<usize>>,
    uses: HashMap<&'g str, usize>,
}

impl<'g> Idioms<'g> {
    fn of(graph: &'g Graph) -> Self {
        let produced = |node: &'g Node| node.outputs.iter().map(move |name| (name.as_str(), node));
        let infos = graph.inputs.iter().chain(graph.values.values()).chain(&graph.outputs);
        let known = |info: &'g ValueInfo| Some((info.name.as_str(), info.static_shape()?));
        let constants = graph.initializers.iter().map(|(name, tensor)| (name.as_str(), tensor.shape.clone()));
        let mut uses = HashMap::new();
        let read = graph.nodes.iter().flat_map(|node| &node.inputs);
        read.chain(graph.outputs.iter().map(|info| &info.name))
            .for_each(|name| *uses.entry(name.as_str()).or_default() += 1);
        Self {
            graph,
            uses,
            producers: graph.nodes.iter().flat_map(produced).collect(),
            shapes: infos.filter_map(known).chain(constants).collect(),
        }
    }

    fn producer(&self, value: &str, op: &str) -> Option<&'g Node> {
        self.producers.get(value).copied().filter(|node| node.op == op && node.domain.is_empty())
    }

    /// x·σ(x) and x·σ(αx).
    fn swish(&self, node: &Node) -> Option<Node> {
        let [a, b] = &node.inputs[..] else { return None };
        let found = |x: &'_ String, s: &'_ String| Some((x.clone(), s.clone(), self.gate(x, s)?));
        let (x, s, alpha) = found(a, b).or_else(|| found(b, a))?;
        Some(lifted(node, "Swish", &[&x, &s]).with("alpha", Attribute::Float(alpha)))
    }

    /// α, when s = σ(αx).
    fn gate(&self, x: &str, s: &str) -> Option<f32> {
        let source = self.producer(s, "Sigmoid")?.inputs[0].as_str();
        if source == x {
            return Some(1.0);
        }
        let [a, b] = &self.producer(source, "Mul")?.inputs[..] else { return None };
        let factor = if a == x { b } else { Some(a).filter(|_| b == x)? };
        let tensor = self.graph.initializers.get(factor).filter(|tensor| tensor.len() == 1)?;
        tensor.to_f32().map(|values| values[0])
    }

    /// Groups as an instance normalisation's channels, then scale and bias of the true channels.
    fn group_norm(&self, node: &Node) -> Option<Node> {
        let [scaled, bias] = &node.inputs[..] else { return None };
        let [restored, scale] = &self.producer(scaled, "Mul")?.inputs[..] else { return None };
        let norm = self.producer(&self.producer(restored, "Reshape")?.inputs[0], "InstanceNormalization")?;
        let x = &self.producer(&norm.inputs[0], "Reshape")?.inputs[0];
        let (shape, grouped) = (self.shapes.get(x.as_str())?, self.shapes.get(norm.inputs[0].as_str())?);
        let same = shape == self.shapes.get(restored.as_str())? && shape[0] == grouped[0];
        let whole = shape.len() >= 2 && shape[1] % grouped[1] == 0;
        let plain = self.is_all(&norm.inputs[1], 1.0) && self.is_all(&norm.inputs[2], 0.0);
        if !(same && whole && plain && self.is_per_channel(scale, shape) && self.is_per_channel(bias, shape)) {
            return None;
        }
        let groups = Attribute::Int(grouped[1] as i64);
        let lifted = lifted(node, "GroupNormalization", &[x, scale, bias]).with("num_groups", groups);
        Some(lifted.with("epsilon", Attribute::Float(norm.float("epsilon", 1e-5))))
    }

    /// softmax(s)·v, where nothing else needs the softmax's cotangent.
    fn attend(&self, node: &Node) -> Option<Node> {
        let [weights, values] = &node.inputs[..] else { return None };
        let softmax = self.producer(weights, "Softmax")?;
        let [own, other] = [weights, values].map(|name| self.shapes.get(name.as_str()).map(Vec::len));
        let last = own? as i64 - 1;
        let whole = matches!(softmax.int("axis", -1), axis if axis == -1 || axis == last);
        let alone = self.uses.get(weights.as_str()) == Some(&1) && own == other;
        (whole && alone).then(|| lifted(node, "Attend", &[&softmax.inputs[0], values, weights]))
    }

    fn is_all(&self, name: &str, number: f32) -> bool {
        let values = self.graph.initializers.get(name).and_then(plaudit_onnx::Tensor::to_f32);
        values.is_some_and(|values| values.iter().all(|&value| value == number))
    }

    /// Whether a value is broadcast along axis 1 only of `shape`.
    fn is_per_channel(&self, name: &str, shape: &[usize]) -> bool {
        let Some(own) = self.shapes.get(name) else { return false };
        // Aligned at the last axis, the channels' axis has all spatial axes behind it.
        let axis = own.len().checked_sub(shape.len() - 1);
        axis.is_some_and(|axis| own[axis] == shape[1] && own.iter().product::<usize>() == shape[1])
    }
}

fn lifted(node: &Node, op: &str, inputs: &[&str]) -> Node {
    Node {
        name: node.name.clone(),
        domain: DOMAIN.to_owned(),
        outputs: node.outputs.clone(),
        ..Node::new(op, inputs, &[])
    }
}
