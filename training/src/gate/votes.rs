//! Votes on pictures, and what both rewards say of them.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
};

use image::RgbImage;
use plaudit::{
    feedback::dataset::{DatasetLimits, Reader},
    pack::Pack,
    runtime::SessionSettings,
    scoring::{ClipModel, RewardHead, RewardPack},
};

use super::{GateError, Looks, RewardGate, looks::darkened};
use crate::{collect::Part, measure::Scored, miniature::grammar::Scene, reward::data::Data};

/// Pictures of one call of CLIP.
const CALL: usize = 32;
/// What darkened copies keep of their light.
const DARKENED: f32 = 0.4;

/// CLIP and both rewards over it.
pub(super) struct Heads {
    clip: ClipModel,
    pub(super) champion: RewardHead,
    pub(super) candidate: RewardHead,
}

impl Heads {
    pub(super) fn open(gate: &RewardGate) -> Result<Self, GateError> {
        let pack = Pack::open(&gate.pack)?;
        let settings = SessionSettings { threads: gate.threads, spinning: false, ..SessionSettings::default() };
        let head = |folder: &Path| -> Result<RewardHead, GateError> {
            Ok(RewardHead::open(&RewardPack::open(folder, &pack, &settings)?, &settings)?)
        };
        let (champion, candidate) = (head(&gate.champion)?, head(&gate.candidate)?);
        Ok(Self { clip: ClipModel::open(&pack, &settings)?, champion, candidate })
    }
}

/// A number of the champion's and one of the candidate's.
pub(super) type Both = [f64; 2];

/// A picture that was voted on.
pub(super) struct Picture {
    /// Number of its prompt's meaning; figures are grouped by it.
    pub(super) group: usize,
    pub(super) category: Option<String>,
    /// Whether its prompt is about a held-out object, where the grammar knows.
    pub(super) held_out: Option<bool>,
    pub(super) rewards: Both,
    /// Rewards of its darkened copy, where it is a good picture.
    pub(super) darkened: Option<Both>,
    pub(super) looks: Looks,
}

/// A dataset's votes that no reward learns from, and their pictures.
pub(super) struct Votes {
    /// What the dataset is called.
    pub(super) name: &'static str,
    /// SHA-256 over its rows.
    pub(super) sha256: String,
    pub(super) pictures: Vec<Picture>,
    /// Number of the picture, and whether it was a thumb up.
    pub(super) votes: Vec<(usize, bool)>,
    /// Votes of the parts that rewards learn from.
    pub(super) learned: usize,
}

impl Votes {
    /// Reads a dataset and scores its pictures.
    pub(super) fn read(name: &'static str, folder: &Path, heads: &mut Heads) -> Result<Self, GateError> {
        let data = Data::read(folder)?;
        let measured = |part: Option<Part>| part.is_none_or(|part| matches!(part, Part::Test | Part::HeldOut));
        let votes: Vec<usize> = (0..data.votes.len()).filter(|&vote| measured(data.votes[vote].part)).collect();
        if votes.is_empty() {
            return Err(GateError::NoVotes { path: folder.to_owned() });
        }
        let images: BTreeSet<usize> = votes.iter().map(|&vote| data.votes[vote].image).collect();
        let places: BTreeMap<usize, usize> = images.iter().enumerate().map(|(place, &image)| (image, place)).collect();
        let pictures = pictures(folder, &data, &images, heads)?;
        let cast = votes.iter().map(|&vote| (places[&data.votes[vote].image], data.votes[vote].good)).collect();
        let learned = data.votes.len() - votes.len();
        Ok(Self { name, sha256: data.sha256.clone(), pictures, votes: cast, learned })
    }

    /// Votes beside the rewards of one of the two, of pictures that belong.
    pub(super) fn scored(&self, side: usize, belongs: &dyn Fn(&Picture) -> bool) -> Vec<Scored> {
        let chosen = self.votes.iter().map(|&(picture, good)| (&self.pictures[picture], good));
        let scored =
            |(picture, good): (&Picture, bool)| Scored { score: picture.rewards[side], good, group: picture.group };
        chosen.filter(|(picture, _)| belongs(picture)).map(scored).collect()
    }

    /// Categories that pictures are of.
    pub(super) fn categories(&self) -> BTreeSet<String> {
        self.pictures.iter().filter_map(|picture| picture.category.clone()).collect()
    }
}

/// Whether most say so: the truth where it is known, else the votes.
fn good(data: &Data, image: usize) -> bool {
    let votes = || {
        let of = data.votes.iter().filter(|vote| vote.image == image);
        of.map(|vote| if vote.good { 1_i64 } else { -1 }).sum::<i64>() > 0
    };
    data.images[image].truth.unwrap_or_else(votes)
}

/// The pictures of these numbers, in their order. One call's are held at a time.
fn pictures(
    folder: &Path,
    data: &Data,
    images: &BTreeSet<usize>,
    heads: &mut Heads,
) -> Result<Vec<Picture>, GateError> {
    let texts = texts(data, heads)?;
    let mut found = Vec::with_capacity(images.len());
    let mut waiting: Vec<(usize, RgbImage)> = Vec::new();
    let mut next = 0;
    for entry in Reader::open(folder, &DatasetLimits::default())?.entries() {
        let entry = entry?;
        // Pictures are numbered as they are first met.
        if next == data.images.len() || entry.row.image_id != data.images[next].id {
            continue;
        }
        if images.contains(&next) {
            waiting.push((next, entry.picture(&DatasetLimits::default())?));
        }
        next += 1;
        if waiting.len() == CALL {
            found.extend(scored(data, &texts, std::mem::take(&mut waiting), heads)?);
        }
    }
    found.extend(scored(data, &texts, waiting, heads)?);
    Ok(found)
}

/// A point for each prompt.
fn texts(data: &Data, heads: &mut Heads) -> Result<Vec<Vec<f32>>, GateError> {
    let mut points = Vec::with_capacity(data.prompts.len());
    for call in data.prompts.chunks(CALL) {
        points.extend(heads.clip.text_embeddings(&call.iter().map(|prompt| prompt.text.as_str()).collect::<Vec<_>>())?);
    }
    Ok(points)
}

fn scored(
    data: &Data,
    texts: &[Vec<f32>],
    waiting: Vec<(usize, RgbImage)>,
    heads: &mut Heads,
) -> Result<Vec<Picture>, GateError> {
    let text = |image: usize| texts[data.images[image].prompt].as_slice();
    let own: Vec<(&[f32], &RgbImage)> = waiting.iter().map(|(image, picture)| (text(*image), picture)).collect();
    let rewards = rewards(heads, &own)?;
    let good: Vec<usize> = (0..waiting.len()).filter(|&at| good(data, waiting[at].0)).collect();
    let copies: Vec<RgbImage> = good.iter().map(|&at| darkened(&waiting[at].1, DARKENED)).collect();
    let dark: Vec<(&[f32], &RgbImage)> =
        good.iter().zip(&copies).map(|(&at, copy)| (text(waiting[at].0), copy)).collect();
    let dark: BTreeMap<usize, Both> = good.iter().copied().zip(self::rewards(heads, &dark)?).collect();
    let picture = |(at, (image, pixels)): (usize, &(usize, RgbImage))| {
        let prompt = data.prompt_of(*image);
        Picture {
            group: prompt.meaning,
            category: prompt.category.clone(),
            held_out: prompt.text.parse::<Scene>().ok().map(|scene| scene.object.is_held_out()),
            rewards: rewards[at],
            darkened: dark.get(&at).copied(),
            looks: Looks::of(pixels),
        }
    };
    Ok(waiting.iter().enumerate().map(picture).collect())
}

/// What both say of pictures for texts.
fn rewards(heads: &mut Heads, rows: &[(&[f32], &RgbImage)]) -> Result<Vec<Both>, GateError> {
    let points = heads.clip.image_embeddings(&rows.iter().map(|(_, picture)| *picture).collect::<Vec<_>>())?;
    let pairs = || points.iter().map(Vec::as_slice).zip(rows.iter().map(|(text, _)| *text));
    let (champion, candidate) = (heads.champion.run(pairs())?, heads.candidate.run(pairs())?);
    Ok(champion.iter().zip(&candidate).map(|(one, other)| [one, other].map(|row| f64::from(row.reward))).collect())
}
