//! Pictures to latents and points, prompts to embeddings: each once.

use image::{RgbImage, imageops};
use indicatif::ProgressBar;
use plaudit::{
    pack::{Component, Pack},
    pipeline::tokenize::Tokenizer,
    runtime::{Session, SessionSettings, View},
    scoring::ClipModel,
};

use crate::finetune::{
    Finetune, FinetuneError,
    cache::{Cache, Key},
};

/// Red, green, blue.
const COLOURS: usize = 3;
/// Pictures between two movements of the bar.
const BAR_EVERY: u64 = 16;

/// The pack's frozen encoders, and the cache of what they answered.
pub(crate) struct Encoders {
    cache: Cache,
    tokenizer: Tokenizer,
    text: Session,
    text_hash: String,
    vae: Session,
    vae_hash: String,
    clip: Option<(ClipModel, String)>,
    /// Width and height of a picture.
    side: u32,
    bar: ProgressBar,
}

impl Encoders {
    pub(crate) fn open(settings: &Finetune, pack: &Pack, cache: Cache, clip: bool) -> Result<Self, FinetuneError> {
        let sessions = SessionSettings { threads: settings.threads, spinning: false, ..SessionSettings::default() };
        let hash =
            |name: &str| pack.manifest().components.get(name).map(|entry| entry.sha256.clone()).unwrap_or_default();
        let session = |component: Component| {
            let unfit =
                || FinetuneError::Unfit { pack: settings.pack.clone(), fault: format!("it has no {component}") };
            Ok::<_, FinetuneError>(Session::from_model(pack.model(component).ok_or_else(unfit)?, &sessions)?)
        };
        let clip = clip.then(|| ClipModel::open(pack, &sessions)).transpose()?;
        let bar = if settings.show { ProgressBar::new_spinner() } else { ProgressBar::hidden() };
        Ok(Self {
            tokenizer: Tokenizer::open(&pack.tokenizer())?,
            text: session(Component::TextEncoder)?,
            text_hash: hash("text_encoder") + &hash("tokenizer"),
            vae: session(Component::VaeEncoder)?,
            vae_hash: hash("vae_encoder"),
            clip: clip.map(|model| (model, hash("clip_vision"))),
            side: pack.size() as u32,
            bar: bar.with_prefix("encoding pictures"),
            cache,
        })
    }

    /// A prompt's features, `[tokens, width]` in the cache.
    pub(crate) fn prompt(&mut self, text: &str) -> Result<Key, FinetuneError> {
        let key = Key::new("text", &self.text_hash, text);
        let (tokenizer, session) = (&self.tokenizer, &mut self.text);
        self.cache.get_or(&key, || {
            let tokens = tokenizer.encode(text)?;
            let shape = [1, tokens.ids.len()];
            let outputs = session.run_views(&[("input_ids", View::new(&shape, &tokens.ids))])?;
            answer(&outputs, Component::TextEncoder, "last_hidden_state")
        })?;
        Ok(key)
    }

    /// A picture's moments (mean, then log-variance, `[2 c, h, w]`, unscaled) and, if wanted, its point of CLIP `[width]`, in the cache.
    pub(crate) fn picture(
        &mut self,
        sha256: &str,
        bytes: &[u8],
        point: bool,
    ) -> Result<(Key, Option<Key>), FinetuneError> {
        let key = Key::new(&format!("latent {}", self.side), &self.vae_hash, sha256);
        let mut decoded = None;
        if self.cache.get(&key).is_none() {
            let picture = fitted(&decode(sha256, bytes)?, self.side);
            let (side, session) = (self.side as usize, &mut self.vae);
            let planes = planes(&picture);
            self.cache.get_or(&key, || {
                let shape = [1, COLOURS, side, side];
                let outputs = session.run_views(&[("sample", View::new(&shape, &planes))])?;
                answer(&outputs, Component::VaeEncoder, "latent_parameters")
            })?;
            decoded = Some(picture);
        }
        let point = match &mut self.clip {
            Some((clip, hash)) if point => {
                let key = Key::new(&format!("point {}", self.side), hash, sha256);
                if self.cache.get(&key).is_none() {
                    let picture = decoded
                        .map_or_else(|| Ok(fitted(&decode(sha256, bytes)?, self.side)), Ok::<_, FinetuneError>)?;
                    self.cache.get_or(&key, || Ok(clip.image_embeddings(&[&picture])?.concat()))?;
                }
                Some(key)
            }
            _ => None,
        };
        self.bar.inc(1);
        if self.bar.position().is_multiple_of(BAR_EVERY) {
            self.bar.set_message(format!("{} pictures", self.bar.position()));
        }
        Ok((key, point))
    }

    /// Takes the bar away.
    pub(crate) fn done(self) {
        self.bar.finish_and_clear();
    }
}

fn answer(
    outputs: &plaudit::runtime::Outputs,
    component: Component,
    output: &'static str,
) -> Result<Vec<f32>, FinetuneError> {
    let values = outputs.get(output).and_then(|view| view.values::<f32>().map(<[f32]>::to_vec));
    Ok(values.ok_or(plaudit::pipeline::PipelineError::Answer { component, output })?)
}

/// The picture of a file that was read with the limits of datasets.
fn decode(sha256: &str, bytes: &[u8]) -> Result<RgbImage, FinetuneError> {
    let decoded = image::load_from_memory(bytes);
    Ok(decoded.map_err(|source| FinetuneError::Picture { path: sha256.into(), source })?.into_rgb8())
}

/// The largest middle square of a picture at `side` by `side`, Lanczos; a picture of that size stays as it is.
pub(crate) fn fitted(picture: &RgbImage, side: u32) -> RgbImage {
    let (width, height) = picture.dimensions();
    if (width, height) == (side, side) {
        return picture.clone();
    }
    let square = width.min(height);
    let cut = imageops::crop_imm(picture, (width - square) / 2, (height - square) / 2, square, square).to_image();
    imageops::resize(&cut, side, side, imageops::FilterType::Lanczos3)
}

/// Interleaved bytes to f32 `[3, height, width]` in −1 … 1.
fn planes(picture: &RgbImage) -> Vec<f32> {
    let area = (picture.width() * picture.height()) as usize;
    let mut planes = vec![0.0; COLOURS * area];
    for (at, pixel) in picture.pixels().enumerate() {
        for (colour, &byte) in pixel.0.iter().enumerate() {
            planes[colour * area + at] = f32::from(byte) / f32::from(u8::MAX) * 2.0 - 1.0;
        }
    }
    planes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pictures_are_cut_to_their_middle_square() {
        let wide = RgbImage::from_fn(8, 4, |x, _| image::Rgb([if (2..6).contains(&x) { 255 } else { 0 }; 3]));
        assert!(fitted(&wide, 4).pixels().all(|pixel| pixel.0 == [255; 3]));
        assert_eq!(fitted(&wide, 2).dimensions(), (2, 2));
        assert_eq!(planes(&wide)[..3], [-1.0, -1.0, 1.0]);
    }
}
