//! The thread beside the loop: latents become pictures, flagged ones are withheld, previews are painted.

use std::{
    sync::{Arc, mpsc::Receiver},
    time::Instant,
};

use image::RgbImage;

use super::{
    Delivery, Event, Failure, Stage,
    guard::alone,
    preview::Palette,
    shared::{CrashPoint, Shared},
};
use crate::pipeline::{PipelineError, decode::Decoder, safety::SafetyChecker};

/// What there is to do.
#[derive(Debug)]
pub(super) enum Work {
    /// A picture whose latent is done.
    Picture {
        delivery: Arc<Delivery>,
        picture: usize,
        seed: u32,
        latent: Vec<f32>,
        shape: [usize; 3],
        denoised: Instant,
    },
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
pub(super) fn run(shared: &Shared, work: &Receiver<Work>, mut finisher: Finisher) {
    while let Ok(work) = work.recv() {
        match work {
            Work::Look { delivery, picture, number, latent, shape } if !delivery.is_over() => {
                match alone(|| Ok(finisher.palette.paint(&latent, shape))) {
                    Ok(image) => delivery.tell(Event::Preview { picture, number, image }),
                    Err(failure) => delivery.fail(failure),
                }
            }
            Work::Picture { delivery, picture, seed, latent, shape, denoised } if !delivery.is_over() => {
                let made = alone(|| {
                    shared.pass(CrashPoint::Finish);
                    finisher.in_time(&delivery, &latent, shape)
                });
                match made {
                    Ok(image) => {
                        delivery.picture(Event::Picture { picture, seed, image });
                        shared.book().finish.record(denoised.elapsed());
                    }
                    Err(failure) => delivery.fail(failure),
                }
            }
            Work::Look { .. } | Work::Picture { .. } => {}
        }
    }
}

impl Finisher {
    /// The picture, unless its deadline passes while it waits or is decoded: that may take as long as several steps.
    fn in_time(&mut self, delivery: &Delivery, latent: &[f32], shape: [usize; 3]) -> Result<Option<RgbImage>, Failure> {
        let late = || delivery.overdue(Instant::now());
        late().map_or(Ok(()), Err)?;
        let picture = self.picture(delivery, latent, shape).map_err(|error| {
            tracing::error!(%error, "a picture could not be decoded");
            Failure::Runtime(error.to_string())
        })?;
        late().map_or(Ok(picture), Err)
    }

    /// The picture; `None` where the safety checker flags it. One a call, so that it does not depend on what else is decoded.
    fn picture(
        &mut self,
        delivery: &Delivery,
        latent: &[f32],
        shape: [usize; 3],
    ) -> Result<Option<RgbImage>, PipelineError> {
        let began = Instant::now();
        let image = self.decoder.decode(shape, &[latent])?.pop();
        delivery.report().timings.end(Stage::Decode, began);
        let (Some(shown), Some(safety)) = (&image, &mut self.safety) else { return Ok(image) };
        let began = Instant::now();
        let flagged = safety.flags(shown)?;
        delivery.report().timings.end(Stage::Safety, began);
        Ok(image.filter(|_| !flagged))
    }
}
