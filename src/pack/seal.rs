//! From a folder of components to a pack: golden outputs, then the manifest.

use std::{
    collections::BTreeMap,
    fs::{self, File},
    io::Write,
    path::Path,
};

use plaudit_onnx::{Model, Tensor, edit::Edit};

use super::{
    Component, Edits, Entry, FORMAT, FileFacts, GOLDEN, GraphFacts, MANIFEST, Manifest, PackError, PackLineage,
    TOLERANCE_F32, check, fault::Faults, files::Files, golden, hash, layout, links,
};
use crate::runtime::SessionSettings;

/// The domain of ONNX's own operators.
const ONNX: &str = "";

/// What a sealer knows beside the files.
#[derive(Debug, Default)]
pub struct Knowledge<'a> {
    /// What was changed in each graph; the manifest keeps the labels.
    pub edits: Edits,
    /// Graphs that were written into the folder and are still in memory. Their golden outputs come from here and not from the files:
    /// [`verify`](fn@super::verify) then finds a file that was written wrongly.
    pub in_hand: BTreeMap<Component, &'a Model>,
    /// Of the pack that this one was tuned from: labels of the edits that were made before are kept.
    pub parent: Option<&'a Manifest>,
    /// Where the pack comes from.
    pub lineage: Option<PackLineage>,
}

/// Runs every component once for its golden outputs and writes them and the manifest into `folder`.
///
/// `edits` are what was changed in each graph; the manifest keeps their labels.
///
/// # Errors
/// With every fault of the folder's structure; if a graph does not run; if files cannot be written.
pub fn seal(
    folder: &Path,
    name: &str,
    edits: &Edits,
    settings: &SessionSettings,
    progress: impl FnMut(&str),
) -> Result<Manifest, PackError> {
    seal_with(folder, name, Knowledge { edits: edits.clone(), ..Knowledge::default() }, settings, progress)
}

/// [`seal`] by someone who knows more than the files tell.
///
/// # Errors
/// As [`seal`].
pub fn seal_with(
    folder: &Path,
    name: &str,
    knowledge: Knowledge<'_>,
    settings: &SessionSettings,
    mut progress: impl FnMut(&str),
) -> Result<Manifest, PackError> {
    let Knowledge { edits, in_hand, parent, lineage } = knowledge;
    let mut faults = Faults::default();
    links::refuse(folder, &mut faults);
    let files = Files::own(folder);
    let (_, facts) = check::configurations(&files, &mut faults);
    check::tokenizer(&files, &mut faults);
    let models = check::graphs(&files, &mut faults);
    check::signatures(&models, &facts, &mut faults);
    faults.none_or(folder, ())?;

    let mut outputs = BTreeMap::new();
    for (component, model) in &models {
        progress(&format!("running {component}"));
        let model = in_hand.get(component).copied().unwrap_or(model);
        let answers = golden::answers(*component, model, settings);
        outputs.extend(answers.map_err(|source| PackError::Runtime { component: component.name(), source })?);
    }
    golden::write(folder, &outputs).map_err(PackError::io(&folder.join(GOLDEN)))?;
    progress("hashing");
    let mut manifest = Manifest { lineage, ..manifest(folder, name, &models, &edits)? };
    parent.into_iter().for_each(|parent| keep_labels(&mut manifest, parent));
    write_manifest(folder, &manifest.to_json()).map_err(PackError::io(&folder.join(MANIFEST)))?;
    Ok(manifest)
}

fn manifest(
    folder: &Path,
    name: &str,
    models: &BTreeMap<Component, Model>,
    edits: &Edits,
) -> Result<Manifest, PackError> {
    let mut components = BTreeMap::new();
    for (component, model) in models {
        let graph = GraphFacts {
            opset: model.opsets.get(ONNX).copied().unwrap_or_default(),
            parameters: model.graph.initializers.values().filter(|tensor| is_parameter(tensor)).map(count).sum(),
            edits: labels(edits.get(component)),
            tolerance: TOLERANCE_F32,
        };
        components
            .insert(component.name().to_owned(), Entry::new(facts(folder, &layout::files(*component))?, Some(graph)));
    }
    for (part, files) in layout::PLAIN_PARTS {
        let files = facts(folder, files)?;
        if !files.is_empty() {
            components.insert(part.to_owned(), Entry::new(files, None));
        }
    }
    let files = facts(folder, &layout::TOP)?;
    Ok(Manifest { format: FORMAT, name: name.to_owned(), components, files, lineage: None })
}

fn keep_labels(manifest: &mut Manifest, parent: &Manifest) {
    for (name, entry) in &mut manifest.components {
        let before = parent.components.get(name).and_then(|entry| entry.graph.as_ref());
        if let (Some(graph), Some(before)) = (&mut entry.graph, before) {
            graph.edits.splice(..0, before.edits.iter().cloned());
        }
    }
}

fn labels(edits: Option<&Vec<Edit>>) -> Vec<String> {
    edits.into_iter().flatten().map(|edit| edit.label.clone()).collect()
}

/// Scalars are constants of the formula.
fn is_parameter(tensor: &Tensor) -> bool {
    tensor.dtype.is_float() && !tensor.shape.is_empty()
}

fn count(tensor: &Tensor) -> u64 {
    tensor.len() as u64
}

/// Hash and length of those of the files that are there.
fn facts(folder: &Path, files: &[impl AsRef<str>]) -> Result<BTreeMap<String, FileFacts>, PackError> {
    let there = files.iter().map(AsRef::as_ref).filter(|name: &&str| folder.join(name).is_file());
    let one = |name: &str| {
        let path = folder.join(name);
        let (sha256, bytes) = hash::file(&path).map_err(PackError::io(&path))?;
        Ok((name.to_owned(), FileFacts { sha256, bytes }))
    };
    there.map(one).collect()
}

/// The manifest is written last and whole: a folder that has one is a pack.
pub(crate) fn write_manifest(folder: &Path, text: &str) -> std::io::Result<()> {
    let mut aside = tempfile::Builder::new().prefix(".manifest-").tempfile_in(folder)?;
    aside.write_all(text.as_bytes())?;
    readable(aside.as_file())?;
    aside.as_file().sync_all()?;
    aside.persist(folder.join(MANIFEST)).map_err(|error| error.error)?;
    File::open(folder)?.sync_all()
}

#[cfg(unix)]
fn readable(file: &File) -> std::io::Result<()> {
    use std::os::unix::fs::PermissionsExt;
    file.set_permissions(fs::Permissions::from_mode(0o644))
}

#[cfg(not(unix))]
fn readable(_: &File) -> std::io::Result<()> {
    Ok(())
}
