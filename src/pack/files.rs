//! Where a pack's files lie: in its own folder, or under the component's hash in the store that packs side by side share.
//!
//! ```text
//! packs/
//!   sd15/manifest.json …                    a pack; this one has been shared
//!   sd15-tuned/manifest.json unet/ …        another; its denoiser is still its own
//!   components/<sha256>/unet/model.onnx …   one of the manifest's components, by the hash of its entry
//! ```

use std::{
    collections::BTreeMap,
    fs, io,
    path::{Path, PathBuf},
};

use super::{Entry, Manifest};

/// The store's folder, beside the packs.
pub(crate) const STORE: &str = "components";
/// Hexadecimal digits of a SHA-256.
const DIGITS: usize = 64;

/// Finds a pack's files by their name inside the pack.
#[derive(Debug, Clone)]
pub(super) struct Files {
    folder: PathBuf,
    /// The folder in the store of each file that is not the pack's own.
    shared: BTreeMap<String, PathBuf>,
}

impl Files {
    /// All of them in one folder: an export, or a pack that is being made.
    pub(super) fn own(folder: &Path) -> Self {
        Self { folder: folder.to_owned(), shared: BTreeMap::new() }
    }

    /// A component that is not whole in the pack's folder is looked for in the store.
    pub(super) fn of(folder: &Path, manifest: &Manifest) -> io::Result<Self> {
        let (own, store) = (Self::own(folder), store(folder)?);
        let mut shared = BTreeMap::new();
        for entry in manifest.components.values().filter(|entry| is_hash(&entry.sha256) && !own.holds(entry)) {
            let kept = store.join(&entry.sha256);
            if kept.is_dir() {
                shared.extend(entry.files.keys().map(|name| (name.clone(), kept.clone())));
            }
        }
        Ok(Self { shared, ..own })
    }

    /// Whether a component's files are all in the pack's own folder.
    pub(super) fn holds(&self, entry: &Entry) -> bool {
        entry.files.keys().all(|name| self.folder.join(name).is_file())
    }

    /// The pack's folder.
    pub(super) fn folder(&self) -> &Path {
        &self.folder
    }

    /// Every folder that files are in.
    pub(super) fn folders(&self) -> Vec<&Path> {
        let mut shared: Vec<&Path> = self.shared.values().map(PathBuf::as_path).collect();
        shared.sort_unstable();
        shared.dedup();
        std::iter::once(self.folder()).chain(shared).collect()
    }

    /// Where a file is, or would be.
    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.shared.get(name).unwrap_or(&self.folder).join(name)
    }
}

/// The store of the packs beside `folder`.
pub(super) fn store(folder: &Path) -> io::Result<PathBuf> {
    let whole = fs::canonicalize(folder)?;
    Ok(whole.parent().unwrap_or(&whole).join(STORE))
}

/// A name from a manifest that is safe as a folder's.
pub(super) fn is_hash(text: &str) -> bool {
    text.len() == DIGITS && text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
}
