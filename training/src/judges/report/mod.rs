//! The report judge: dilated convolutions over luma and chroma, whose cells vote.

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
    redraw::redrawn,
    shown::{HEADS, asked},
};
use crate::{
    miniature::{SIDE, grammar::Scene},
    random::Random,
};

/// Where the committed judge lies.
const COMMITTED: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/judges/report");
/// Side of the picture that the network sees, and its channels: Y, Cb, Cr.
const SEEN: u32 = SIDE;
const PLANES: usize = 3;
/// One picture in so many of a batch is fresh from the painter, the others from the pool that the pack has redrawn.
const FRESH_OF: usize = 2;
/// Frames that the picture is looked at in, each as it is and mirrored: pixels inside (or, negative, outside) of the left, top, right and
/// bottom border.
const FRAMES: [[i64; 4]; 9] =
    [[0; 4], [2; 4], [-2; 4], [3, 0, -3, 0], [-3, 0, 3, 0], [0, 3, 0, -3], [0, -3, 0, 3], [4; 4], [-4; 4]];
const LOOKS: usize = 2 * FRAMES.len();

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
        settings.dims.insert("batch".to_owned(), LOOKS);
        let graph = Model::read(&directory.join(plaudit_onnx::MODEL_FILE))?;
        Ok(Self { net: BoundSession::new(Session::from_model(&graph, &settings)?)? })
    }

    /// Probability that `picture` shows what `scene` says, every attribute that it names judged apart: its mean over
    /// several looks at it.
    ///
    /// # Errors
    /// If the picture is not 64×64, or the run fails.
    pub fn good(&mut self, picture: &RgbImage, scene: &Scene) -> Result<f32, JudgeError> {
        let (width, height) = picture.dimensions();
        if width != SIDE || height != SIDE {
            return Err(JudgeError::Size { width, height });
        }
        let looks: &mut [f32] = self.net.buffer_mut("pixels");
        for (at, look) in looks.chunks_mut(PLANES * (SEEN * SEEN) as usize).enumerate() {
            let mut seen = views::framed(picture, FRAMES[at / 2]);
            if at % 2 == 1 {
                imageops::flip_horizontal_in_place(&mut seen);
            }
            luma_chroma(&seen, look);
        }
        self.net.run()?;
        // In logarithms: ln p = Σ (logit − ln Σ e^logit).
        let mut log_good = [0.0_f64; LOOKS];
        for ((head, classes), wanted) in HEADS.iter().zip(asked(scene)) {
            let Some(wanted) = wanted else { continue };
            for (log_good, logits) in log_good.iter_mut().zip(self.net.buffer::<f32>(head).chunks(*classes)) {
                let all: f64 = logits.iter().map(|&logit| f64::from(logit).exp()).sum();
                *log_good += f64::from(logits[wanted]) - all.ln();
            }
        }
        Ok((log_good.iter().map(|log_good| log_good.exp()).sum::<f64>() / LOOKS as f64) as f32)
    }
}

/// Y in −1…1, Cb and Cr in −2…2 (ITU-R BT.601, chroma doubled), [3, 64, 64].
fn luma_chroma(picture: &RgbImage, out: &mut [f32]) {
    let (luma, chroma) = out.split_at_mut((SEEN * SEEN) as usize);
    let (blueness, redness) = chroma.split_at_mut((SEEN * SEEN) as usize);
    for (at, pixel) in picture.pixels().enumerate() {
        let [r, g, b] = pixel.0.map(|value| f32::from(value) / 127.5 - 1.0);
        let y = 0.299 * r + 0.587 * g + 0.114 * b;
        luma[at] = y;
        blueness[at] = 2.0 * 0.564 * (b - y);
        redness[at] = 2.0 * 0.713 * (r - y);
    }
}

/// Trains a leg and writes what the report judge has learned so far.
pub(super) fn train(training: &Training) -> Result<(), JudgeError> {
    let pool = redrawn("report", training, drawings::for_the_pack)?;
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
