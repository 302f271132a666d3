//! The report judge: dilated convolutions over luma and chroma at 48×48, whose cells vote.

mod drawings;
mod faults;
mod net;
mod views;

use std::path::Path;

use image::{RgbImage, imageops};
use plaudit::runtime::{BoundSession, Session, SessionSettings};
use plaudit_onnx::Model;

use super::{
    JudgeError, Sample, Training, Which, course,
    shown::{HEADS, asked},
};
use crate::{
    miniature::{SIDE, grammar::Scene},
    random::Random,
};

/// Where the committed judge lies.
const COMMITTED: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/judges/report");
/// Side of the picture that the network sees, and its channels: Y, Cb, Cr.
const SEEN: u32 = 48;
const PLANES: usize = 3;
/// One picture in so many of a batch is fresh from the painter, the others from the pool that the pack has redrawn.
const FRESH_OF: usize = 2;

/// The judge that evidence is reported by, and that nothing is ever decided by.
#[derive(Debug)]
pub struct ReportJudge {
    net: BoundSession,
}

impl ReportJudge {
    /// The committed judge.
    ///
    /// # Errors
    /// If its files are missing or the runtime refuses them.
    pub fn open() -> Result<Self, JudgeError> {
        Self::open_at(Path::new(COMMITTED))
    }

    /// The judge in a directory: `model.onnx` and `model.safetensors`.
    ///
    /// # Errors
    /// If a file is missing or the runtime refuses it.
    pub fn open_at(directory: &Path) -> Result<Self, JudgeError> {
        let mut settings = SessionSettings { threads: 1, spinning: false, ..SessionSettings::default() };
        settings.dims.insert("batch".to_owned(), 1);
        let graph = Model::read(&directory.join(plaudit_onnx::MODEL_FILE))?;
        Ok(Self { net: BoundSession::new(Session::from_model(&graph, &settings)?)? })
    }

    /// Probability that `picture` shows what `scene` says, every attribute that it names judged apart.
    ///
    /// # Errors
    /// If the picture is not 64×64, or the run fails.
    pub fn good(&mut self, picture: &RgbImage, scene: &Scene) -> Result<f32, JudgeError> {
        let (width, height) = picture.dimensions();
        if width != SIDE || height != SIDE {
            return Err(JudgeError::Size { width, height });
        }
        luma_chroma(picture, self.net.buffer_mut("pixels"));
        self.net.run()?;
        // In logarithms: ln p = Σ (logit − ln Σ e^logit).
        let mut log_good = 0.0_f64;
        for ((head, _), wanted) in HEADS.iter().zip(asked(scene)) {
            if let Some(wanted) = wanted {
                let logits: Vec<f64> = self.net.buffer::<f32>(head).iter().map(|&logit| f64::from(logit)).collect();
                log_good += logits[wanted] - logits.iter().map(|logit| logit.exp()).sum::<f64>().ln();
            }
        }
        Ok(log_good.exp() as f32)
    }
}

/// Y in −1…1, Cb and Cr in −2…2 (ITU-R BT.601, chroma doubled), [3, 48, 48].
fn luma_chroma(picture: &RgbImage, out: &mut [f32]) {
    let small = imageops::resize(picture, SEEN, SEEN, imageops::FilterType::Triangle);
    let (luma, chroma) = out.split_at_mut((SEEN * SEEN) as usize);
    let (blueness, redness) = chroma.split_at_mut((SEEN * SEEN) as usize);
    for (at, pixel) in small.pixels().enumerate() {
        let [r, g, b] = pixel.0.map(|value| f32::from(value) / 127.5 - 1.0);
        let y = 0.299 * r + 0.587 * g + 0.114 * b;
        luma[at] = y;
        blueness[at] = 2.0 * 0.564 * (b - y);
        redness[at] = 2.0 * 0.713 * (r - y);
    }
}

/// Trains a leg and writes what the report judge has learned so far.
pub(super) fn train(training: &Training) -> Result<(), JudgeError> {
    let pool = training.redrawn(Which::Report.name(), drawings::for_the_pack)?;
    let start = Random::stream(training.seed, "report judge").bits();
    let sample = move |number: u64| {
        let mut random = Random::new(start.wrapping_add(number));
        let chosen = match pool.len() {
            0 => drawings::any(&mut random),
            _ if random.below(FRESH_OF) == 0 => drawings::any(&mut random),
            size => pool[random.below(size)].clone(),
        };
        Sample { picture: views::view(chosen.picture, &mut random), ..chosen }
    };
    let planes = |sample: &Sample, out: &mut [f32]| luma_chroma(&sample.picture, out);
    course::run(Which::Report, training, net::net(training.seed)?, (PLANES, SEEN as usize), sample, planes)
}
