//! The tuned pack: the parent's components by their content, a new UNet, and golden outputs of the weights in memory.

use std::{
    collections::BTreeMap,
    fs::{self, File},
    path::{Path, PathBuf},
};

use plaudit::{
    pack::{
        Component, GOLDEN, INDEX, Knowledge, MANIFEST, Manifest, Pack, PackError, PackLineage, SCHEDULER, seal_with,
        verify,
    },
    pipeline::schedule::SchedulerConfig,
    runtime::SessionSettings,
    scoring::REWARD_FOLDER,
};
use plaudit_onnx::{MODEL_FILE, Model};
use serde_json::{Value, json};

use crate::finetune::{Finetune, FinetuneError};

/// Whether the place of the tuned pack is free, or holds what this very run would write.
pub(in crate::finetune) fn refuse_occupied(out: &Path, lineage: Option<&PackLineage>) -> Result<(), FinetuneError> {
    if fs::symlink_metadata(out).is_err() {
        return Ok(());
    }
    let there = manifest(out).and_then(|manifest| manifest.lineage);
    match lineage {
        // Without data nothing can be said yet but that it is a tuned pack.
        None if there.is_some() => Ok(()),
        Some(lineage) if there.as_ref() == Some(lineage) => Ok(()),
        _ => Err(FinetuneError::There { path: out.to_owned() }),
    }
}

/// The version of the pack that is there.
fn version_of(out: &Path) -> Option<String> {
    manifest(out).map(|manifest| manifest.version())
}

fn manifest(out: &Path) -> Option<Manifest> {
    serde_json::from_slice(&fs::read(out.join(MANIFEST)).ok()?).ok()
}

/// Builds the pack beside its place, verifies it, and renames it; its version.
pub(super) fn write(
    settings: &Finetune,
    parent: &Pack,
    unet: &Model,
    lineage: PackLineage,
) -> Result<String, FinetuneError> {
    let out = &settings.out;
    let beside = out.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    fs::create_dir_all(beside).map_err(FinetuneError::io("create", beside))?;
    let staging =
        tempfile::Builder::new().prefix(".tuning-").tempdir_in(beside).map_err(FinetuneError::io("write", beside))?;
    copy_rest(parent, staging.path())?;
    if let Some(scheduler) = settings.scheduled(parent)? {
        schedule(&scheduler, staging.path())?;
    }
    let folder = staging.path().join(Component::Unet.folder());
    fs::create_dir_all(&folder).map_err(FinetuneError::io("create", &folder))?;
    unet.write(&folder)?;
    let sessions = SessionSettings { threads: settings.threads, spinning: false, ..SessionSettings::default() };
    let name = settings.name.clone().unwrap_or_else(|| parent.manifest().name.clone());
    let knowledge = Knowledge {
        in_hand: BTreeMap::from([(Component::Unet, unet)]),
        parent: Some(parent.manifest()),
        lineage: Some(lineage),
        ..Knowledge::default()
    };
    let manifest = seal_with(staging.path(), &name, knowledge, &sessions, |step| tracing::debug!("{step}"))?;
    proof(staging.path(), unet, &sessions)?;
    put(staging, out)?;
    Ok(manifest.version())
}

/// What was written computes what is in memory, and is the same, bit by bit.
fn proof(folder: &Path, unet: &Model, sessions: &SessionSettings) -> Result<(), FinetuneError> {
    let pack = Pack::open(folder)?;
    verify(&pack, sessions, |_| {}).map_err(FinetuneError::Corrupt)?;
    let path = folder.join(Component::Unet.folder()).join(MODEL_FILE);
    let written = pack.model(Component::Unet).map(|model| &model.graph.initializers);
    let differs = unet.graph.initializers.iter().find(|(name, tensor)| {
        written.and_then(|written| written.get(*name)).is_none_or(|found| found.data[..] != tensor.data[..])
    });
    match differs {
        None => Ok(()),
        Some((name, _)) => {
            Err(FinetuneError::content(&path, format!("`{name}` is not what was written; is the disk sound?")))
        }
    }
}

/// Every file of the parent but its UNet's graph and weights and its golden outputs; with them its reward, which knows the same CLIP.
fn copy_rest(parent: &Pack, to: &Path) -> Result<(), FinetuneError> {
    let new = [Component::Unet.graph(), Component::Unet.weights(), GOLDEN.to_owned()];
    for (name, _) in parent.manifest().all_files().filter(|(name, _)| !new.contains(name)) {
        copy(&parent.path(name), &to.join(name))?;
    }
    let reward = parent.folder().join(REWARD_FOLDER);
    if reward.is_dir() {
        for entry in fs::read_dir(&reward).map_err(FinetuneError::io("read", &reward))? {
            let entry = entry.map_err(FinetuneError::io("read", &reward))?;
            copy(&entry.path(), &to.join(REWARD_FOLDER).join(entry.file_name()))?;
        }
    }
    Ok(())
}

/// Names another scheduler, for the server and for diffusers.
fn schedule(scheduler: &SchedulerConfig, pack: &Path) -> Result<(), FinetuneError> {
    let write =
        |path: &Path, json: &Value| fs::write(path, format!("{json:#}\n")).map_err(FinetuneError::io("write", path));
    write(&pack.join(SCHEDULER), &scheduler.to_json())?;
    let index = pack.join(INDEX);
    let text = fs::read(&index).map_err(FinetuneError::io("read", &index))?;
    let mut json: Value =
        serde_json::from_slice(&text).map_err(|error| FinetuneError::content(&index, error.to_string()))?;
    json["scheduler"] = json!(["diffusers", scheduler.kind()?.class()]);
    write(&index, &json)
}

fn copy(from: &Path, to: &Path) -> Result<(), FinetuneError> {
    let folder = to.parent().unwrap_or(to);
    fs::create_dir_all(folder).map_err(FinetuneError::io("create", folder))?;
    // Two components may have a file in common.
    if !to.exists() {
        fs::copy(from, to).map_err(FinetuneError::io("copy", from))?;
    }
    Ok(())
}

/// One that is there already was written by this run before.
fn put(staging: tempfile::TempDir, out: &Path) -> Result<(), FinetuneError> {
    if !out.exists() {
        return place(staging, out);
    }
    let same = version_of(out).is_some_and(|there| Some(there) == version_of(staging.path()));
    if same { Ok(()) } else { Err(FinetuneError::There { path: out.to_owned() }) }
}

/// Makes everything durable and gives a folder its name.
pub(in crate::finetune) fn place(staging: tempfile::TempDir, out: &Path) -> Result<(), FinetuneError> {
    let failed = |source| PackError::Io { path: out.to_owned(), source };
    for path in files(staging.path())? {
        File::open(&path).and_then(|file| file.sync_all()).map_err(failed)?;
    }
    readable(staging.path()).map_err(failed)?;
    fs::rename(staging.path(), out).map_err(failed)?;
    let _ = staging.keep();
    let folder = out.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    Ok(File::open(folder).and_then(|folder| folder.sync_all()).map_err(failed)?)
}

fn files(folder: &Path) -> Result<Vec<PathBuf>, FinetuneError> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).map_err(FinetuneError::io("read", folder))? {
        let path = entry.map_err(FinetuneError::io("read", folder))?.path();
        if path.is_dir() {
            found.extend(files(&path)?);
        }
        found.push(path);
    }
    Ok(found)
}

/// A temporary folder is its owner's alone; a pack is not.
#[cfg(unix)]
fn readable(folder: &Path) -> std::io::Result<()> {
    use std::os::unix::fs::PermissionsExt;
    fs::set_permissions(folder, fs::Permissions::from_mode(0o755))
}

#[cfg(not(unix))]
fn readable(_: &Path) -> std::io::Result<()> {
    Ok(())
}
