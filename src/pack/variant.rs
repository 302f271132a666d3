//! Serving variants: what a device prefers to run, made from a pack's graph by labelled edits and kept by hash.
//!
//! A variant is never a source: training reads the pack. Its folder in the cache is named by the source component's
//! hash and the edits' labels, so it is made once, and a new version of a component gets a variant of its own.

use std::{
    collections::BTreeMap,
    fs::{self, File},
    path::{Path, PathBuf},
};

use plaudit_onnx::{
    MODEL_FILE, Model, Tensor, WEIGHTS_FILE,
    edit::{Edit, EditError, FULL_PRECISION, half_precision},
};
use serde::{Deserialize, Serialize};

use super::{Component, FileFacts, GOLDEN, Pack, PackError, TOLERANCE_F16, golden, hash};
use crate::runtime::SessionSettings;

/// The file that tells what a variant was made from; a folder that has one is whole.
const RECORD: &str = "variant.json";

/// A variant's other files.
const FILES: [&str; 3] = [MODEL_FILE, WEIGHTS_FILE, GOLDEN];

/// What a device prefers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Variant {
    /// fp16 weights and arithmetic, sums and exponentials in fp32; inputs and outputs stay fp32.
    Half,
}

impl Variant {
    fn edit(self, model: &Model) -> Result<Edit, EditError> {
        match self {
            Self::Half => half_precision(&model.graph, &FULL_PRECISION),
        }
    }

    fn tolerance(self) -> f64 {
        match self {
            Self::Half => TOLERANCE_F16,
        }
    }
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Record {
    component: String,
    source: String,
    edit: String,
    /// Relative L2 distance from the source's golden outputs, and what was allowed.
    distance: f64,
    tolerance: f64,
    files: BTreeMap<String, FileFacts>,
}

/// A component of `pack` as `variant`, from `cache` or newly made there; its weights are mapped.
///
/// A new variant runs once, with `settings`, and must agree with the pack's golden outputs; what it answered is kept
/// beside it as its own golden outputs.
///
/// # Errors
/// If the pack lacks the component, the edit does not fit its graph, the variant is too far from the source, or files
/// cannot be written.
pub fn serving_variant(
    pack: &Pack,
    component: Component,
    variant: Variant,
    cache: &Path,
    settings: &SessionSettings,
) -> Result<Model, PackError> {
    let refused = |reason: String| PackError::Variant { component: component.name(), reason };
    let absent = || refused("the pack does not have it".to_owned());
    let source = pack.model(component).ok_or_else(absent)?;
    let entry = pack.manifest().components.get(component.name()).ok_or_else(absent)?;
    let edit = variant.edit(source).map_err(|error| refused(error.to_string()))?;
    let folder = cache.join(hash::bytes(format!("{}\n{}\n", entry.sha256, edit.label).as_bytes()));
    if !is_whole(&folder) {
        tracing::info!("making {component} with `{}`, once: {}", edit.label, folder.display());
        let (model, answers, distance) = edited(pack, component, source, &edit, settings)?;
        let tolerance = variant.tolerance();
        if distance > tolerance {
            let label = edit.label;
            return Err(refused(format!("`{label}` is {distance:.1e} from its source; {tolerance:.0e} is allowed")));
        }
        let (component_name, source) = (component.name().to_owned(), entry.sha256.clone());
        let files = BTreeMap::new();
        let record = Record { component: component_name, source, edit: edit.label, distance, tolerance, files };
        store(component, &model, &answers, record, &folder)?;
    }
    Model::read(&folder.join(MODEL_FILE)).map_err(|error| refused(error.to_string()))
}

/// The edited graph, what it answers, and how far that is from the pack's golden outputs.
fn edited(
    pack: &Pack,
    component: Component,
    source: &Model,
    edit: &Edit,
    settings: &SessionSettings,
) -> Result<(Model, BTreeMap<String, Tensor>, f64), PackError> {
    let refused = |reason: String| PackError::Variant { component: component.name(), reason };
    let mut model = source.clone();
    edit.apply(&mut model).map_err(|error| refused(error.to_string()))?;
    let answers = golden::answers(component, &model, settings)
        .map_err(|source| PackError::Runtime { component: component.name(), source })?;
    let expected = golden::read(pack.folder()).map_err(refused)?;
    let distance = golden::farthest(&answers, &expected);
    Ok((model, answers, distance))
}

/// Whether a variant is there with the very bytes that were written. The runtime would not notice damaged weights.
fn is_whole(folder: &Path) -> bool {
    let text = fs::read_to_string(folder.join(RECORD)).unwrap_or_default();
    let record: Option<Record> = serde_json::from_str(&text).ok();
    let same = |record: &Record, name: &str| {
        let (facts, found) = (record.files.get(name)?, hash::file(&folder.join(name)).ok()?);
        Some(found == (facts.sha256.clone(), facts.bytes))
    };
    record.is_some_and(|record| FILES.iter().all(|name| same(&record, name) == Some(true)))
}

fn store(
    component: Component,
    model: &Model,
    answers: &BTreeMap<String, Tensor>,
    mut record: Record,
    folder: &Path,
) -> Result<(), PackError> {
    let cache = folder.parent().unwrap_or(Path::new("."));
    fs::create_dir_all(cache).map_err(PackError::io(cache))?;
    let staging = tempfile::Builder::new().prefix(".variant-").tempdir_in(cache).map_err(PackError::io(cache))?;
    let written = model.write(staging.path());
    written.map_err(|source| PackError::Write { component: component.name(), source })?;
    golden::write(staging.path(), answers).map_err(PackError::io(folder))?;
    for name in FILES {
        let path: PathBuf = staging.path().join(name);
        let (sha256, bytes) = hash::file(&path).map_err(PackError::io(&path))?;
        record.files.insert(name.to_owned(), FileFacts { sha256, bytes });
    }
    let text = serde_json::to_string_pretty(&record).unwrap_or_default();
    fs::write(staging.path().join(RECORD), text).map_err(PackError::io(folder))?;
    publish(staging, folder).map_err(PackError::io(folder))
}

/// Another process may have made the same variant meanwhile: equal, so either will do. What was cut short is replaced.
fn publish(staging: tempfile::TempDir, folder: &Path) -> std::io::Result<()> {
    if is_whole(folder) {
        return Ok(());
    }
    if folder.exists() {
        fs::remove_dir_all(folder)?;
    }
    File::open(staging.path())?.sync_all()?;
    fs::rename(staging.path(), folder)?;
    let _ = staging.keep();
    Ok(())
}
