//! The UNet as `diffusers.UNet2DConditionModel.from_pretrained` reads it.

use std::{
    fs,
    path::{Path, PathBuf},
};

use indexmap::IndexMap;
use plaudit::pack::Pack;
use plaudit_onnx::{Graph, Model, Tensor};

use super::save;
use crate::{
    finetune::FinetuneError,
    step::{is_parameter, modules},
};

const WEIGHTS: &str = "diffusion_pytorch_model.safetensors";
const CONFIG: &str = "config.json";
/// The legacy exporter's prefix for weights that it transposed and renamed.
const RENAMED: &str = "onnx::";

/// Writes `folder/unet/` with configuration and weights; returns the weights' path.
pub(super) fn write(parent: &Pack, unet: &Model, folder: &Path) -> Result<PathBuf, FinetuneError> {
    let folder = folder.join("unet");
    let path = folder.join(WEIGHTS);
    save(&path, &weights(&unet.graph), &[])?;
    let (from, to) = (parent.path("unet/config.json"), folder.join(CONFIG));
    fs::copy(&from, &to).map_err(FinetuneError::io("copy", &from))?;
    Ok(path)
}

/// Weights by diffusers' names, in its layouts.
fn weights(graph: &Graph) -> IndexMap<String, Tensor> {
    let modules = modules(graph);
    let named = graph.initializers.iter().filter(|(name, tensor)| is_parameter(name, tensor));
    named
        .map(|(name, tensor)| match modules.get(name).filter(|_| name.starts_with(RENAMED)) {
            Some(module) => (module_of(module) + ".weight", transposed(tensor)),
            None => (name.clone(), tensor.clone()),
        })
        .collect()
}

/// A weight's module in diffusers' model: its name without `.weight`, or the path of the node that multiplies by it.
pub(super) fn module_of(name: &str) -> String {
    let path = name.trim_start_matches('.');
    let cut = [".weight", ".MatMul", ".Gemm"].iter().find_map(|end| path.strip_suffix(end));
    cut.unwrap_or(path).to_owned()
}

/// `[in, out]` as PyTorch's `[out, in]`.
fn transposed(tensor: &Tensor) -> Tensor {
    let (Some(values), &[rows, columns]) = (tensor.to_f32(), tensor.shape.as_slice()) else { return tensor.clone() };
    Tensor::f32(&[columns, rows], &turn(&values, rows, columns))
}

/// A matrix `[rows, columns]` as `[columns, rows]`.
pub(super) fn turn(values: &[f32], rows: usize, columns: usize) -> Vec<f32> {
    (0..columns).flat_map(|column| (0..rows).map(move |row| values[row * columns + column])).collect()
}

#[cfg(test)]
mod tests {
    use plaudit_onnx::Node;

    use super::*;

    #[test]
    fn renamed_weights_get_their_names_and_layout_back() {
        let mut graph = Graph::default();
        graph.initializers.insert("conv_in.weight".into(), Tensor::f32(&[1, 2], &[1.0, 2.0]));
        graph.initializers.insert("onnx::MatMul_7".into(), Tensor::f32(&[2, 3], &[1.0, 2.0, 3.0, 4.0, 5.0, 6.0]));
        graph.initializers.insert("a_constant".into(), Tensor::f32(&[1], &[1.0]));
        let mut node = Node::new("MatMul", &["x", "onnx::MatMul_7"], &["y"]);
        node.name = "/down_blocks.0/attentions.0/attn1/to_q/MatMul".into();
        graph.nodes.push(node);
        let weights = weights(&graph);
        assert_eq!(
            weights.keys().collect::<Vec<_>>(),
            ["conv_in.weight", "down_blocks.0.attentions.0.attn1.to_q.weight"]
        );
        let turned = &weights["down_blocks.0.attentions.0.attn1.to_q.weight"];
        assert_eq!(
            (turned.shape.as_slice(), turned.to_f32().unwrap()),
            (&[3, 2][..], vec![1.0, 4.0, 2.0, 5.0, 3.0, 6.0])
        );
    }
}
