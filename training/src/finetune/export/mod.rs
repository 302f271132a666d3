//! What leaves a run: a pack, and files for other programs.

mod diffusers;
mod lora;
mod pack;

use std::{
    fs::{self, File},
    path::{Path, PathBuf},
};

use indexmap::IndexMap;
use plaudit::pack::{Component, Pack, PackLineage};
use plaudit_onnx::{Model, Tensor};
use safetensors::tensor::TensorView;

use super::{Finetune, FinetuneError, train::which};
use crate::step::Trainer;

pub(super) use pack::{place, refuse_occupied};

/// The tuned pack's version, and the other files.
pub(super) struct Exported {
    pub(super) version: String,
    pub(super) files: Vec<PathBuf>,
}

/// Writes everything; the pack last, since whoever waits for a pack takes it for the run's end.
pub(super) fn export(
    settings: &Finetune,
    parent: &Pack,
    trainer: &Trainer,
    lineage: PackLineage,
) -> Result<Exported, FinetuneError> {
    let unet = tuned(settings, parent, trainer)?;
    let exports = settings.data.join("exports");
    let mut files = vec![diffusers::write(parent, &unet, &exports.join("diffusers"))?];
    if !trainer.adapters().is_empty() {
        files.extend(lora::write(trainer.adapters(), &unet, &trainer.weights(which(settings)), &exports.join("lora"))?);
    }
    let version = pack::write(settings, parent, &unet, lineage)?;
    Ok(Exported { version, files })
}

/// The parent's graph with the trained weights, in memory.
fn tuned(settings: &Finetune, parent: &Pack, trainer: &Trainer) -> Result<Model, FinetuneError> {
    let unfit = |fault: String| FinetuneError::Unfit { pack: settings.pack.clone(), fault };
    let mut unet = parent.model(Component::Unet).ok_or_else(|| unfit("it has no unet".into()))?.clone();
    let replaced = trainer.apply(&mut unet, "", which(settings));
    let trained = if trainer.adapters().is_empty() { trainer.parameters().len() } else { trainer.adapters().len() };
    if replaced == trained {
        Ok(unet)
    } else {
        Err(unfit(format!("{replaced} of {trained} trained weights are its own")))
    }
}

/// Writes tensors as safetensors, aside and renamed. PyTorch's readers want to be told that they are its own.
fn save(path: &Path, tensors: &IndexMap<String, Tensor>, metadata: &[(&str, String)]) -> Result<(), FinetuneError> {
    let wrong = |error: safetensors::SafeTensorError| FinetuneError::content(path, error.to_string());
    let folder = path.parent().unwrap_or(path);
    fs::create_dir_all(folder).map_err(FinetuneError::io("create", folder))?;
    let views =
        tensors.iter().map(|(name, tensor)| view_of(name, tensor)).collect::<Result<Vec<_>, _>>().map_err(wrong)?;
    let mut facts = std::collections::HashMap::from([("format".to_owned(), "pt".to_owned())]);
    facts.extend(metadata.iter().map(|(name, value)| ((*name).to_owned(), value.clone())));
    let aside = path.with_extension("new");
    safetensors::serialize_to_file(views, Some(facts), &aside).map_err(wrong)?;
    File::open(&aside).and_then(|file| file.sync_all()).map_err(FinetuneError::io("sync", &aside))?;
    fs::rename(&aside, path).map_err(FinetuneError::io("rename to", path))
}

fn view_of<'a>(name: &str, tensor: &'a Tensor) -> Result<(String, TensorView<'a>), safetensors::SafeTensorError> {
    Ok((name.to_owned(), TensorView::new(tensor.dtype.safetensors(), tensor.shape.clone(), &tensor.data)?))
}
