//! The denoiser's first calls, before anybody waits for them.

use std::sync::Arc;

use super::{EngineSettings, steps::padded};
use crate::pipeline::{
    PipelineError, Request,
    denoise::Row,
    parts::{Parts, tokenize},
    text_encoder::Prompted,
};

/// Calls the denoiser at each batch size that requests will meet, so that memory for it is there: a `max_rows` that does
/// not fit should stop the start, not the busiest hour.
pub(super) fn denoiser(parts: &mut Parts, settings: &EngineSettings) -> Result<(), PipelineError> {
    for bucket in settings.buckets.iter().filter(|&&bucket| bucket > settings.max_rows) {
        let most = settings.max_rows;
        tracing::warn!(
            "engine.buckets has {bucket}, which is above engine.max_rows ({most}): calls are padded to {most}"
        );
    }
    let request = Request { steps: 2, guidance: 1.0, ..Request::default() };
    let plan = Arc::new(parts.planner.plan(&request)?);
    let tokens = tokenize(&parts.tokenizer, &request, &plan)?;
    let text = Arc::new(Prompted { prompt: Arc::new(parts.text_encoder.encode(&tokens[0])?), negative: None });
    for rows in sizes(settings) {
        let mut row = Row::new(&plan, &text, request.seed, None);
        let step = parts.denoiser.step(&mut [&mut row], rows, &[]);
        step.map_err(|source| PipelineError::Rows { rows, source: Box::new(source) })?;
    }
    Ok(())
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
