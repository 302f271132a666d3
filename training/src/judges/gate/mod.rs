//! The gate judge: convolutions over RGB at full size, features pooled by mean and maximum.

mod network;
mod pictures;
mod spoil;
mod wear;

use std::path::Path;

use image::{RgbImage, imageops};
use plaudit::runtime::{BoundSession, Session, SessionSettings};
use plaudit_onnx::{MODEL_FILE, Model};

use super::{
    JudgeError, Sample, Training, Which, course,
    redraw::redrawn,
    shown::{HEADS, asked},
};
use crate::{
    miniature::{SIDE, grammar::Scene},
    random::Random,
};

/// Where the committed judge lies.
const COMMITTED: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/judges/gate");
/// How often a picture of a batch is one that the pack has redrawn.
const REDRAWN_RATE: f32 = 0.5;
const CHANNELS: usize = 3;
/// Shifts, in pixels, of the views that are asked besides the mirrored one.
const SHIFTS: [(i64, i64); 5] = [(0, 0), (2, 0), (-2, 0), (0, 2), (0, -2)];
/// Views of a picture: all shifts, and the picture mirrored.
const VIEWS: usize = SHIFTS.len() + 1;
/// Mean probability of the views from which on a picture is accepted, by the first set of hand labels.
const ACCEPTED: f32 = 0.75;

/// The judge that promotion decisions ask.
#[derive(Debug)]
pub struct GateJudge {
    session: BoundSession,
}

impl GateJudge {
    /// The committed judge.
    ///
    /// # Errors
    /// If its files are missing or the runtime refuses them.
    pub fn open() -> Result<Self, JudgeError> {
        Self::open_at(COMMITTED.as_ref())
    }

    /// The judge in a directory: `model.onnx` and `model.safetensors`.
    ///
    /// # Errors
    /// If a file is missing or the runtime refuses it.
    pub fn open_at(directory: &Path) -> Result<Self, JudgeError> {
        let model = Model::read(&directory.join(MODEL_FILE))?;
        let dims = [("batch".to_owned(), VIEWS)].into();
        let settings = SessionSettings { dims, threads: 1, spinning: false, ..SessionSettings::default() };
        Ok(Self { session: BoundSession::new(Session::from_model(&model, &settings)?)? })
    }

    /// Probability that `picture` shows what `scene` says: the product of the asked attributes' probabilities, its mean over views of
    /// the picture, moved so that ½ is where pictures are accepted.
    ///
    /// # Errors
    /// If the picture is not 64×64, or the run fails.
    pub fn good(&mut self, picture: &RgbImage, scene: &Scene) -> Result<f32, JudgeError> {
        if picture.dimensions() != (SIDE, SIDE) {
            return Err(JudgeError::Size { width: picture.width(), height: picture.height() });
        }
        let pixels: &mut [f32] = self.session.buffer_mut("pixels");
        for (view, pixels) in views(picture).iter().zip(pixels.chunks_mut(CHANNELS * (SIDE * SIDE) as usize)) {
            planes(view, pixels);
        }
        self.session.run()?;
        let mut each = [1.0; VIEWS];
        for ((name, classes), class) in HEADS.iter().zip(asked(scene)) {
            let Some(class) = class else { continue };
            for (good, logits) in each.iter_mut().zip(self.session.buffer(name).chunks(*classes)) {
                *good *= probability(logits, class);
            }
        }
        let mean = each.iter().sum::<f32>() / VIEWS as f32;
        let odds = mean / (1.0 - mean).max(f32::EPSILON) * (1.0 - ACCEPTED) / ACCEPTED;
        Ok(odds / (1.0 + odds))
    }
}

/// The picture shifted, its border repeated, and mirrored.
fn views(picture: &RgbImage) -> [RgbImage; VIEWS] {
    let inside = |at: i64| at.clamp(0, i64::from(SIDE) - 1) as u32;
    std::array::from_fn(|view| match SHIFTS.get(view) {
        Some((right, down)) => RgbImage::from_fn(SIDE, SIDE, |x, y| {
            *picture.get_pixel(inside(i64::from(x) - right), inside(i64::from(y) - down))
        }),
        None => imageops::flip_horizontal(picture),
    })
}

/// softmax(logits) at `class`.
fn probability(logits: &[f32], class: usize) -> f32 {
    let most = logits.iter().copied().fold(f32::MIN, f32::max);
    let sum: f32 = logits.iter().map(|logit| (logit - most).exp()).sum();
    (logits[class] - most).exp() / sum
}

/// RGB in −1…1, [3, 64, 64].
fn planes(picture: &RgbImage, planes: &mut [f32]) {
    let area = (SIDE * SIDE) as usize;
    for (at, pixel) in picture.pixels().enumerate() {
        for (channel, &value) in pixel.0.iter().enumerate() {
            planes[channel * area + at] = f32::from(value) / 127.5 - 1.0;
        }
    }
}

/// Trains a leg and writes what the gate has learned so far.
pub(super) fn train(training: &Training) -> Result<(), JudgeError> {
    let pool = redrawn("gate", training, pictures::original)?;
    let network = network::network(training.seed)?;
    let seed = Random::stream(training.seed, "gate drawings").bits();
    let sample = move |number: u64| {
        let mut random = Random::new(seed ^ number);
        let Sample { picture, shown } = if !pool.is_empty() && random.chance(REDRAWN_RATE) {
            random.pick(&pool).clone()
        } else {
            pictures::sample(&mut random)
        };
        Sample { picture: wear::wear(&picture, &mut random), shown }
    };
    let extents = (CHANNELS, SIDE as usize);
    course::run(Which::Gate, training, network, extents, sample, |sample, out| planes(&sample.picture, out))
}
