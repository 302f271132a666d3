//! The reward head: a pair of CLIP points to the probability of a thumbs-up.

use plaudit_onnx::{DType, Dim, Model, ValueInfo};

use super::{RewardPack, ScoringError};
use crate::runtime::{Outputs, RuntimeError, Session, SessionSettings, View};

/// The picture's point, f32 `[batch, width]`, length one.
pub(super) const IMAGE: &str = "image_embeds";
/// The prompt's point, f32 `[batch, width]`, length one.
pub(super) const TEXT: &str = "text_embeds";
/// The calibrated probability, f32 `[batch]`.
pub(super) const REWARD: &str = "reward";
/// What the network answered before calibration, f32 `[batch]`.
pub(super) const RAW: &str = "raw";

/// What a picture is worth to the people who voted.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Reward {
    /// Calibrated probability of a thumbs-up, 0…1.
    pub reward: f32,
    /// Before calibration.
    pub raw: f32,
}

/// A reward pack's graph, ready to run.
#[derive(Debug)]
pub struct RewardHead {
    session: Session,
    width: usize,
    version: String,
}

impl RewardHead {
    /// Opens a session for the pack's graph.
    ///
    /// # Errors
    /// A graph that the runtime refuses.
    pub fn open(pack: &RewardPack, settings: &SessionSettings) -> Result<Self, ScoringError> {
        let session = Session::from_model(pack.model(), settings).map_err(ScoringError::Head)?;
        Ok(Self { session, width: pack.width(), version: pack.version().to_owned() })
    }

    /// `name@hash` of the pack.
    pub fn version(&self) -> &str {
        &self.version
    }

    /// Numbers of a point.
    pub fn width(&self) -> usize {
        self.width
    }

    /// The rewards of rows, each a picture's point and a prompt's. Both of [`Self::width`] numbers and of length one.
    ///
    /// # Errors
    /// A failure of the runtime, or numbers that are no probabilities.
    pub fn run<'a>(
        &mut self,
        rows: impl IntoIterator<Item = (&'a [f32], &'a [f32])>,
    ) -> Result<Vec<Reward>, ScoringError> {
        let (mut images, mut texts) = (Vec::new(), Vec::new());
        for (image, text) in rows {
            images.extend_from_slice(image);
            texts.extend_from_slice(text);
        }
        run(&mut self.session, self.width, &images, &texts)
    }
}

/// One call of a head's session.
pub(super) fn run(
    session: &mut Session,
    width: usize,
    images: &[f32],
    texts: &[f32],
) -> Result<Vec<Reward>, ScoringError> {
    if images.is_empty() {
        return Ok(Vec::new());
    }
    let shape = [images.len() / width.max(1), width];
    if images.len() != texts.len() || images.len() != shape[0] * width {
        let problems = vec![format!("{} and {} numbers are no rows of {width}", images.len(), texts.len())];
        return Err(ScoringError::Head(RuntimeError::Inputs { problems }));
    }
    let inputs = [(IMAGE, View::new(&shape, images)), (TEXT, View::new(&shape, texts))];
    let outputs = session.run_views(&inputs).map_err(ScoringError::Head)?;
    let (rewards, raws) = (column(&outputs, REWARD, shape[0])?, column(&outputs, RAW, shape[0])?);
    let rows: Vec<Reward> = rewards.iter().zip(raws).map(|(&reward, &raw)| Reward { reward, raw }).collect();
    let sound = |row: &Reward| (0.0..=1.0).contains(&row.reward) && row.raw.is_finite();
    if rows.iter().all(sound) { Ok(rows) } else { Err(ScoringError::NotFinite) }
}

fn column<'a>(outputs: &'a Outputs, name: &'static str, rows: usize) -> Result<&'a [f32], ScoringError> {
    let view = outputs.get(name).filter(|view| view.shape() == [rows]);
    view.and_then(|view| view.values()).ok_or(ScoringError::HeadAnswer(name))
}

/// Everything in which a graph is no reward head over points of `width` numbers.
pub(super) fn faults(model: &Model, width: usize) -> Vec<String> {
    let (inputs, outputs) = (&model.graph.inputs, &model.graph.outputs);
    let mut faults = Vec::new();
    for name in [IMAGE, TEXT] {
        match inputs.iter().find(|info| info.name == name) {
            None => faults.push(format!("has no input `{name}`; it has {}", names(inputs))),
            Some(info) if !matches!(info.shape.as_deref(), Some([batch, Dim::Fixed(n)]) if *n == width && free(batch)) =>
            {
                faults.push(format!("input `{name}` is {}; it should be f32 [batch, {width}]", shape(info)));
            }
            Some(info) => faults.extend(wrong_type("input", info)),
        }
    }
    let foreign = inputs.iter().filter(|info| info.name != IMAGE && info.name != TEXT);
    faults.extend(foreign.map(|info| format!("needs an input `{}` that a reward head is not fed", info.name)));
    for name in [REWARD, RAW] {
        match outputs.iter().find(|info| info.name == name) {
            None => faults.push(format!("has no output `{name}`; it has {}", names(outputs))),
            Some(info) if !info.shape.as_deref().is_none_or(|dims| matches!(dims, [batch] if free(batch))) => {
                faults.push(format!("output `{name}` is {}; it should be f32 [batch]", shape(info)));
            }
            Some(info) => faults.extend(wrong_type("output", info)),
        }
    }
    faults
}

fn wrong_type(kind: &str, info: &ValueInfo) -> Option<String> {
    (info.dtype != DType::F32).then(|| format!("{kind} `{}` is {}; it should be f32", info.name, info.dtype))
}

fn free(dim: &Dim) -> bool {
    !matches!(dim, Dim::Fixed(_))
}

fn names(infos: &[ValueInfo]) -> String {
    infos.iter().map(|info| format!("`{}`", info.name)).collect::<Vec<_>>().join(", ")
}

fn shape(info: &ValueInfo) -> String {
    format!("{} {}", info.dtype, crate::runtime::shape_text(info))
}
