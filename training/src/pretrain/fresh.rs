//! Beginning from nothing: what the pack holds of the stages ahead is set aside first, so no stage meets it.
//!
//! It is done once, at the beginning, rather than ignored while a stage runs: legs after a kill then find what a first leg found.

use std::{fs, path::Path};

use plaudit::pack::{GOLDEN, MANIFEST};

use super::{
    PretrainError, Stage, Workshop,
    component::{CLIP_TEXT, CLIP_VISION, Component, TEXT_ENCODER, UNET, VAE_DECODER, VAE_ENCODER},
    journal, leg,
};
use crate::progress;

/// What each stage makes: entries of `state.json` (runs have the same names), and weights.
const MADE: [(Stage, &[&str], &[Component]); 5] = [
    (Stage::Clip, &["clip"], &[CLIP_TEXT, CLIP_VISION, TEXT_ENCODER]),
    (Stage::Vae, &["vae", "vae-decoder"], &[VAE_ENCODER, VAE_DECODER]),
    (Stage::Latents, &["latents"], &[]),
    (Stage::Unet, &["unet"], &[UNET]),
    (Stage::Evaluate, &["evaluation"], &[]),
];

/// Sets weights and entries of `stage` and all stages after it aside, into the data directory's `replaced`.
///
/// # Errors
/// If one of them has a run in the data directory; nothing has changed then.
pub(super) fn begin(stage: Stage, workshop: &Workshop) -> Result<(), PretrainError> {
    let ahead = || MADE.iter().filter(|(made, ..)| stage == Stage::All || *made >= stage);
    let entries: Vec<&str> = ahead().flat_map(|(_, entries, _)| *entries).copied().collect();
    for name in &entries {
        let path = leg::directory(workshop, name);
        if progress::steps_saved(&path)?.is_some() {
            return Err(PretrainError::Begun { path });
        }
    }
    set_aside(workshop, &journal::path(workshop), true)?;
    journal::forget(workshop, &entries)?;
    for name in [MANIFEST, GOLDEN] {
        set_aside(workshop, &workshop.pack.join(name), false)?;
    }
    let components = ahead().flat_map(|(.., components)| *components);
    components.map(|component| component.weights(workshop)).try_for_each(|path| set_aside(workshop, &path, false))
}

/// Copies a file of the pack into `replaced`, and takes it from the pack unless it is to stay.
fn set_aside(workshop: &Workshop, path: &Path, stays: bool) -> Result<(), PretrainError> {
    if !path.exists() {
        return Ok(());
    }
    let place = workshop.data.join("replaced").join(path.strip_prefix(&workshop.pack).unwrap_or(path));
    let folder = place.parent().unwrap_or(&place);
    fs::create_dir_all(folder).map_err(PretrainError::io(folder))?;
    fs::copy(path, &place).map_err(PretrainError::io(&place))?;
    if stays { Ok(()) } else { fs::remove_file(path).map_err(PretrainError::io(path)) }
}
