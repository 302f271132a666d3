//! The thread beside the loop: latents become pictures, flagged ones are withheld, previews are painted.

use std::{
    sync::{Arc, mpsc::Receiver},
    time::Instant,
};

use image::RgbImage;

use super::{
    Delivery, Event, Failure, Generator, Stage,
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
        generator: Arc<Generator>,
        delivery: Arc<Delivery>,
        picture: usize,
        seed: u32,
        latent: Vec<f32>,
        shape: [usize; 3],
        denoised: Instant,
    },
    /// A preview of an estimated latent.
    Look {
        generator: Arc<Generator>,
        delivery: Arc<Delivery>,
        picture: usize,
        number: usize,
        latent: Vec<f32>,
        shape: [usize; 3],
    },
}

/// Makes pictures of a version's latents.
#[derive(Debug)]
pub(super) struct Finisher {
    pub(super) decoder: Decoder,
    pub(super) safety: Option<SafetyChecker>,
    pub(super) palette: Palette,
}

/// Works until the engine stops. What nobody waits for is dropped before it costs anything.
pub(super) fn run(shared: &Shared, work: &Receiver<Work>) {
    while let Ok(work) = work.recv() {
        match work {
            Work::Look { generator, delivery, picture, number, latent, shape } if !delivery.is_over() => {
                let paint = |finisher: &mut Finisher| Ok(finisher.palette.paint(&latent, shape));
                match alone(|| generator.finisher.run(paint).map_err(failed)) {
                    Ok(image) => delivery.tell(Event::Preview { picture, number, image }),
                    Err(failure) => delivery.fail(failure),
                }
            }
            Work::Picture { generator, delivery, picture, seed, latent, shape, denoised } if !delivery.is_over() => {
                let made = alone(|| {
                    shared.pass(CrashPoint::Finish);
                    in_time(&generator, &delivery, &latent, shape)
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

/// The picture, unless its deadline passes while it waits or is decoded: that may take as long as several steps.
fn in_time(
    generator: &Generator,
    delivery: &Delivery,
    latent: &[f32],
    shape: [usize; 3],
) -> Result<Option<RgbImage>, Failure> {
    let late = || delivery.overdue(Instant::now());
    late().map_or(Ok(()), Err)?;
    let picture = generator.finisher.run(|finisher| finisher.picture(delivery, latent, shape)).map_err(failed)?;
    late().map_or(Ok(picture), Err)
}

fn failed(error: PipelineError) -> Failure {
    tracing::error!(%error, "a picture could not be decoded");
    Failure::Runtime(error.to_string())
}

impl Finisher {
    /// The picture; `None` where the safety checker flags it. One a call, so that it does not depend on what else is decoded.
    pub(super) fn picture(
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
