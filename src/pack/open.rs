//! A pack on disk, checked.

use std::{
    collections::BTreeMap,
    fs,
    io::ErrorKind,
    path::{Path, PathBuf},
};

use plaudit_onnx::Model;
use serde_json::Value;

use super::{Component, MANIFEST, Manifest, PackError, check, facts::Facts, fault::Faults, files::Files, links};

/// A pack whose structure is sound: every file is there, every graph reads and fits its place.
///
/// Weights are mapped, not loaded. What the files *contain* is [`verify`](fn@super::verify)'s concern.
#[derive(Debug)]
pub struct Pack {
    files: Files,
    manifest: Manifest,
    configurations: check::Configurations,
    facts: Facts,
    models: BTreeMap<Component, Model>,
}

impl Pack {
    /// Opens a pack.
    ///
    /// # Errors
    /// With every fault at once: missing or foreign files, invalid JSON, numbers out of bounds, a scheduler that is not offered,
    /// graphs of another signature, links.
    pub fn open(folder: &Path) -> Result<Self, PackError> {
        if !folder.is_dir() {
            return Err(PackError::NotAFolder(folder.to_owned()));
        }
        let text = read_manifest(folder)?;
        let mut faults = Faults::default();
        let manifest = check::manifest(&text, &mut faults);
        let files = match &manifest {
            Some(manifest) => Files::of(folder, manifest).map_err(PackError::io(folder))?,
            None => Files::own(folder),
        };
        files.folders().into_iter().for_each(|folder| links::refuse(folder, &mut faults));
        if let Some(manifest) = &manifest {
            check::listed(&files, manifest, &mut faults);
        }
        let (configurations, facts) = check::configurations(&files, &mut faults);
        check::tokenizer(&files, &mut faults);
        let models = check::graphs(&files, &mut faults);
        check::signatures(&models, &facts, &mut faults);
        let manifest = faults.none_or(folder, manifest)?.ok_or_else(|| PackError::NotAFolder(folder.to_owned()))?;
        Ok(Self { files, manifest, configurations, facts, models })
    }

    /// Where the pack is.
    pub fn folder(&self) -> &Path {
        self.files.folder()
    }

    /// Where one of its files is, by its path inside the pack: in the pack's folder, or in the store of shared components.
    pub fn path(&self, name: &str) -> PathBuf {
        self.files.path(name)
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

    /// Puts a graph that is in memory in the place of a component, to draw with weights that are in no file. The manifest stays as it is.
    pub fn replace(&mut self, component: Component, model: Model) {
        self.models.insert(component, model);
    }

    /// The components that are there.
    pub fn components(&self) -> impl Iterator<Item = (Component, &Model)> {
        self.models.iter().map(|(component, model)| (*component, model))
    }

    /// The folder with the tokenizer's files.
    pub fn tokenizer(&self) -> PathBuf {
        let there = check::TOKENIZER_FILES.into_iter().map(|name| self.files.path(name)).find(|path| path.is_file());
        there.as_deref().and_then(Path::parent).unwrap_or(self.folder()).to_owned()
    }

    /// `scheduler/scheduler_config.json`.
    pub fn scheduler(&self) -> &Value {
        self.configurations.get(check::SCHEDULER).unwrap_or(&Value::Null)
    }

    /// What latents are multiplied by after encoding and divided by before decoding.
    pub fn scaling_factor(&self) -> f64 {
        self.facts.scaling_factor
    }

    /// What is subtracted from latents after encoding, before they are scaled; most VAEs have none.
    pub fn shift_factor(&self) -> f64 {
        self.facts.shift_factor
    }

    /// The guidance scale of requests that name none: `_guidance_scale` of `model_index.json`, or 5.
    pub fn guidance(&self) -> f64 {
        self.facts.guidance
    }

    /// Channels of a latent.
    pub fn channels(&self) -> usize {
        self.facts.channels
    }

    /// Pixels along one side of a latent cell.
    pub fn pixels_per_cell(&self) -> usize {
        self.facts.pixels_per_cell
    }

    /// Width and height of a latent, in cells, must be multiples of it.
    pub fn cell_multiple(&self) -> usize {
        self.facts.cell_multiple
    }

    /// Width and height, in pixels, that the denoiser was trained at.
    pub fn size(&self) -> usize {
        self.facts.size
    }
}

/// Only a folder without a manifest is an export; one that cannot be read may be a pack.
fn read_manifest(folder: &Path) -> Result<String, PackError> {
    let path = folder.join(MANIFEST);
    fs::read_to_string(&path).map_err(|source| match source.kind() {
        ErrorKind::NotFound => PackError::NotImported { folder: folder.to_owned() },
        _ => PackError::Io { path, source },
    })
}
