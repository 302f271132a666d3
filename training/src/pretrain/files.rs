//! Files that are whole or not there.

use std::{
    fs::{self, File},
    path::Path,
};

use super::PretrainError;

/// Writes aside, makes it durable, and renames: a kill leaves what was there before.
pub(super) fn replace(path: &Path, content: &[u8]) -> Result<(), PretrainError> {
    let mut aside = path.as_os_str().to_owned();
    aside.push(".new");
    let written = fs::write(&aside, content).and_then(|()| File::open(&aside)?.sync_all());
    written.and_then(|()| fs::rename(&aside, path)).map_err(PretrainError::io(path))
}
