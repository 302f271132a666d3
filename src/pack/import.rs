//! From an export in diffusers' layout to a pack.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs::{self, File},
    path::Path,
};

use plaudit_onnx::{Model, edit::Edit};

use super::{Component, Manifest, Pack, PackError, check, fault::Faults, files::Files, layout, links, prepare, seal};
use crate::runtime::SessionSettings;

/// Folders of models that this pipeline does not draw with.
const FOREIGN: [(&str, &str); 3] = [
    ("text_encoder_2", "Stable Diffusion XL"),
    ("transformer", "a diffusion transformer"),
    ("controlnet", "a ControlNet"),
];

/// Edits by component, in the order in which they were made.
pub type Edits = BTreeMap<Component, Vec<Edit>>;

/// What an import did.
#[derive(Debug)]
pub struct Imported {
    /// The new pack's manifest.
    pub manifest: Manifest,
    /// What was changed in each graph, in order; graphs that needed nothing are not listed.
    pub edits: Edits,
}

/// Imports an export into a pack at `out`, which must not exist; `progress` is told each step.
///
/// Accepts what `optimum-cli export onnx` and `onnx/export.py` write. The pack appears whole or not at all: it is built
/// beside `out` and renamed.
///
/// # Errors
/// With every fault of the export at once; if a graph does not run; if files cannot be written.
pub fn import(
    source: &Path,
    out: &Path,
    settings: &SessionSettings,
    mut progress: impl FnMut(&str),
) -> Result<Imported, PackError> {
    if !source.is_dir() {
        return Err(PackError::NotAFolder(source.to_owned()));
    }
    if fs::symlink_metadata(out).is_ok() {
        return Err(PackError::Exists(out.to_owned()));
    }
    progress("reading");
    let (models, edits) = read(source)?;
    let beside = out.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    fs::create_dir_all(beside).map_err(PackError::io(beside))?;
    let staging = tempfile::Builder::new().prefix(".importing-").tempdir_in(beside).map_err(PackError::io(beside))?;
    for (component, model) in models {
        progress(&format!("writing {component}"));
        write(component, &model, staging.path())?;
    }
    copy_configurations(source, staging.path())?;
    let name = out.file_name().map_or_else(|| "pack".to_owned(), |name| name.to_string_lossy().into_owned());
    let manifest = seal(staging.path(), &name, &edits, settings, &mut progress)?;
    publish(staging, out)?;
    Ok(Imported { manifest, edits })
}

/// The export's graphs as the pipeline wants them, if the whole export is sound.
fn read(source: &Path) -> Result<(BTreeMap<Component, Model>, Edits), PackError> {
    let mut faults = Faults::default();
    links::refuse(source, &mut faults);
    for (folder, kind) in FOREIGN {
        if source.join(folder).is_dir() {
            faults.add(folder, format!("belongs to {kind}; only Stable Diffusion 1 and 2 layouts are supported"));
        }
    }
    let files = Files::own(source);
    let (_, facts) = check::configurations(&files, &mut faults);
    check::tokenizer(&files, &mut faults);
    let mut models = check::graphs(&files, &mut faults);
    let mut edits = Edits::new();
    for (component, model) in &mut models {
        let made = prepare::for_pipeline(*component, model);
        let made = faults.keep(&component.graph(), made).unwrap_or_default();
        if !made.is_empty() {
            edits.insert(*component, made);
        }
    }
    check::signatures(&models, &facts, &mut faults);
    faults.none_or(source, (models, edits))
}

fn write(component: Component, model: &Model, pack: &Path) -> Result<(), PackError> {
    let folder = pack.join(component.folder());
    let (graph, weights) = (format!("{}.onnx", component.stem()), format!("{}.safetensors", component.stem()));
    let written = model.write_pair(&folder, &graph, &weights);
    written.map_err(|source| PackError::Write { component: component.name(), source })
}

/// Takes over the configuration files that are there.
fn copy_configurations(source: &Path, pack: &Path) -> Result<(), PackError> {
    let plain = layout::PLAIN_PARTS.into_iter().flat_map(|(_, files)| files).map(|&name| name.to_owned());
    let of_components = Component::ALL.into_iter().flat_map(layout::configurations);
    let names: BTreeSet<String> = plain.chain(of_components).chain([layout::INDEX.to_owned()]).collect();
    for name in names {
        let (from, to) = (source.join(&name), pack.join(&name));
        if !from.is_file() {
            continue;
        }
        let folder = to.parent().unwrap_or(pack);
        fs::create_dir_all(folder).map_err(PackError::io(folder))?;
        fs::copy(&from, &to).map_err(PackError::io(&from))?;
        File::open(&to).and_then(|file| file.sync_all()).map_err(PackError::io(&to))?;
    }
    Ok(())
}

/// Opens the pack where it was built, as a reader would, and moves it to its place.
fn publish(staging: tempfile::TempDir, out: &Path) -> Result<(), PackError> {
    Pack::open(staging.path())?;
    open_to_all(staging.path()).map_err(PackError::io(staging.path()))?;
    fs::rename(staging.path(), out).map_err(PackError::io(out))?;
    // The folder has another name now; there is nothing left to remove.
    let _ = staging.keep();
    Ok(())
}

/// Temporary folders are private to their maker; a pack is as readable as the user's other folders.
#[cfg(unix)]
pub(super) fn open_to_all(folder: &Path) -> std::io::Result<()> {
    use std::os::unix::fs::PermissionsExt;
    fs::set_permissions(folder, fs::Permissions::from_mode(0o755))
}

#[cfg(not(unix))]
pub(super) fn open_to_all(_: &Path) -> std::io::Result<()> {
    Ok(())
}
