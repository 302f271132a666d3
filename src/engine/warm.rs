//! The denoiser's first calls, before anybody waits for them.

use std::{sync::Arc, time::Instant};

use super::{Class, Delivery, EngineSettings, Generator, Order, steps::padded};
use crate::pipeline::{PipelineError, Request, denoise::Row, request::Plan};

/// Steps of the picture that every component is called for.
const STEPS: usize = 2;

/// Calls the denoiser at each batch size that requests will meet, so that memory for it is there: a `max_rows` that does
/// not fit should stop the start, not the busiest hour.
pub(super) fn denoiser(generator: &Generator, settings: &EngineSettings) -> Result<(), PipelineError> {
    for bucket in settings.buckets.iter().filter(|&&bucket| bucket > settings.max_rows) {
        let most = settings.max_rows;
        tracing::warn!(
            "engine.buckets has {bucket}, which is above engine.max_rows ({most}): calls are padded to {most}"
        );
    }
    let (order, plan) = lone(generator)?;
    for rows in sizes(settings) {
        let mut row = first_row(generator, &order, &plan)?;
        let step = generator.denoiser.run(|denoiser| denoiser.step(&mut [&mut row], rows, &[]));
        step.map_err(|source| PipelineError::Rows { rows, source: Box::new(source) })?;
    }
    Ok(())
}

/// Draws a picture beside the engine's threads, so that the first request finds every component used once.
///
/// # Errors
/// Also if what comes out are no numbers.
pub(super) fn picture(generator: &Generator) -> Result<(), PipelineError> {
    let (order, plan) = lone(generator)?;
    let mut row = first_row(generator, &order, &plan)?;
    while !row.is_done() {
        generator.denoiser.run(|denoiser| denoiser.step(&mut [&mut row], 0, &[]))?;
    }
    if !row.latent().iter().all(|x| x.is_finite()) {
        return Err(PipelineError::WarmUp("the denoiser's answer is not finite".to_owned()));
    }
    let (delivery, _ticket) = Delivery::new(1, plan.calls(), None);
    let (latent, shape) = (row.latent(), row.shape());
    generator.finisher.run(|finisher| finisher.picture(&delivery, latent, shape)).map(drop)
}

fn lone(generator: &Generator) -> Result<(Order, Arc<Plan>), PipelineError> {
    let request = Request { steps: STEPS, guidance: 1.0, ..Request::default() };
    let plan = Arc::new(generator.planner.plan(&request)?);
    let order = Order {
        request,
        client: "warm-up".into(),
        class: Class::Interactive,
        deadline: None::<Instant>,
        previews: 0,
        optional: 0,
        deterministic: false,
    };
    Ok((order, plan))
}

fn first_row(generator: &Generator, order: &Order, plan: &Arc<Plan>) -> Result<Row, PipelineError> {
    let (rows, _) = generator.rows(order, plan)?;
    rows.into_iter().next().ok_or_else(|| PipelineError::WarmUp("the request has no picture".to_owned()))
}

/// A lone picture's without and with guidance, the largest, and the buckets. The largest comes first: what it leaves free holds
/// the others.
fn sizes(settings: &EngineSettings) -> Vec<usize> {
    let lone = [1, 2].map(|width| padded(width, settings));
    let buckets = settings.buckets.iter().map(|&bucket| bucket.min(settings.max_rows));
    let mut sizes: Vec<usize> = buckets.chain(lone).chain([settings.max_rows]).filter(|&rows| rows > 0).collect();
    sizes.sort_unstable_by(|a, b| b.cmp(a));
    sizes.dedup();
    sizes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_size_that_the_settings_promise_is_warmed() {
        let cases: [(usize, &[usize], &[usize]); 5] = [
            (16, &[], &[16, 2, 1]),
            (1, &[], &[2, 1]),
            (16, &[4, 8, 16], &[16, 8, 4]),
            (16, &[2, 8], &[16, 8, 2]),
            (6, &[4, 32], &[6, 4]),
        ];
        for (max_rows, buckets, expected) in cases {
            let settings = EngineSettings { max_rows, buckets: buckets.to_vec(), ..EngineSettings::default() };
            assert_eq!(sizes(&settings), expected, "{max_rows} rows, buckets {buckets:?}");
        }
    }
}
