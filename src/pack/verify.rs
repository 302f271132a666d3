//! Whether a pack's files are what the manifest says, and its graphs compute what they computed when it was made.

use std::path::Path;

use super::{Component, Entry, FileFacts, GOLDEN, Pack, PackError, fault::Faults, golden, hash};
use crate::runtime::SessionSettings;

/// How far a component's outputs are from the golden ones.
#[derive(Debug, Clone, PartialEq)]
pub struct Distance {
    /// The component.
    pub component: Component,
    /// The largest relative L2 distance over its outputs.
    pub distance: f64,
    /// What is allowed.
    pub tolerance: f64,
}

/// Hashes every file and runs every component; `progress` is told each step's name.
///
/// # Errors
/// With every file whose content differs and every component whose outputs are too far from the golden ones.
pub fn verify(
    pack: &Pack,
    settings: &SessionSettings,
    mut progress: impl FnMut(&str),
) -> Result<Vec<Distance>, PackError> {
    let all: Vec<Component> = pack.components().map(|(component, _)| component).collect();
    // A damaged file says nothing about the runtime.
    verify_files(pack, &all, &mut progress)?;
    verify_golden(pack, &all, settings, progress)
}

/// Hashes of some of its graphs' files, and of all files that are no graph's. Needs no memory to speak of.
///
/// # Errors
/// With every file whose content differs.
pub fn verify_files(pack: &Pack, components: &[Component], mut progress: impl FnMut(&str)) -> Result<(), PackError> {
    let mut faults = Faults::default();
    hashes(pack, components, &mut faults, &mut progress);
    faults.none_or(pack.folder(), ())
}

/// Golden outputs of some of its graphs, each opened for a call.
///
/// # Errors
/// With every component whose outputs are too far from the golden ones.
pub fn verify_golden(
    pack: &Pack,
    components: &[Component],
    settings: &SessionSettings,
    mut progress: impl FnMut(&str),
) -> Result<Vec<Distance>, PackError> {
    let mut faults = Faults::default();
    let distances = goldens(pack, components, settings, &mut faults, &mut progress);
    faults.none_or(pack.folder(), distances)
}

fn hashes(pack: &Pack, components: &[Component], faults: &mut Faults, progress: &mut impl FnMut(&str)) {
    let manifest = pack.manifest();
    let others: Vec<&str> = pack
        .components()
        .map(|(component, _)| component)
        .filter(|one| !components.contains(one))
        .map(Component::name)
        .collect();
    let looked_at = manifest.components.iter().filter(|(name, _)| !others.contains(&name.as_str()));
    for (path, facts) in looked_at.flat_map(|(_, entry)| &entry.files).chain(&manifest.files) {
        progress(path);
        content(path, &pack.path(path), facts, faults);
    }
    for (name, entry) in &pack.manifest().components {
        if Entry::digest(&entry.files) != entry.sha256 {
            faults.add(name, "its hash in the manifest is not that of its files");
        }
    }
}

/// Whether the file of this name has the content that the manifest says.
pub(super) fn content(name: &str, path: &Path, facts: &FileFacts, faults: &mut Faults) {
    match hash::file(path) {
        Ok((found, _)) if found == facts.sha256 => {}
        Ok((found, _)) => faults.add(name, format!("has SHA-256 {found}; the manifest says {}", facts.sha256)),
        Err(error) => faults.add(name, error.to_string()),
    }
}

fn goldens(
    pack: &Pack,
    components: &[Component],
    settings: &SessionSettings,
    faults: &mut Faults,
    progress: &mut impl FnMut(&str),
) -> Vec<Distance> {
    let Some(expected) = faults.keep(GOLDEN, golden::read(pack.folder())) else { return Vec::new() };
    let mut distances = Vec::new();
    for (component, model) in pack.components().filter(|(component, _)| components.contains(component)) {
        progress(component.name());
        let entry = pack.manifest().components.get(component.name());
        let Some(tolerance) = entry.and_then(|entry| entry.graph.as_ref()).map(|graph| graph.tolerance) else {
            faults.add(component.name(), "is not in the manifest");
            continue;
        };
        let answers = golden::answers(component, model, settings);
        let Some(answers) = faults.keep(component.name(), answers) else { continue };
        let distance = golden::farthest(&answers, &expected);
        if distance > tolerance {
            let fault = format!("its outputs are {distance:.1e} from the golden ones; {tolerance:.0e} is allowed");
            faults.add(component.name(), fault);
        }
        distances.push(Distance { component, distance, tolerance });
    }
    distances
}
