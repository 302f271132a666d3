//! The fp16 serving variant: half the weights' memory and the tensor cores' precision, inputs and outputs as before.

use std::collections::{BTreeSet, HashMap};

use super::{Edit, EditError, Step, types};
use crate::{Attribute, DType, Graph, Node, Tensor};

/// Operators that stay in f32: sums over many elements, exponentials, and sinusoids of large angles.
pub const FULL_PRECISION: [&str; 15] = [
    "LayerNormalization",
    "InstanceNormalization",
    "GroupNormalization",
    "Softmax",
    "LogSoftmax",
    "ReduceMean",
    "ReduceSum",
    "ReduceL2",
    "Exp",
    "Log",
    "Pow",
    "Sin",
    "Cos",
    "Range",
    "CumSum",
];

/// Operators whose float inputs must be exact all the way up: angles of hundreds of radians have an error of a
/// quarter in f16.
const EXACT_INPUTS: [&str; 3] = ["Sin", "Cos", "Range"];

/// Inputs that ONNX wants in f32 whatever the data is.
const ALWAYS_F32: [(&str, usize); 2] = [("Resize", 1), ("Resize", 2)];

/// Rewrites `graph` to compute in f16, with weights stored in f16, but for the operators in `full` (usually
/// [`FULL_PRECISION`]), whatever leads to a sinusoid or to an integer, and the nodes that make the outputs. Inputs and
/// outputs keep their types. Finite weights beyond f16's range (attention masks of −3.4e38) become its largest number.
///
/// # Errors
/// [`EditError::Unfit`] for graphs with control flow or with operators of foreign domains and undeclared types.
pub fn half_precision(graph: &Graph, full: &[&str]) -> Result<Edit, EditError> {
    let label = format!("fp16 but for {}", full.join(", "));
    let types = types::infer(graph).map_err(|reason| EditError::Unfit { label: label.clone(), reason })?;
    let mut plan = Plan::new(graph, types, full);
    plan.weights();
    plan.nodes();
    Ok(Edit { label, steps: plan.steps })
}

struct Plan<'a> {
    graph: &'a Graph,
    types: HashMap<String, DType>,
    /// For each node, whether it computes in f16.
    half: Vec<bool>,
    /// Values that are f16 from now on.
    stored_half: BTreeSet<String>,
    /// Values that exist in their other precision under another name already.
    cast: HashMap<String, String>,
    steps: Vec<Step>,
}

impl<'a> Plan<'a> {
    fn new(graph: &'a Graph, types: HashMap<String, DType>, full: &[&str]) -> Self {
        let mut plan = Self {
            graph,
            types,
            half: Vec::new(),
            stored_half: BTreeSet::new(),
            cast: HashMap::new(),
            steps: Vec::new(),
        };
        let is_output = |node: &Node| graph.outputs.iter().any(|output| node.outputs.contains(&output.name));
        let exact = plan.exact();
        let half = |(at, node): (usize, &Node)| {
            let kept = full.contains(&node.op.as_str()) || node.op == "Cast" || node.op == "Constant";
            !kept && !exact.contains(&at) && !is_output(node) && plan.makes_f32(node)
        };
        plan.half = graph.nodes.iter().enumerate().map(half).collect();
        for (node, _) in graph.nodes.iter().zip(&plan.half).filter(|(_, half)| **half) {
            plan.stored_half
                .extend(node.outputs.iter().filter(|name| plan.types.get(*name) == Some(&DType::F32)).cloned());
        }
        plan
    }

    fn is_f32(&self, value: &str) -> bool {
        self.types.get(value) == Some(&DType::F32)
    }

    fn makes_f32(&self, node: &Node) -> bool {
        node.outputs.iter().any(|output| self.is_f32(output))
    }

    /// Nodes whose results reach a sinusoid's angle, an integer or a scale.
    fn exact(&self) -> BTreeSet<usize> {
        let makers = self.graph.makers();
        let mut open: Vec<&str> = Vec::new();
        for node in &self.graph.nodes {
            let to_integer = node.op == "Cast" && !DType::from_onnx(node.int("to", 0)).is_some_and(DType::is_float);
            for (slot, input) in node.inputs.iter().enumerate() {
                if to_integer || EXACT_INPUTS.contains(&node.op.as_str()) || ALWAYS_F32.contains(&(&node.op, slot)) {
                    open.push(input);
                }
            }
        }
        let mut exact = BTreeSet::new();
        while let Some(value) = open.pop() {
            if let Some(&at) = makers.get(value)
                && self.is_f32(value)
                && exact.insert(at)
            {
                open.extend(self.graph.nodes[at].inputs.iter().map(String::as_str));
            }
        }
        exact
    }

    /// The precision in which node `at` wants its input `slot`; `None` where any will do or it is no f32.
    fn wanted(&self, at: usize, slot: usize) -> Option<DType> {
        let node = &self.graph.nodes[at];
        let indifferent = matches!(node.op.as_str(), "Cast" | "Shape" | "Size");
        if indifferent || !self.is_f32(&node.inputs[slot]) {
            return None;
        }
        let half = self.half[at] && !ALWAYS_F32.contains(&(&node.op, slot));
        Some(if half { DType::F16 } else { DType::F32 })
    }

    /// Weights and constants that only f16 nodes read are stored in f16.
    fn weights(&mut self) {
        let mut readers: HashMap<&str, BTreeSet<DType>> = HashMap::new();
        for (at, node) in self.graph.nodes.iter().enumerate() {
            for (slot, input) in node.inputs.iter().enumerate() {
                readers.entry(input).or_default().extend(self.wanted(at, slot));
            }
        }
        let is_output = |name: &str| self.graph.outputs.iter().any(|output| output.name == name);
        let only_half =
            |name: &str| !is_output(name) && readers.get(name).is_some_and(|set| set.iter().eq([&DType::F16]));
        for (name, tensor) in self.graph.initializers.iter().filter(|(name, _)| only_half(name)) {
            self.stored_half.insert(name.clone());
            self.steps.push(Step::Store { initializer: name.clone(), tensor: to_f16(tensor) });
        }
        for node in self.graph.nodes.iter().filter(|node| node.op == "Constant" && only_half(&node.outputs[0])) {
            if let Some(Attribute::Tensor(tensor)) = node.attributes.get("value") {
                self.stored_half.insert(node.outputs[0].clone());
                let node = node.clone().with("value", Attribute::Tensor(to_f16(tensor)));
                self.steps.push(Step::Replace { node });
            }
        }
    }

    /// Every node reads its inputs in its own precision; casts are made once a value.
    fn nodes(&mut self) {
        for (at, node) in self.graph.nodes.iter().enumerate() {
            let mut changed = node.clone();
            for slot in 0..node.inputs.len() {
                if let Some(dtype) = self.wanted(at, slot) {
                    changed.inputs[slot] = self.read(&node.inputs[slot], dtype);
                }
            }
            if let (true, "ConstantOfShape") = (self.half[at], node.op.as_str()) {
                let value = match node.attributes.get("value") {
                    Some(Attribute::Tensor(tensor)) => to_f16(tensor),
                    _ => to_f16(&Tensor::f32(&[1], &[0.0])),
                };
                changed = changed.with("value", Attribute::Tensor(value));
            }
            if changed != *node {
                self.steps.push(Step::Replace { node: changed });
            }
            let known = node.outputs.iter().filter(|name| self.half[at] && self.graph.values.contains_key(*name));
            self.steps.extend(known.map(|value| Step::Forget { value: value.clone() }));
        }
    }

    /// The name under which `value` can be read as `dtype`.
    fn read(&mut self, value: &str, dtype: DType) -> String {
        let stored = if self.stored_half.contains(value) { DType::F16 } else { DType::F32 };
        if stored == dtype {
            return value.to_owned();
        }
        if let Some(name) = self.cast.get(value) {
            return name.clone();
        }
        let mut name = format!("{value}/{dtype}");
        while self.types.contains_key(&name) {
            name.push('_');
        }
        let node = Node::new("Cast", &[value], &[&name]).with("to", Attribute::Int(dtype.onnx()));
        self.steps.push(Step::Insert { node: Node { name: name.clone(), ..node } });
        self.cast.insert(value.to_owned(), name.clone());
        name
    }
}

/// Rounds to nearest; finite numbers stay finite.
fn to_f16(tensor: &Tensor) -> Tensor {
    let limit = half::f16::MAX.to_f32();
    let convert = |bytes: &[u8]| {
        let value: f32 = bytemuck::pod_read_unaligned(bytes);
        let value = if value.is_finite() { value.clamp(-limit, limit) } else { value };
        half::f16::from_f32(value).to_le_bytes()
    };
    let data = tensor.data.chunks_exact(size_of::<f32>()).flat_map(convert).collect();
    Tensor::new(DType::F16, &tensor.shape, data)
}
