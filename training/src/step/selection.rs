//! Which weights a run trains.

use std::collections::BTreeMap;

use plaudit_onnx::{DType, Graph, Tensor};
use serde::{Deserialize, Serialize};

/// Parts of a name that mark attention in diffusers' and transformers' models (`attn1`, `attentions.0`, `self_attn`).
const ATTENTION: [&str; 2] = ["attn", ".attentions."];
/// A learned temperature, the one parameter whose name has no module before it.
const LOGIT_SCALE: &str = "logit_scale";
/// The legacy exporter's prefix for weights that it transposed and renamed.
const RENAMED: &str = "onnx::";

/// The trainable part of a graph's weights; the rest stays as it is.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Selection {
    /// Every weight.
    All,
    /// Weights of attention blocks, norms and projections included.
    AttentionOnly,
    /// Weights whose names start with one of these, for instance a tower's prefix.
    Starting(Vec<String>),
    /// No weight itself, but a low-rank correction of every matrix that a MatMul or Gemm multiplies by (Hu et al. 2021).
    Lora(Lora),
}

/// A low-rank correction `W + (alpha / rank) · A B` with A `[in, rank]`, B `[rank, out]`.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Lora {
    /// Inner extent; 4 to 64 are usual.
    pub rank: usize,
    /// Strength: the correction is scaled by `alpha / rank`, so that a rank can be changed without another learning rate.
    pub alpha: f32,
    /// Seed of A; B starts at zero, so the first step computes the source graph's outputs.
    pub seed: u64,
}

impl Selection {
    /// Whether the weight is trained itself. `module` is [`modules`]' answer for it.
    pub fn trains(&self, module: &str) -> bool {
        match self {
            Self::All => true,
            Self::AttentionOnly => ATTENTION.iter().any(|part| module.contains(part)),
            Self::Starting(prefixes) => prefixes.iter().any(|prefix| module.starts_with(prefix.as_str())),
            Self::Lora(_) => false,
        }
    }
}

/// Whether an initializer is a weight and not a constant of the graph: exporters name weights by module path, constants without one.
pub fn is_parameter(name: &str, tensor: &Tensor) -> bool {
    tensor.dtype == DType::F32 && (name.contains('.') || name.starts_with(RENAMED) || name.ends_with(LOGIT_SCALE))
}

/// The module path of every weight: its own name, or for one that the legacy exporter renamed the name of the first node that reads it.
pub fn modules(graph: &Graph) -> BTreeMap<String, String> {
    let mut modules = BTreeMap::new();
    for (name, tensor) in &graph.initializers {
        if is_parameter(name, tensor) {
            let reader = || graph.nodes.iter().find(|node| node.inputs.contains(name)).map(|node| &node.name);
            let path = if name.starts_with(RENAMED) { reader().unwrap_or(name) } else { name };
            modules.insert(name.clone(), path.replace('/', "."));
        }
    }
    modules
}

#[cfg(test)]
mod tests {
    use plaudit_onnx::Node;

    use super::*;

    #[test]
    fn names_decide_what_is_a_weight_and_what_is_attention() {
        let weight = Tensor::f32(&[1], &[0.0]);
        let cases = [
            ("conv_in.weight", true, false),
            ("down_blocks.0.attentions.1.norm.weight", true, true),
            ("mid_block.attentions.0.transformer_blocks.0.attn1.to_q.weight", true, true),
            ("text_model.encoder.layers.0.self_attn.q_proj.bias", true, true),
            ("logit_scale", true, false),
            ("val_17", false, false),
        ];
        for (name, parameter, attention) in cases {
            assert_eq!(is_parameter(name, &weight), parameter, "{name}");
            assert_eq!(Selection::AttentionOnly.trains(name), attention, "{name}");
        }
        assert!(!is_parameter("a.shape", &Tensor::i64(&[1], &[3])));
    }

    #[test]
    fn a_renamed_weight_is_known_by_the_node_that_reads_it() {
        let mut graph = Graph::default();
        graph.initializers.insert("onnx::MatMul_7".to_owned(), Tensor::f32(&[1, 1], &[0.0]));
        let mut node = Node::new("MatMul", &["x", "onnx::MatMul_7"], &["y"]);
        node.name = "/down/attn1/to_q/MatMul".to_owned();
        graph.nodes.push(node);
        assert_eq!(modules(&graph)["onnx::MatMul_7"], ".down.attn1.to_q.MatMul");
    }
}
