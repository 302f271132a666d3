//! Links in a pack: a file that is shared with a place outside can change under a running server.

use std::{
    fs::{self, DirEntry, Metadata},
    path::{Path, PathBuf},
};

use super::fault::{Fault, Faults};

/// Every link below a folder, and whatever else is neither a file of its own nor a folder.
pub(crate) fn faults(folder: &Path) -> Vec<Fault> {
    let mut faults = Faults::default();
    refuse(folder, &mut faults);
    faults.into_list()
}

/// Reports every symbolic link, every hard-linked file, and what is neither file nor folder.
pub(super) fn refuse(folder: &Path, faults: &mut Faults) {
    for path in walk(folder, faults) {
        let place = relative(folder, &path);
        match fs::symlink_metadata(&path) {
            Err(error) => faults.add(place, error.to_string()),
            Ok(facts) if facts.is_symlink() => faults.add(place, "is a link; packs hold files of their own: copy it"),
            Ok(facts) if facts.is_file() && names(&facts) > 1 => {
                faults.add(place, "is a hard link to a file that has another name too: copy it");
            }
            Ok(facts) if !facts.is_file() && !facts.is_dir() => faults.add(place, "is neither a file nor a folder"),
            Ok(_) => {}
        }
    }
}

/// Everything below `folder`, sorted, without following links.
fn walk(folder: &Path, faults: &mut Faults) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).and_then(|entries| entries.collect::<Result<Vec<DirEntry>, _>>());
    let mut paths: Vec<_> = match entries {
        Ok(entries) => entries.iter().map(DirEntry::path).collect(),
        Err(error) => {
            faults.add(folder.display().to_string(), error.to_string());
            return Vec::new();
        }
    };
    paths.sort();
    let is_folder = |path: &PathBuf| fs::symlink_metadata(path).is_ok_and(|facts| facts.is_dir());
    let below: Vec<_> = paths.iter().filter(|path| is_folder(path)).flat_map(|path| walk(path, faults)).collect();
    paths.extend(below);
    paths
}

/// A path inside the pack, with forward slashes.
pub(super) fn relative(folder: &Path, path: &Path) -> String {
    let inside = path.strip_prefix(folder).unwrap_or(path);
    inside.components().map(|part| part.as_os_str().to_string_lossy()).collect::<Vec<_>>().join("/")
}

#[cfg(unix)]
fn names(facts: &Metadata) -> u64 {
    std::os::unix::fs::MetadataExt::nlink(facts)
}

#[cfg(not(unix))]
fn names(_: &Metadata) -> u64 {
    1
}
