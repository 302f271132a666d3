//! A reward pack on disk: a graph, its weights, golden outputs, a report, and which CLIP they were trained on.
//!
//! ```text
//! reward/
//!   manifest.json       [`RewardManifest`]; written last, so that a folder that has one is a pack
//!   model.onnx          image_embeds, text_embeds → reward, raw
//!   model.safetensors   the graph's weights
//!   golden.safetensors  what two rows made by a formula were answered
//!   report.json         how it was trained and measured; any JSON
//! ```

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

use plaudit_onnx::{Model, Tensor};
use serde::{Deserialize, Serialize};

use super::{ScoringError, head};
use crate::{
    pack::{
        Component, FORMAT, Fault, FileFacts, GOLDEN, MANIFEST, Pack, PackError, TOLERANCE_F32, VERSION_DIGITS,
        distance, hash, read_golden, write_golden, write_manifest,
    },
    runtime::{Session, SessionSettings},
};

/// Folder of a pack's own reward.
pub const REWARD_FOLDER: &str = "reward";
/// What a manifest of this kind says it is.
const KIND: &str = "reward";
const MODEL: &str = "model.onnx";
/// Every file that the manifest names.
const FILES: [&str; 4] = [MODEL, "model.safetensors", GOLDEN, "report.json"];
/// The CLIP that rewards are read from.
const CLIP: [Component; 2] = [Component::ClipText, Component::ClipVision];
/// Rows of the golden call: two show that rows are kept apart.
const GOLDEN_ROWS: usize = 2;

/// What a reward pack consists of, by content.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RewardManifest {
    /// [`FORMAT`].
    pub format: u32,
    /// Always `reward`.
    pub kind: String,
    /// What people call it.
    pub name: String,
    /// SHA-256 and length of each file.
    pub files: BTreeMap<String, FileFacts>,
    /// SHA-256 of `clip_text` and `clip_vision` of the pack that it was trained on, as that pack's manifest has them.
    pub clip: BTreeMap<String, String>,
}

impl RewardManifest {
    /// A folder's manifest; its files are not looked at. `None` where there is none that can be read.
    pub fn of(folder: &Path) -> Option<Self> {
        serde_json::from_slice(&fs::read(folder.join(MANIFEST)).ok()?).ok()
    }

    /// The text that is stored; the version is its hash.
    pub fn to_json(&self) -> String {
        // Serialising maps with text keys and numbers cannot fail.
        serde_json::to_string_pretty(self).unwrap_or_default() + "\n"
    }

    /// `name@` and the first digits of the manifest's hash.
    pub fn version(&self) -> String {
        let digest = hash::bytes(self.to_json().as_bytes());
        format!("{}@{}", self.name, &digest[..VERSION_DIGITS])
    }
}

/// A reward pack whose files are what its manifest says, that belongs to the pack it is used with, and computes what it did when
/// it was made.
#[derive(Debug)]
pub struct RewardPack {
    folder: PathBuf,
    manifest: RewardManifest,
    model: Model,
    width: usize,
    version: String,
}

impl RewardPack {
    /// Opens and verifies a reward pack for the CLIP of `pack`.
    ///
    /// # Errors
    /// With every fault at once: missing or changed files, another CLIP than the pack's, a graph of another signature, outputs
    /// that are far from the golden ones.
    pub fn open(folder: &Path, pack: &Pack, settings: &SessionSettings) -> Result<Self, PackError> {
        if !folder.is_dir() {
            return Err(PackError::NotAFolder(folder.to_owned()));
        }
        let mut faults = Vec::new();
        let manifest = manifest(folder, &mut faults);
        if let Some(manifest) = &manifest {
            listed(folder, manifest, &mut faults);
            same_clip(manifest, pack, &mut faults);
        }
        let Some(manifest) = manifest.filter(|_| faults.is_empty()) else { return Err(faulty(folder, faults)) };
        let (model, width) = model(folder, pack)?;
        let golden = golden_faults(folder, &model, width, settings);
        if !golden.is_empty() {
            return Err(faulty(folder, golden));
        }
        let version = manifest.version();
        Ok(Self { folder: folder.to_owned(), manifest, model, width, version })
    }

    /// Makes a reward pack of a folder with `model.onnx`, `model.safetensors` and `report.json`: runs it once for its golden
    /// outputs and writes them and the manifest. `pack` is the one that it was trained on.
    ///
    /// # Errors
    /// A pack without a CLIP, a graph of another signature or that answers no probabilities, files that cannot be written.
    pub fn seal(folder: &Path, name: &str, pack: &Pack) -> Result<RewardManifest, PackError> {
        let (model, width) = model(folder, pack)?;
        let answers = answers(&model, width, &SessionSettings::default());
        let answers = answers.map_err(|error| faulty(folder, vec![fault(MODEL, error.to_string())]))?;
        write_golden(folder, &answers).map_err(PackError::io(&folder.join(GOLDEN)))?;
        let mut files = BTreeMap::new();
        for file in FILES {
            let path = folder.join(file);
            let (sha256, bytes) = hash::file(&path).map_err(PackError::io(&path))?;
            files.insert(file.to_owned(), FileFacts { sha256, bytes });
        }
        let clip = clip(pack);
        let manifest = RewardManifest { format: FORMAT, kind: KIND.into(), name: name.into(), files, clip };
        write_manifest(folder, &manifest.to_json()).map_err(PackError::io(&folder.join(MANIFEST)))?;
        Ok(manifest)
    }

    /// Where it is.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// What it consists of.
    pub fn manifest(&self) -> &RewardManifest {
        &self.manifest
    }

    /// `name@` and twelve digits of the manifest's hash.
    pub fn version(&self) -> &str {
        &self.version
    }

    /// Its graph, with the weights mapped.
    pub fn model(&self) -> &Model {
        &self.model
    }

    /// Numbers of a CLIP point.
    pub fn width(&self) -> usize {
        self.width
    }
}

fn fault(place: &str, fault: impl Into<String>) -> Fault {
    Fault { place: place.to_owned(), fault: fault.into() }
}

fn faulty(folder: &Path, faults: Vec<Fault>) -> PackError {
    PackError::Faulty { folder: folder.to_owned(), faults }
}

fn manifest(folder: &Path, faults: &mut Vec<Fault>) -> Option<RewardManifest> {
    let text = fs::read_to_string(folder.join(MANIFEST)).map_err(|error| error.to_string());
    let parsed = text.and_then(|text| serde_json::from_str(&text).map_err(|error| format!("is no reward's: {error}")));
    let manifest: RewardManifest = parsed.map_err(|error| faults.push(fault(MANIFEST, error))).ok()?;
    if manifest.format != FORMAT || manifest.kind != KIND {
        let found = format!("is a {:?} of format {}", manifest.kind, manifest.format);
        faults.push(fault(MANIFEST, format!("{found}; a {KIND:?} of format {FORMAT} is read here")));
        return None;
    }
    Some(manifest)
}

/// Whether the files are those that the manifest names: all of them, and with their content.
fn listed(folder: &Path, manifest: &RewardManifest, faults: &mut Vec<Fault>) {
    let foreign = manifest.files.keys().filter(|name| !FILES.contains(&name.as_str()));
    faults.extend(foreign.map(|name| fault(MANIFEST, format!("names {name:?}, which is no file of a reward pack"))));
    for name in FILES {
        let Some(facts) = manifest.files.get(name) else {
            faults.push(fault(name, "is not named by the manifest"));
            continue;
        };
        let path = folder.join(name);
        // What a link points to can change under a running server.
        if fs::symlink_metadata(&path).is_ok_and(|found| found.is_symlink()) {
            faults.push(fault(name, "is a link; packs hold files of their own: copy it"));
            continue;
        }
        match hash::file(&path) {
            Ok((found, _)) if found == facts.sha256 => {}
            Ok((found, _)) => {
                faults.push(fault(name, format!("has SHA-256 {found}; the manifest says {}", facts.sha256)));
            }
            Err(error) => faults.push(fault(name, error.to_string())),
        }
    }
}

/// The hashes of a pack's CLIP, by component.
fn clip(pack: &Pack) -> BTreeMap<String, String> {
    let entry = |component: Component| {
        let entry = pack.manifest().components.get(component.name())?;
        Some((component.name().to_owned(), entry.sha256.clone()))
    };
    CLIP.into_iter().filter_map(entry).collect()
}

fn same_clip(manifest: &RewardManifest, pack: &Pack, faults: &mut Vec<Fault>) {
    let there = clip(pack);
    for component in CLIP.map(Component::name) {
        let (wanted, found) = (manifest.clip.get(component), there.get(component));
        if wanted.is_none() || wanted != found {
            let say = |hash: Option<&String>| hash.map_or_else(|| "none".to_owned(), Clone::clone);
            let pack = pack.version();
            let text = format!("it was trained on {component} {}, but {pack} has {}", say(wanted), say(found));
            faults.push(fault("clip", text));
        }
    }
}

/// The graph, and the numbers of a point of the pack's CLIP.
fn model(folder: &Path, pack: &Pack) -> Result<(Model, usize), PackError> {
    let width = point_width(pack).ok_or_else(|| {
        let text = format!("{} has no CLIP with a fixed number of features; a reward reads its points", pack.version());
        faulty(folder, vec![fault("clip", text)])
    })?;
    let model = Model::read(&folder.join(MODEL));
    let model = model.map_err(|error| faulty(folder, vec![fault(MODEL, error.to_string())]))?;
    let faults: Vec<Fault> = head::faults(&model, width).into_iter().map(|text| fault(MODEL, text)).collect();
    if faults.is_empty() { Ok((model, width)) } else { Err(faulty(folder, faults)) }
}

fn point_width(pack: &Pack) -> Option<usize> {
    use plaudit_onnx::Dim;
    let output = &pack.model(Component::ClipVision)?.graph.outputs;
    match output.iter().find(|info| info.name == head::IMAGE)?.shape.as_deref()? {
        [_, Dim::Fixed(width)] => Some(*width),
        _ => None,
    }
}

/// Element i of a golden input is sin(0.7 (i + 1) + phase); rows are scaled to length one.
fn by_formula(width: usize, phase: f64) -> Vec<f32> {
    let wave = |i: usize| (0.7 * (i as f64 + 1.0) + phase).sin() as f32;
    let values: Vec<f32> = (0..GOLDEN_ROWS * width).map(wave).collect();
    let unit = |row: &[f32]| {
        let length = row.iter().map(|x| x * x).sum::<f32>().sqrt();
        row.iter().map(|x| x / length).collect::<Vec<_>>()
    };
    values.chunks_exact(width.max(1)).flat_map(unit).collect()
}

fn answers(model: &Model, width: usize, settings: &SessionSettings) -> Result<BTreeMap<String, Tensor>, ScoringError> {
    // One call: threads that wait busily for a second one would only slow others.
    let settings = SessionSettings { spinning: false, ..settings.clone() };
    let mut session = Session::from_model(model, &settings).map_err(ScoringError::Head)?;
    let rows = head::run(&mut session, width, &by_formula(width, 0.0), &by_formula(width, 1.0))?;
    let column =
        |value: fn(&head::Reward) -> f32| Tensor::f32(&[rows.len()], &rows.iter().map(value).collect::<Vec<_>>());
    Ok(BTreeMap::from([
        (head::REWARD.to_owned(), column(|row| row.reward)),
        (head::RAW.to_owned(), column(|row| row.raw)),
    ]))
}

fn golden_faults(folder: &Path, model: &Model, width: usize, settings: &SessionSettings) -> Vec<Fault> {
    let golden = match read_golden(folder) {
        Ok(golden) => golden,
        Err(error) => return vec![fault(GOLDEN, error)],
    };
    let answers = match answers(model, width, settings) {
        Ok(answers) => answers,
        Err(error) => return vec![fault(MODEL, error.to_string())],
    };
    let far = |(name, ours): (&String, &Tensor)| {
        let apart = golden.get(name).map_or(f64::INFINITY, |golden| distance(ours, golden));
        let text = format!("`{name}` is {apart:.1e} from the golden output; {TOLERANCE_F32:.0e} is allowed");
        (apart > TOLERANCE_F32).then(|| fault(MODEL, text))
    };
    answers.iter().filter_map(far).collect()
}
