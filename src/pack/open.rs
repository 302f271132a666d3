//! A pack on disk, checked.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

use plaudit_onnx::Model;
use serde_json::Value;

use super::{Component, MANIFEST, Manifest, PackError, check, fault::Faults, links};

/// What `scaling_factor` is where a VAE's configuration does not say: diffusers' default.
const SCALING_FACTOR: f64 = 0.18215;

/// A pack whose structure is sound: every file is there, every graph reads and fits its place.
///
/// Weights are mapped, not loaded. What the files *contain* is [`verify`](fn@super::verify)'s concern.
#[derive(Debug)]
pub struct Pack {
    folder: PathBuf,
    manifest: Manifest,
    configurations: BTreeMap<&'static str, Value>,
    models: BTreeMap<Component, Model>,
}

impl Pack {
    /// Opens a pack.
    ///
    /// # Errors
    /// With every fault at once: missing or foreign files, invalid JSON, graphs of another signature, links.
    pub fn open(folder: &Path) -> Result<Self, PackError> {
        if !folder.is_dir() {
            return Err(PackError::NotAFolder(folder.to_owned()));
        }
        let Ok(text) = fs::read_to_string(folder.join(MANIFEST)) else {
            return Err(PackError::NotImported { folder: folder.to_owned() });
        };
        let mut faults = Faults::default();
        links::refuse(folder, &mut faults);
        let manifest = check::manifest(folder, &text, &mut faults);
        let configurations = check::configurations(folder, &mut faults);
        check::tokenizer(folder, &mut faults);
        let models = check::graphs(folder, &mut faults);
        check::signatures(&models, &mut faults);
        let manifest = faults.none_or(folder, manifest)?.ok_or_else(|| PackError::NotAFolder(folder.to_owned()))?;
        Ok(Self { folder: folder.to_owned(), manifest, configurations, models })
    }

    /// Where the pack is.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// What it consists of.
    pub fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    /// `name@` and twelve digits of the manifest's hash.
    pub fn version(&self) -> String {
        self.manifest.version()
    }

    /// A component's graph with its weights mapped; `None` for an optional one that the pack lacks.
    pub fn model(&self, component: Component) -> Option<&Model> {
        self.models.get(&component)
    }

    /// The components that are there.
    pub fn components(&self) -> impl Iterator<Item = (Component, &Model)> {
        self.models.iter().map(|(component, model)| (*component, model))
    }

    /// The folder with the tokenizer's files.
    pub fn tokenizer(&self) -> PathBuf {
        self.folder.join("tokenizer")
    }

    /// `scheduler/scheduler_config.json`.
    pub fn scheduler(&self) -> &Value {
        self.configuration("scheduler/scheduler_config.json")
    }

    /// `unet/config.json`.
    pub fn unet_config(&self) -> &Value {
        self.configuration("unet/config.json")
    }

    /// `vae_decoder/config.json`.
    pub fn vae_config(&self) -> &Value {
        self.configuration("vae_decoder/config.json")
    }

    fn configuration(&self, name: &str) -> &Value {
        self.configurations.get(name).unwrap_or(&Value::Null)
    }

    /// What latents are multiplied by after encoding and divided by before decoding.
    pub fn scaling_factor(&self) -> f64 {
        self.vae_config().get("scaling_factor").and_then(Value::as_f64).unwrap_or(SCALING_FACTOR)
    }

    /// Pixels along one side of a latent cell: two for each of the VAE's levels but one.
    pub fn pixels_per_cell(&self) -> usize {
        let levels = self.vae_config().get("block_out_channels").and_then(Value::as_array).map_or(4, Vec::len);
        1 << levels.saturating_sub(1)
    }

    /// Width and height, in pixels, that the denoiser was trained at.
    pub fn size(&self) -> usize {
        let cells = self.unet_config().get("sample_size").and_then(Value::as_u64).unwrap_or(64);
        cells as usize * self.pixels_per_cell()
    }
}
