//! Low-rank corrections as files of their own, in the two namings that other programs read.
//!
//! For a module with W `[out, in]` and our A `[in, r]`, B `[r, out]`, strength α:
//!
//! | file | tensors |
//! |---|---|
//! | `pytorch_lora_weights.safetensors`, diffusers | `unet.MODULE.lora_A.weight` = Aᵀ `[r, in]`, `unet.MODULE.lora_B.weight` = α/r · Bᵀ `[out, r]` |
//! | `kohya.safetensors`, kohya-ss and web UIs | `lora_unet_MODULE_.lora_down.weight` = Aᵀ, `.lora_up.weight` = Bᵀ, `.alpha` = α; dots are underscores |
//!
//! diffusers takes α = r where a file does not say, so the scale is in its B.

use std::path::{Path, PathBuf};

use indexmap::IndexMap;
use plaudit_onnx::{Model, Tensor};

use super::{
    diffusers::{module_of, turn},
    save,
};
use crate::{
    finetune::FinetuneError,
    step::{Adapter, modules},
};

const DIFFUSERS: &str = "pytorch_lora_weights.safetensors";
const KOHYA: &str = "kohya.safetensors";

/// Writes both files; their paths.
pub(super) fn write(
    adapters: &[Adapter],
    unet: &Model,
    factors: &IndexMap<String, Tensor>,
    folder: &Path,
) -> Result<[PathBuf; 2], FinetuneError> {
    let modules = modules(&unet.graph);
    let (mut diffusers, mut kohya) = (IndexMap::new(), IndexMap::new());
    for adapter in adapters {
        let module = module_of(modules.get(&adapter.weight).unwrap_or(&adapter.weight));
        let (rank, alpha) = (adapter.lora.rank, adapter.lora.alpha);
        let values = |name: String| factors.get(&name).and_then(Tensor::to_f32).unwrap_or_default();
        let down = turn(&values(adapter.a()), adapter.inner, rank);
        let up = turn(&values(adapter.b()), rank, adapter.outer);
        let scaled: Vec<f32> = up.iter().map(|value| value * (alpha / rank as f32)).collect();
        let (down_shape, up_shape) = ([rank, adapter.inner], [adapter.outer, rank]);
        diffusers.insert(format!("unet.{module}.lora_A.weight"), Tensor::f32(&down_shape, &down));
        diffusers.insert(format!("unet.{module}.lora_B.weight"), Tensor::f32(&up_shape, &scaled));
        let name = format!("lora_unet_{}", module.replace('.', "_"));
        kohya.insert(format!("{name}.lora_down.weight"), Tensor::f32(&down_shape, &down));
        kohya.insert(format!("{name}.lora_up.weight"), Tensor::f32(&up_shape, &up));
        kohya.insert(format!("{name}.alpha"), Tensor::f32(&[], &[alpha]));
    }
    let paths = [DIFFUSERS, KOHYA].map(|name| folder.join(name));
    save(&paths[0], &diffusers, &[])?;
    let lora = adapters.first().map(|adapter| adapter.lora);
    let facts =
        lora.map(|lora| [("ss_network_dim", lora.rank.to_string()), ("ss_network_alpha", lora.alpha.to_string())]);
    let facts = facts.into_iter().flatten().chain([("ss_network_module", "networks.lora".to_owned())]);
    save(&paths[1], &kohya, &facts.collect::<Vec<_>>())?;
    Ok(paths)
}
