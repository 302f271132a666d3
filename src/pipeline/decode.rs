//! Latents to pixels.

use image::RgbImage;

use super::PipelineError;
use crate::{
    pack::Component,
    runtime::{Session, View},
};

/// Red, green, blue.
const COLOURS: usize = 3;

/// The VAE's decoder.
#[derive(Debug)]
pub(crate) struct Decoder {
    session: Session,
    scaling: f32,
    shift: f32,
    batch_cells: usize,
}

impl Decoder {
    /// `scaling` and `shift`: what latents were multiplied by and reduced by after encoding.
    pub(crate) fn new(session: Session, scaling: f64, shift: f64, batch_cells: usize) -> Self {
        Self { session, scaling: scaling as f32, shift: shift as f32, batch_cells }
    }

    /// Decodes latents `[channels, height, width]`, as many in one call as the budget of latent cells allows.
    pub(crate) fn decode(&mut self, shape: [usize; 3], latents: &[&[f32]]) -> Result<Vec<RgbImage>, PipelineError> {
        let pictures = (self.batch_cells / (shape[1] * shape[2])).max(1);
        let mut decoded = Vec::with_capacity(latents.len());
        for latents in latents.chunks(pictures) {
            let sample: Vec<f32> =
                latents.iter().flat_map(|latent| latent.iter().map(|x| x / self.scaling + self.shift)).collect();
            let shape = [latents.len(), shape[0], shape[1], shape[2]];
            let inputs = [("latent_sample", View::new(&shape, &sample))];
            let failed = PipelineError::component(Component::VaeDecoder);
            let outputs = self.session.run_views(&inputs).map_err(failed)?;
            let view = outputs.get("sample").map(|view| view.shape().to_vec());
            let Some([_, COLOURS, height, width]) = view.as_deref() else {
                return Err(PipelineError::Answer { component: Component::VaeDecoder, output: "sample" });
            };
            let values = super::answer(&outputs, Component::VaeDecoder, "sample", COLOURS * height * width)?;
            decoded
                .extend(values.chunks_exact(COLOURS * height * width).map(|planes| picture(planes, *width, *height)));
        }
        Ok(decoded)
    }
}

/// f32 `[3, height, width]` in −1 … 1 to interleaved bytes.
fn picture(planes: &[f32], width: usize, height: usize) -> RgbImage {
    let mut pixels = vec![0; planes.len()];
    for (colour, plane) in planes.chunks_exact(width * height).enumerate() {
        for (pixel, &x) in pixels[colour..].iter_mut().step_by(COLOURS).zip(plane) {
            *pixel = byte(x);
        }
    }
    // The buffer is as long as the extents say.
    RgbImage::from_raw(width as u32, height as u32, pixels).unwrap_or_default()
}

/// −1 … 1 to 0 … 255: halved, shifted, clamped, rounded half to even, in diffusers' order.
fn byte(x: f32) -> u8 {
    ((x * 0.5 + 0.5).clamp(0.0, 1.0) * f32::from(u8::MAX)).round_ties_even() as u8
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pixel_is_clamped_and_rounded_half_to_even() {
        let halfway = |byte: f32| (byte + 0.5) / 255.0 * 2.0 - 1.0;
        let cases = [(-1.0, 0), (1.0, 255), (-7.0, 0), (7.0, 255), (f32::NAN, 0), (0.0, 128), (halfway(127.0), 128)];
        for (x, expected) in cases {
            assert_eq!(byte(x), expected, "{x}");
        }
    }

    #[test]
    fn planes_are_interleaved() {
        let planes = [-1.0, 1.0, 1.0, -1.0, -1.0, -1.0];
        assert_eq!(picture(&planes, 2, 1).into_raw(), [0, 255, 0, 255, 0, 0]);
    }
}
