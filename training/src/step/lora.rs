//! Low-rank adaptation (Hu et al. 2021, arXiv 2106.09685, equation 3) as a graph edit, and its way back into the weights.

use std::collections::{BTreeMap, HashMap};

use plaudit_onnx::{Graph, Node, Tensor};

use super::{Lora, selection::is_parameter};
use crate::random::Random;

/// One adapted weight.
#[derive(Debug, Clone, PartialEq)]
pub struct Adapter {
    /// The adapted weight's name.
    pub weight: String,
    /// Whether the graph multiplies by the transposed weight (stored `[out, in]`, as PyTorch's Linear).
    pub transposed: bool,
    /// Input width.
    pub inner: usize,
    /// Output width.
    pub outer: usize,
    /// The correction.
    pub lora: Lora,
}

impl Adapter {
    /// Name of A, `[inner, rank]`.
    pub fn a(&self) -> String {
        format!("{}.lora_a", self.weight)
    }

    /// Name of B, `[rank, outer]`.
    pub fn b(&self) -> String {
        format!("{}.lora_b", self.weight)
    }

    /// `W + (alpha / rank) · A B` in the weight's own layout; accumulated in f64.
    pub fn merge(&self, weight: &[f32], a: &[f32], b: &[f32]) -> Vec<f32> {
        let (rank, outer) = (self.lora.rank, self.outer);
        let scale = f64::from(self.lora.alpha) / rank as f64;
        let delta = |i: usize, o: usize| {
            (0..rank).map(|r| f64::from(a[i * rank + r]) * f64::from(b[r * outer + o])).sum::<f64>()
        };
        let place =
            |at: usize| if self.transposed { (at % self.inner, at / self.inner) } else { (at / outer, at % outer) };
        let merged = |(at, &value): (usize, &f32)| {
            let (i, o) = place(at);
            (f64::from(value) + scale * delta(i, o)) as f32
        };
        weight.iter().enumerate().map(merged).collect()
    }

    /// A from its seed (PyTorch's Kaiming uniform with a = √5), B zero.
    fn start(&self) -> [(String, Tensor); 2] {
        let bound = 1.0 / (self.inner as f32).sqrt();
        let mut random = Random::stream(self.lora.seed, &self.a());
        let a: Vec<f32> = (0..self.inner * self.lora.rank).map(|_| random.uniform(-bound, bound)).collect();
        let b = vec![0.0; self.lora.rank * self.outer];
        [
            (self.a(), Tensor::f32(&[self.inner, self.lora.rank], &a)),
            (self.b(), Tensor::f32(&[self.lora.rank, self.outer], &b)),
        ]
    }
}

/// Adds `+ (alpha / rank) · (x A) B` to every product `x W` in the graph, with A and B as initializers; returns what was adapted.
pub fn adapt(graph: &mut Graph, lora: Lora) -> Vec<Adapter> {
    let mut adapters = BTreeMap::new();
    let transposed = transposed_weights(graph);
    let mut nodes = Vec::with_capacity(graph.nodes.len());
    for mut node in std::mem::take(&mut graph.nodes) {
        let Some(adapter) = adapter_of(graph, &transposed, &node, lora) else {
            nodes.push(node);
            continue;
        };
        let output = node.outputs[0].clone();
        node.outputs[0] = format!("{output}/without_lora");
        let added = correction(&adapter, &node, &output);
        nodes.push(node);
        nodes.extend(added);
        adapters.insert(adapter.weight.clone(), adapter);
    }
    graph.nodes = nodes;
    let adapters: Vec<Adapter> = adapters.into_values().collect();
    for adapter in &adapters {
        graph.initializers.extend(adapter.start());
        let scale = Tensor::f32(&[], &[lora.alpha / lora.rank as f32]);
        graph.initializers.insert(scale_name(adapter), scale);
    }
    adapters
}

/// Values that are a rank-2 weight transposed, with the weight's name.
fn transposed_weights(graph: &Graph) -> HashMap<String, String> {
    let is_weight =
        |name: &String| graph.initializers.get(name).is_some_and(|t| t.shape.len() == 2 && is_parameter(name, t));
    let swaps = |node: &&Node| node.op == "Transpose" && node.ints("perm").is_none_or(|perm| perm == [1, 0]);
    let found = graph.nodes.iter().filter(swaps).filter(|node| is_weight(&node.inputs[0]));
    found.map(|node| (node.outputs[0].clone(), node.inputs[0].clone())).collect()
}

/// The adapter of a node that multiplies by a weight from the right.
fn adapter_of(graph: &Graph, transposed: &HashMap<String, String>, node: &Node, lora: Lora) -> Option<Adapter> {
    let plain_gemm = || node.int("transA", 0) == 0 && node.float("alpha", 1.0) == 1.0;
    if !(node.op == "MatMul" || node.op == "Gemm" && plain_gemm()) {
        return None;
    }
    let right = node.inputs.get(1)?;
    let (weight, swapped) = transposed.get(right).map_or((right, false), |weight| (weight, true));
    let tensor = graph.initializers.get(weight)?;
    let &[rows, columns] = tensor.shape.as_slice() else { return None };
    if !is_parameter(weight, tensor) {
        return None;
    }
    let transposed = swapped != (node.int("transB", 0) != 0);
    let (inner, outer) = if transposed { (columns, rows) } else { (rows, columns) };
    Some(Adapter { weight: weight.clone(), transposed, inner, outer, lora })
}

fn scale_name(adapter: &Adapter) -> String {
    format!("{}/lora_scale", adapter.weight.replace('.', "/"))
}

/// `output = product + (scale · x A) B`.
fn correction(adapter: &Adapter, product: &Node, output: &str) -> [Node; 4] {
    let name = |part: &str| format!("{output}/lora_{part}");
    let (down, scaled, up) = (name("down"), name("scaled"), name("up"));
    // Scaled where it is `rank` wide, the cheapest place.
    [
        Node::new("MatMul", &[&product.inputs[0], &adapter.a()], &[&down]),
        Node::new("Mul", &[&down, &scale_name(adapter)], &[&scaled]),
        Node::new("MatMul", &[&scaled, &adapter.b()], &[&up]),
        Node::new("Add", &[&product.outputs[0], &up], &[output]),
    ]
    .map(|node| Node { name: node.outputs[0].clone(), ..node })
}

#[cfg(test)]
mod tests {
    use plaudit_onnx::Attribute;

    use super::*;

    const LORA: Lora = Lora { rank: 2, alpha: 4.0, seed: 1 };

    fn graph() -> Graph {
        let mut graph = Graph::default();
        for (name, shape) in
            [("a.weight", [3, 5]), ("b.weight", [5, 3]), ("c.weight", [5, 3]), ("table.weight", [9, 3])]
        {
            graph.initializers.insert(name.to_owned(), Tensor::f32(&shape, &vec![1.0; shape[0] * shape[1]]));
        }
        graph.nodes = vec![
            Node::new("MatMul", &["x", "a.weight"], &["u"]),
            Node::new("Transpose", &["b.weight"], &["bt"]).with("perm", Attribute::Ints(vec![1, 0])),
            Node::new("MatMul", &["x", "bt"], &["v"]),
            Node::new("Gemm", &["x", "c.weight", "bias"], &["w"]).with("transB", Attribute::Int(1)),
            Node::new("MatMul", &["u", "v"], &["product of two activations"]),
            Node::new("Gather", &["table.weight", "ids"], &["rows"]),
        ];
        graph
    }

    #[test]
    fn every_product_with_a_weight_is_adapted_and_nothing_else() {
        let mut graph = graph();
        let adapters = adapt(&mut graph, LORA);
        let found: Vec<_> = adapters.iter().map(|a| (a.weight.as_str(), a.transposed, a.inner, a.outer)).collect();
        assert_eq!(found, [("a.weight", false, 3, 5), ("b.weight", true, 3, 5), ("c.weight", true, 3, 5)]);
        assert_eq!(graph.initializers["b.weight.lora_a"].shape, [3, 2]);
        assert_eq!(graph.initializers["b.weight.lora_b"].to_f32().unwrap(), vec![0.0; 10]);
        let makers: Vec<_> = graph.nodes.iter().filter(|node| node.outputs[0] == "v").map(|node| &node.op).collect();
        assert_eq!(makers, ["Add"], "the value keeps its name, with the correction added");
    }

    #[test]
    fn merging_adds_the_scaled_product_in_the_weights_layout() {
        let adapter =
            Adapter { weight: "w".to_owned(), transposed: false, inner: 1, outer: 2, lora: Lora { rank: 1, ..LORA } };
        assert_eq!(adapter.merge(&[1.0, 2.0], &[0.5], &[1.0, -1.0]), [3.0, 0.0]);
        let wide = Adapter { inner: 2, outer: 2, ..adapter };
        let straight = wide.merge(&[0.0; 4], &[1.0, 2.0], &[1.0, 10.0]);
        assert_eq!(straight, [4.0, 40.0, 8.0, 80.0]);
        let turned = Adapter { transposed: true, ..wide }.merge(&[0.0; 4], &[1.0, 2.0], &[1.0, 10.0]);
        assert_eq!(turned, [4.0, 8.0, 40.0, 80.0]);
    }
}
