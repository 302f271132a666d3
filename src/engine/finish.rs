//! The thread beside the loop: latents become pictures, flagged ones are withheld, previews are painted.

use std::{
    sync::{Arc, mpsc::Receiver},
    time::Instant,
};

use image::RgbImage;

use super::{Delivery, Event, Failure, preview::Palette};
use crate::pipeline::{PipelineError, decode::Decoder, safety::SafetyChecker};

/// What there is to do.
#[derive(Debug)]
pub(super) enum Work {
    /// A picture whose latent is done.
    Picture { delivery: Arc<Delivery>, picture: usize, seed: u32, latent: Vec<f32>, shape: [usize; 3] },
    /// A preview of an estimated latent.
    Look { delivery: Arc<Delivery>, picture: usize, number: usize, latent: Vec<f32>, shape: [usize; 3] },
}

/// Makes pictures of latents.
#[derive(Debug)]
pub(super) struct Finisher {
    pub(super) decoder: Decoder,
    pub(super) safety: Option<SafetyChecker>,
    pub(super) palette: Palette,
}

/// Works until the engine stops. What nobody waits for is dropped before it costs anything.
pub(super) fn run(work: &Receiver<Work>, mut finisher: Finisher) {
    while let Ok(work) = work.recv() {
        match work {
            Work::Look { delivery, picture, number, latent, shape } if !delivery.is_over() => {
                let image = finisher.palette.paint(&latent, shape);
                delivery.tell(Event::Preview { picture, number, image });
            }
            Work::Picture { delivery, picture, seed, latent, shape } if !delivery.is_over() => {
                let began = Instant::now();
                let finished = finisher.picture(&latent, shape);
                delivery.report().timings.decode += began.elapsed();
                match finished {
                    Ok(image) => delivery.picture(Event::Picture { picture, seed, image }),
                    Err(error) => {
                        tracing::error!(%error, "a picture could not be decoded");
                        delivery.fail(Failure::Runtime(error.to_string()));
                    }
                }
            }
            Work::Look { .. } | Work::Picture { .. } => {}
        }
    }
}

impl Finisher {
    /// The picture; `None` where the safety checker flags it. One a call, so that it does not depend on what else is decoded.
    fn picture(&mut self, latent: &[f32], shape: [usize; 3]) -> Result<Option<RgbImage>, PipelineError> {
        let Some(image) = self.decoder.decode(shape, &[latent])?.pop() else { return Ok(None) };
        let flagged = match &mut self.safety {
            Some(safety) => safety.flags(&image)?,
            None => false,
        };
        Ok((!flagged).then_some(image))
    }
}
