//! Pictures and texts as points of the pack's frozen CLIP, computed once and kept.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap, btree_map::Entry},
    fs,
    path::{Path, PathBuf},
};

use image::RgbImage;
use indicatif::ProgressBar;
use plaudit::{
    contrast::contrasts_among,
    feedback::dataset::{DatasetLimits, Reader},
    pack::{Component, Pack},
    runtime::SessionSettings,
    scoring::ClipModel,
};
use plaudit_onnx::Tensor;
use safetensors::SafeTensors;
use sha2::{Digest, Sha256};

use super::{RewardError, Training, data::Data, split::Split};
use crate::{checkpoint::hex, collect::Part, init};

/// Rows of a file of points: what a kill can cost.
const CHUNK: usize = 512;
/// Rows of one call of the encoders.
const CALL: usize = 32;
/// Contrasts of a prompt that training draws from.
const POOL: usize = 32;
/// The tensor's name in a file of points.
const POINTS: &str = "points";

/// Every picture, prompt and contrast of a dataset.
#[derive(Debug)]
pub(super) struct Embedded {
    pub(super) width: usize,
    /// SHA-256 of both encoders.
    pub(super) clip: String,
    /// `[pictures, width]`.
    images: Vec<f32>,
    /// `[texts, width]`.
    texts: Vec<f32>,
    /// The text of each prompt.
    own: Vec<usize>,
    /// Texts of each prompt's contrasts, the nearest first.
    contrasts: Vec<Vec<usize>>,
}

impl Embedded {
    /// Points of everything that `training` needs, from the cache where it has them.
    pub(super) fn of(training: &Training, data: &Data, split: &Split, pack: &Pack) -> Result<Self, RewardError> {
        let settings = SessionSettings { threads: training.threads, spinning: false, ..SessionSettings::default() };
        let mut clip = ClipModel::open(pack, &settings)?;
        let store = Store::open(pack, &training.data.join("embeddings"))?;
        let words = Words::of(data, split);
        let mut numbers = Numbers::default();
        let own = data.prompts.iter().map(|prompt| numbers.of(&prompt.text)).collect();
        let contrast = |prompt: usize, numbers: &mut Numbers| -> Vec<usize> {
            let known = |word: &str| words.known(prompt, word);
            let made = contrasts_among(&data.prompts[prompt].text, POOL, known);
            made.iter().map(|contrast| numbers.of(&contrast.prompt)).collect()
        };
        let contrasts = (0..data.prompts.len()).map(|prompt| contrast(prompt, &mut numbers)).collect();
        let texts = store.texts(&numbers.texts, &mut clip)?;
        let images = store.images(&training.dataset, data, &mut clip)?;
        Ok(Self { width: clip.width(), clip: store.clip, images, texts, own, contrasts })
    }

    pub(super) fn image(&self, image: usize) -> &[f32] {
        &self.images[image * self.width..][..self.width]
    }

    pub(super) fn text(&self, text: usize) -> &[f32] {
        &self.texts[text * self.width..][..self.width]
    }

    /// The prompt's own text.
    pub(super) fn own(&self, prompt: usize) -> usize {
        self.own[prompt]
    }

    /// Texts of the prompt's contrasts.
    pub(super) fn contrasts(&self, prompt: usize) -> &[usize] {
        &self.contrasts[prompt]
    }
}

/// Numbers for different texts.
#[derive(Default)]
struct Numbers {
    texts: Vec<String>,
    known: HashMap<String, usize>,
}

impl Numbers {
    fn of(&mut self, text: &str) -> usize {
        if let Some(&number) = self.known.get(text) {
            return number;
        }
        self.texts.push(text.to_owned());
        self.known.insert(text.to_owned(), self.texts.len() - 1);
        self.texts.len() - 1
    }
}

/// Words that contrasts may bring in: those of the dataset, since one that no prompt has would be told apart by being strange. Contrasts of
/// prompts that are learned from have words of such prompts only: a held-out object stays unseen.
struct Words {
    all: BTreeSet<String>,
    learned: BTreeSet<String>,
    /// Whether a prompt is learned from.
    learns: Vec<bool>,
}

impl Words {
    fn of(data: &Data, split: &Split) -> Self {
        let mut learns = vec![false; data.prompts.len()];
        let train = split.votes(Part::Train).iter();
        train.for_each(|&vote| learns[data.images[data.votes[vote].image].prompt] = true);
        let words = |prompts: &mut dyn Iterator<Item = usize>| -> BTreeSet<String> {
            let lowered = prompts.map(|prompt| data.prompts[prompt].text.to_lowercase());
            let words =
                |text: String| text.split(|c: char| !c.is_alphanumeric()).map(str::to_owned).collect::<Vec<_>>();
            lowered.flat_map(words).collect()
        };
        Self {
            all: words(&mut (0..data.prompts.len())),
            learned: words(&mut (0..data.prompts.len()).filter(|&prompt| learns[prompt])),
            learns,
        }
    }

    fn known(&self, prompt: usize, word: &str) -> bool {
        let words = if self.learns[prompt] { &self.learned } else { &self.all };
        words.contains(&word.to_lowercase())
    }
}

/// Files of points, named by what they are of and by the CLIP that made them.
struct Store {
    folder: PathBuf,
    clip: String,
}

impl Store {
    fn open(pack: &Pack, folder: &Path) -> Result<Self, RewardError> {
        fs::create_dir_all(folder).map_err(RewardError::io("create", folder))?;
        let hash =
            |component: Component| pack.manifest().components.get(component.name()).map(|entry| entry.sha256.clone());
        let parts = [Component::ClipText, Component::ClipVision].map(|component| hash(component).unwrap_or_default());
        Ok(Self { folder: folder.to_owned(), clip: parts.join(" ") })
    }

    fn path(&self, names: &[String]) -> PathBuf {
        let mut hasher = Sha256::new();
        hasher.update(&self.clip);
        names.iter().for_each(|name| hasher.update(format!("\n{name}")));
        self.folder.join(format!("{}.safetensors", hex(&hasher.finalize()[..16])))
    }

    fn texts(&self, texts: &[String], clip: &mut ClipModel) -> Result<Vec<f32>, RewardError> {
        let bar = bar("embedding texts", texts.len());
        let mut all = Vec::new();
        for chunk in texts.chunks(CHUNK) {
            let path = self.path(chunk);
            let points = match read(&path, chunk.len())? {
                Some(points) => points,
                None => {
                    let names: Vec<&str> = chunk.iter().map(String::as_str).collect();
                    let mut points = Vec::new();
                    for call in names.chunks(CALL) {
                        points.extend(clip.text_embeddings(call)?.concat());
                    }
                    write(&path, chunk.len(), &points)?;
                    points
                }
            };
            all.extend(points);
            bar.inc(chunk.len() as u64);
        }
        Ok(all)
    }

    /// Reads pictures only where their points are missing, one chunk at a time: they come in the order of their numbers.
    fn images(&self, folder: &Path, data: &Data, clip: &mut ClipModel) -> Result<Vec<f32>, RewardError> {
        let name = |image: &super::data::Image| format!("{} {}", image.id, image.sha256.as_deref().unwrap_or_default());
        let names: Vec<String> = data.images.iter().map(name).collect();
        let mut chunks = BTreeMap::new();
        for (number, chunk) in names.chunks(CHUNK).enumerate() {
            chunks.extend(read(&self.path(chunk), chunk.len())?.map(|points| (number, points)));
        }
        let bar = bar("embedding pictures", names.len());
        let (mut next, mut pictures) = (0, Vec::new());
        let missing = chunks.len() < names.len().div_ceil(CHUNK);
        let reader = Reader::open(folder, &DatasetLimits::default())?;
        for entry in reader.entries().take_while(|_| missing) {
            let entry = entry?;
            if next == names.len() || entry.row.image_id != data.images[next].id {
                continue;
            }
            let (chunk, last) = (next / CHUNK, next + 1 == names.len());
            next += 1;
            if let Entry::Vacant(vacant) = chunks.entry(chunk) {
                pictures.push(entry.picture(&DatasetLimits::default())?);
                if last || next.is_multiple_of(CHUNK) {
                    let points = embed(clip, &std::mem::take(&mut pictures))?;
                    let names = &names[chunk * CHUNK..next];
                    write(&self.path(names), names.len(), &points)?;
                    vacant.insert(points);
                }
            }
            bar.set_position(next as u64);
        }
        Ok(chunks.into_values().flatten().collect())
    }
}

fn embed(clip: &mut ClipModel, pictures: &[RgbImage]) -> Result<Vec<f32>, RewardError> {
    let mut points = Vec::new();
    for call in pictures.chunks(CALL) {
        points.extend(clip.image_embeddings(&call.iter().collect::<Vec<_>>())?.concat());
    }
    Ok(points)
}

fn bar(what: &'static str, amount: usize) -> ProgressBar {
    tracing::info!("reward: {what}: {amount}");
    ProgressBar::new(amount as u64).with_prefix(what)
}

/// The points of a file, if it is there.
fn read(path: &Path, rows: usize) -> Result<Option<Vec<f32>>, RewardError> {
    if !path.exists() {
        return Ok(None);
    }
    let bytes = fs::read(path).map_err(RewardError::io("read", path))?;
    let content = |fault: String| RewardError::Content { path: path.to_owned(), fault };
    let tensors = SafeTensors::deserialize(&bytes).map_err(|error| content(error.to_string()))?;
    let view = tensors.tensor(POINTS).map_err(|error| content(error.to_string()))?;
    if view.shape().first() != Some(&rows) {
        return Err(content(format!("has shape {:?} instead of {rows} rows; remove it", view.shape())));
    }
    Ok(Some(bytemuck::pod_collect_to_vec(view.data())))
}

fn write(path: &Path, rows: usize, points: &[f32]) -> Result<(), RewardError> {
    let tensor = Tensor::f32(&[rows, points.len() / rows.max(1)], points);
    let aside = path.with_extension("new");
    init::write_weights(&aside, &BTreeMap::from([(POINTS.to_owned(), tensor)]))?;
    fs::rename(&aside, path).map_err(RewardError::io("rename", path))
}
