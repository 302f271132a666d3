//! A picture to the latent that image to image starts from.

use image::{RgbImage, imageops};

use super::PipelineError;
use crate::{
    pack::Component,
    runtime::{Session, View},
};

/// Red, green, blue.
const COLOURS: usize = 3;
/// Bounds of the posterior's log-variance, as diffusers clamps them.
const LOG_VARIANCE: (f32, f32) = (-30.0, 20.0);

/// The VAE's encoder.
#[derive(Debug)]
pub(crate) struct ImageEncoder {
    session: Session,
    scaling: f32,
    shift: f32,
}

/// What a picture's latent may be: a normal distribution for every number, and how latents are scaled.
#[derive(Debug, Clone)]
pub(crate) struct Posterior {
    mean: Vec<f32>,
    deviation: Vec<f32>,
    scaling: f32,
    shift: f32,
}

impl Posterior {
    /// (μ + σ ε − shift) · scaling.
    pub(crate) fn sample(&self, noise: &[f32]) -> Vec<f32> {
        let drawn = self.mean.iter().zip(&self.deviation).zip(noise).map(|((mean, deviation), z)| mean + deviation * z);
        drawn.map(|z| (z - self.shift) * self.scaling).collect()
    }
}

impl ImageEncoder {
    /// `scaling` and `shift`: what latents are multiplied by, and reduced by before that.
    pub(crate) fn new(session: Session, scaling: f64, shift: f64) -> Self {
        Self { session, scaling: scaling as f32, shift: shift as f32 }
    }

    /// Encodes a picture at `width` by `height`, resized (Lanczos, as diffusers does) where it has another size.
    pub(crate) fn encode(&mut self, image: &RgbImage, width: u32, height: u32) -> Result<Posterior, PipelineError> {
        let resized = (image.dimensions() != (width, height))
            .then(|| imageops::resize(image, width, height, imageops::FilterType::Lanczos3));
        let planes = planes(resized.as_ref().unwrap_or(image));
        let shape = [1, COLOURS, height as usize, width as usize];
        let failed = PipelineError::component(Component::VaeEncoder);
        let outputs = self.session.run_views(&[("sample", View::new(&shape, &planes))]).map_err(failed)?;
        let moments = super::answer(&outputs, Component::VaeEncoder, "latent_parameters", 2)?;
        let (mean, log_variance) = moments.split_at(moments.len() / 2);
        let (low, high) = LOG_VARIANCE;
        let deviation = log_variance.iter().map(|&v| (0.5 * v.clamp(low, high)).exp()).collect();
        Ok(Posterior { mean: mean.to_vec(), deviation, scaling: self.scaling, shift: self.shift })
    }
}

/// Interleaved bytes to f32 `[3, height, width]` in −1 … 1.
fn planes(image: &RgbImage) -> Vec<f32> {
    let area = (image.width() * image.height()) as usize;
    let mut planes = vec![0.0; COLOURS * area];
    for (at, pixel) in image.pixels().enumerate() {
        for (colour, &byte) in pixel.0.iter().enumerate() {
            planes[colour * area + at] = f32::from(byte) / f32::from(u8::MAX) * 2.0 - 1.0;
        }
    }
    planes
}
