//! Writing aside, renaming, finding the newest whole one.

use std::{
    borrow::Cow,
    collections::BTreeMap,
    fs::{self, File},
    io,
    path::{Path, PathBuf},
};

use safetensors::{Dtype, SafeTensors, View};
use sha2::{Digest, Sha256};

use super::{CheckpointError, State};

/// Checkpoints kept: the newest, and the one before in case the newest is damaged.
pub const KEPT: usize = 2;
const TENSORS: &str = "checkpoint.safetensors";
const STATE: &str = "state.json";
const PREFIX: &str = "step-";
const ASIDE: &str = "writing";
/// What a checkpoint's name ends with while another of the same step takes its place.
const REPLACED: &str = ".replaced";
/// Bytes hashed at a time.
const BLOCK: usize = 1 << 20;

/// A checkpoint read back.
#[derive(Debug, Clone, PartialEq)]
pub struct Loaded {
    /// Its state.
    pub state: State,
    /// Its tensors by name, row-major f32.
    pub tensors: BTreeMap<String, Vec<f32>>,
    /// Newer checkpoints that were damaged, and how.
    pub skipped: Vec<String>,
}

/// Writes a checkpoint of `tensors` (name, shape, elements) into `directory`, and removes all but the [`KEPT`] newest.
///
/// # Errors
/// If the disk refuses. What was there before stays readable.
pub fn save(
    directory: &Path,
    mut state: State,
    tensors: Vec<(String, Vec<usize>, &[f32])>,
) -> Result<(), CheckpointError> {
    let aside = directory.join(ASIDE);
    remove(&aside)?;
    fs::create_dir_all(&aside).map_err(io_error("create", &aside))?;
    let file = aside.join(TENSORS);
    let views = tensors.into_iter().map(|(name, shape, values)| (name, Elements { shape, values }));
    safetensors::serialize_to_file(views, None, &file)
        .map_err(|source| CheckpointError::Tensors { path: file.clone(), source })?;
    sync(&file)?;
    state.tensors = hash(&file)?;
    let file = aside.join(STATE);
    let text = serde_json::to_vec_pretty(&state).map_err(|error| io_error("write", &file)(error.into()))?;
    fs::write(&file, text).map_err(io_error("write", &file))?;
    sync(&file)?;
    sync(&aside)?;
    place(directory, &aside, state.step)?;
    numbered(directory)?.iter().rev().skip(KEPT).try_for_each(|old| remove(&old.path))
}

/// Gives a written checkpoint its name. At every moment some directory holds a whole checkpoint of the step, if one did before.
fn place(directory: &Path, aside: &Path, step: u64) -> Result<(), CheckpointError> {
    let name = format!("{PREFIX}{step:09}");
    let (place, replaced) = (directory.join(&name), directory.join(name + REPLACED));
    // A checkpoint of this very step is already there when a run was resumed and made none since, or when it was damaged.
    if place.exists() {
        remove(&replaced)?;
        fs::rename(&place, &replaced).map_err(io_error("rename to", &replaced))?;
    }
    fs::rename(aside, &place).map_err(io_error("rename to", &place))?;
    sync(directory)?;
    remove(&replaced)
}

/// The newest whole checkpoint in `directory`; `None` when there is none at all.
///
/// # Errors
/// If there are checkpoints and none is whole, or the directory cannot be listed.
pub fn latest(directory: &Path) -> Result<Option<Loaded>, CheckpointError> {
    let mut skipped = Vec::new();
    for found in numbered(directory)?.iter().rev() {
        match load(&found.path) {
            Ok((state, tensors)) => return Ok(Some(Loaded { state, tensors, skipped })),
            Err(reason) => skipped.push(format!("{}: {reason}", found.path.display())),
        }
    }
    if skipped.is_empty() {
        return Ok(None);
    }
    Err(CheckpointError::NoneWhole { directory: directory.to_owned(), reasons: skipped })
}

/// Removes the checkpoints in `directory` of steps after `step`, for a run that went astray behind it; the newest step that is left.
///
/// # Errors
/// If the directory cannot be listed or the disk refuses.
pub fn remove_after(directory: &Path, step: u64) -> Result<Option<u64>, CheckpointError> {
    let (younger, kept): (Vec<_>, Vec<_>) = numbered(directory)?.into_iter().partition(|found| found.step > step);
    younger.iter().try_for_each(|found| remove(&found.path))?;
    Ok(kept.last().map(|found| found.step))
}

type Parts = (State, BTreeMap<String, Vec<f32>>);

fn load(place: &Path) -> Result<Parts, Box<dyn std::error::Error>> {
    let state: State = serde_json::from_slice(&fs::read(place.join(STATE))?)?;
    let bytes = fs::read(place.join(TENSORS))?;
    let found = hex(&Sha256::digest(&bytes));
    if found != state.tensors {
        return Err(format!("{TENSORS} has SHA-256 {found} instead of {}", state.tensors).into());
    }
    let tensors = SafeTensors::deserialize(&bytes)?;
    let values = |view: &safetensors::tensor::TensorView<'_>| bytemuck::pod_collect_to_vec(view.data());
    Ok((state, tensors.iter().map(|(name, view)| (name.to_owned(), values(&view))).collect()))
}

/// A checkpoint's directory; in order of age, one that is being replaced before the one in its place.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Numbered {
    step: u64,
    newer: bool,
    path: PathBuf,
}

impl Numbered {
    fn parse(path: PathBuf) -> Option<Self> {
        let name = path.file_name()?.to_str()?.strip_prefix(PREFIX)?;
        let number = name.strip_suffix(REPLACED);
        let step = number.unwrap_or(name).parse().ok()?;
        Some(Self { step, newer: number.is_none(), path })
    }
}

/// Checkpoints by step, oldest first.
fn numbered(directory: &Path) -> Result<Vec<Numbered>, CheckpointError> {
    let entries = match fs::read_dir(directory) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries.map_err(io_error("list", directory))?,
    };
    let mut found = Vec::new();
    for entry in entries {
        found.extend(Numbered::parse(entry.map_err(io_error("list", directory))?.path()));
    }
    found.sort();
    Ok(found)
}

/// A borrowed f32 tensor.
struct Elements<'a> {
    shape: Vec<usize>,
    values: &'a [f32],
}

impl View for Elements<'_> {
    fn dtype(&self) -> Dtype {
        Dtype::F32
    }

    fn shape(&self) -> &[usize] {
        &self.shape
    }

    fn data(&self) -> Cow<'_, [u8]> {
        bytemuck::cast_slice(self.values).into()
    }

    fn data_len(&self) -> usize {
        size_of_val(self.values)
    }
}

fn io_error(action: &'static str, path: &Path) -> impl Fn(io::Error) -> CheckpointError + use<> {
    let path = path.to_owned();
    move |source| CheckpointError::Io { action, path: path.clone(), source }
}

/// Removes a directory if it is there.
fn remove(path: &Path) -> Result<(), CheckpointError> {
    match fs::remove_dir_all(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(io_error("remove", path)(error)),
        _ => Ok(()),
    }
}

/// Makes a file or a directory's entries durable.
fn sync(path: &Path) -> Result<(), CheckpointError> {
    File::open(path).and_then(|file| file.sync_all()).map_err(io_error("sync", path))
}

fn hash(path: &Path) -> Result<String, CheckpointError> {
    let mut file = File::open(path).map_err(io_error("read", path))?;
    let (mut hasher, mut block) = (Sha256::new(), vec![0; BLOCK]);
    loop {
        match io::Read::read(&mut file, &mut block).map_err(io_error("read", path))? {
            0 => return Ok(hex(&hasher.finalize())),
            n => hasher.update(&block[..n]),
        }
    }
}

/// Lower-case hexadecimal.
pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
