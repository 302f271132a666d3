//! Numbers that are computed once, by what they are computed from: latents of pictures, embeddings of prompts, points of CLIP.
//!
//! A file's name is the SHA-256 of its kind, the hash of the component that computed it, and what it was computed from; its content is little-endian
//! f32 followed by the content's own SHA-256. A damaged file counts as missing. Nothing here ever becomes stale: another encoder has other names.

use std::{
    fs,
    path::{Path, PathBuf},
};

use sha2::{Digest, Sha256};

use super::FinetuneError;
use crate::checkpoint::hex;

/// Bytes of the checksum at a file's end.
const CHECKSUM: usize = 32;
/// Digits of a name that are its folder: at most 256 folders.
const FOLDER_DIGITS: usize = 2;

/// The folder of cached numbers. Clones share it.
#[derive(Debug, Clone)]
pub(crate) struct Cache {
    folder: PathBuf,
}

/// A file's name.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Key(String);

impl Key {
    /// `maker` is the hash of the component that computes, `of` what it computes from.
    pub(crate) fn new(kind: &str, maker: &str, of: &str) -> Self {
        Self(hex(&Sha256::digest(format!("{kind}\n{maker}\n{of}"))))
    }
}

impl Cache {
    pub(crate) fn open(folder: &Path) -> Result<Self, FinetuneError> {
        fs::create_dir_all(folder).map_err(FinetuneError::io("create", folder))?;
        Ok(Self { folder: folder.to_owned() })
    }

    /// The numbers, if they are there and whole.
    pub(crate) fn get(&self, key: &Key) -> Option<Vec<f32>> {
        let bytes = fs::read(self.path(key)).ok()?;
        let (content, checksum) = bytes.split_at_checked(bytes.len().checked_sub(CHECKSUM)?)?;
        (Sha256::digest(content).as_slice() == checksum).then(|| bytemuck::pod_collect_to_vec(content))
    }

    /// The numbers, which were put there at the start of the run.
    ///
    /// # Errors
    /// If somebody removed or damaged them meanwhile.
    pub(crate) fn demand(&self, key: &Key) -> Result<Vec<f32>, FinetuneError> {
        let lost = || {
            FinetuneError::content(
                &self.path(key),
                "was lost or damaged during the run; run again, and it is made again",
            )
        };
        self.get(key).ok_or_else(lost)
    }

    /// What is there, or what `make` computes, which is there from now on.
    pub(crate) fn get_or(
        &self,
        key: &Key,
        make: impl FnOnce() -> Result<Vec<f32>, FinetuneError>,
    ) -> Result<Vec<f32>, FinetuneError> {
        if let Some(values) = self.get(key) {
            return Ok(values);
        }
        let values = make()?;
        self.put(key, &values)?;
        Ok(values)
    }

    /// Written aside and renamed: whole or not there.
    fn put(&self, key: &Key, values: &[f32]) -> Result<(), FinetuneError> {
        let path = self.path(key);
        let folder = path.parent().unwrap_or(&self.folder);
        fs::create_dir_all(folder).map_err(FinetuneError::io("create", folder))?;
        let content: &[u8] = bytemuck::cast_slice(values);
        let bytes = [content, Sha256::digest(content).as_slice()].concat();
        let aside = path.with_extension("new");
        fs::write(&aside, bytes).map_err(FinetuneError::io("write", &aside))?;
        fs::rename(&aside, &path).map_err(FinetuneError::io("rename to", &path))
    }

    fn path(&self, Key(name): &Key) -> PathBuf {
        self.folder.join(&name[..FOLDER_DIGITS]).join(&name[FOLDER_DIGITS..])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_computed_is_kept_and_damage_is_noticed() {
        let folder = tempfile::tempdir().unwrap();
        let cache = Cache::open(folder.path()).unwrap();
        let key = Key::new("latent", "vae", "picture");
        assert_eq!(cache.get_or(&key, || Ok(vec![1.0, -2.5])).unwrap(), [1.0, -2.5]);
        assert_eq!(cache.get_or(&key, || panic!("it is there")).unwrap(), [1.0, -2.5]);
        assert_eq!(cache.get(&Key::new("latent", "other vae", "picture")), None);
        let path = cache.path(&key);
        let mut bytes = fs::read(&path).unwrap();
        bytes[5] ^= 1;
        fs::write(&path, bytes).unwrap();
        assert_eq!(cache.get(&key), None);
        assert!(cache.demand(&key).unwrap_err().to_string().contains("run again"));
        assert_eq!(cache.get_or(&key, || Ok(vec![3.0])).unwrap(), [3.0]);
    }
}
