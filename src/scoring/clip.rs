//! A pack's CLIP: texts and pictures to points of one space.

use image::RgbImage;
use plaudit_onnx::Dim;

use super::{Pixels, Preprocessor, ScoringError};
use crate::{
    pack::{Component, Pack},
    pipeline::tokenize::Tokenizer,
    runtime::{Outputs, Session, SessionSettings, View},
};

/// How pictures are prepared, inside a pack.
const PREPROCESSOR: &str = "clip/preprocessor_config.json";
/// Red, green, blue.
const COLOURS: usize = 3;
/// Keeps the norm of a point at the origin from dividing by zero.
const TINY: f32 = 1e-12;

/// CLIP's two encoders, with the pack's tokenizer and preprocessing.
///
/// The similarity of a text and a picture is the cosine of their points: the dot product of what the two methods answer. CLIP's own
/// logits are this times e^`logit_scale` (100 for OpenAI's), which orders pictures alike and is not part of a pack.
#[derive(Debug)]
pub struct ClipModel {
    tokenizer: Tokenizer,
    preprocessor: Preprocessor,
    text: Session,
    vision: Session,
    width: usize,
}

impl ClipModel {
    /// Opens both encoders.
    ///
    /// # Errors
    /// A pack without a CLIP, or one whose parts do not fit each other; a graph that the runtime refuses.
    pub fn open(pack: &Pack, settings: &SessionSettings) -> Result<Self, ScoringError> {
        let session = |component: Component| {
            let model = pack.model(component).ok_or(ScoringError::Missing(component))?;
            Session::from_model(model, settings).map_err(ScoringError::component(component))
        };
        let (text, vision) = (session(Component::ClipText)?, session(Component::ClipVision)?);
        let tokenizer = Tokenizer::open(&pack.tokenizer())?;
        let preprocessor = Preprocessor::open(&pack.path(PREPROCESSOR))?;
        let (width, height) = preprocessor.crop();
        agrees(&text, Component::ClipText, 1, tokenizer.length(), "the tokenizer makes rows of")?;
        agrees(&vision, Component::ClipVision, 2, height, "the preprocessing makes a height of")?;
        agrees(&vision, Component::ClipVision, 3, width, "the preprocessing makes a width of")?;
        let mut made = Self { tokenizer, preprocessor, text, vision, width: 0 };
        made.width = made.text_embeddings(&[""])?.first().map_or(0, Vec::len);
        Ok(made)
    }

    /// Numbers of a point.
    pub fn width(&self) -> usize {
        self.width
    }

    /// How it prepares pictures.
    pub fn preprocessor(&self) -> &Preprocessor {
        &self.preprocessor
    }

    /// A point of length one for each picture, f32 `[width]`.
    ///
    /// # Errors
    /// A failure of the runtime.
    pub fn image_embeddings(&mut self, images: &[&RgbImage]) -> Result<Vec<Vec<f32>>, ScoringError> {
        let prepared: Vec<Pixels> = images.iter().map(|image| self.preprocessor.prepare(image)).collect();
        self.embed_pixels(&prepared.iter().collect::<Vec<_>>())
    }

    /// The same of prepared pictures, all in one call.
    ///
    /// # Errors
    /// A failure of the runtime.
    pub fn embed_pixels(&mut self, pixels: &[&Pixels]) -> Result<Vec<Vec<f32>>, ScoringError> {
        let (width, height) = self.preprocessor.crop();
        let shape = [pixels.len(), COLOURS, height, width];
        let values: Vec<f32> = pixels.iter().flat_map(|pixels| pixels.values()).copied().collect();
        run(&mut self.vision, Component::ClipVision, "pixel_values", View::new(&shape, &values), "image_embeds")
    }

    /// A point of length one for each text, f32 `[width]`. Texts that are too long are cut as the tokenizer cuts prompts.
    ///
    /// # Errors
    /// A text that the tokenizer refuses, a failure of the runtime.
    pub fn text_embeddings(&mut self, texts: &[&str]) -> Result<Vec<Vec<f32>>, ScoringError> {
        let mut ids = Vec::with_capacity(texts.len() * self.tokenizer.length());
        for text in texts {
            ids.extend(self.tokenizer.encode(text)?.ids);
        }
        let shape = [texts.len(), self.tokenizer.length()];
        run(&mut self.text, Component::ClipText, "input_ids", View::new(&shape, &ids), "text_embeds")
    }
}

fn run(
    session: &mut Session,
    component: Component,
    input: &str,
    view: View<'_>,
    output: &'static str,
) -> Result<Vec<Vec<f32>>, ScoringError> {
    let rows = view.shape().first().copied().unwrap_or(0);
    if rows == 0 {
        return Ok(Vec::new());
    }
    let outputs = session.run_views(&[(input, view)]).map_err(ScoringError::component(component))?;
    points(&outputs, output, rows).ok_or(ScoringError::Answer { component, output })
}

/// An output's rows, each scaled to length one.
fn points(outputs: &Outputs, output: &str, rows: usize) -> Option<Vec<Vec<f32>>> {
    let view = outputs.get(output)?;
    let [found, width] = *view.shape() else { return None };
    let values =
        view.values::<f32>().filter(|values| found == rows && width > 0 && values.iter().all(|x| x.is_finite()))?;
    Some(values.chunks_exact(width).map(normalised).collect())
}

fn normalised(point: &[f32]) -> Vec<f32> {
    let length = point.iter().map(|x| x * x).sum::<f32>().sqrt().max(TINY);
    point.iter().map(|x| x / length).collect()
}

/// Cosine of two points of length one.
pub fn cosine(a: &[f32], b: &[f32]) -> f32 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

/// Whether an axis that the graph fixes has the length that is fed.
fn agrees(session: &Session, component: Component, axis: usize, fed: usize, who: &str) -> Result<(), ScoringError> {
    let dims = session.inputs().first().and_then(|info| info.shape.as_ref());
    match dims.and_then(|dims| dims.get(axis)) {
        Some(Dim::Fixed(length)) if *length != fed => {
            Err(ScoringError::Disagree { component, graph: length.to_string(), other: format!("{who} {fed}") })
        }
        _ => Ok(()),
    }
}
