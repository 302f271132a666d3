//! The thread that calls denoisers: takes the rows that are due, runs one call, gives them back.

use std::{
    sync::{Arc, mpsc::SyncSender},
    time::Instant,
};

use super::{
    Failure,
    book::Taken,
    finish::Work,
    settings::EngineSettings,
    shared::{CrashPoint, Shared},
};
use crate::pipeline::denoise::Row;

/// Steps rows until the engine stops, or nobody decodes them any more.
pub(super) fn run(shared: &Arc<Shared>, finish: &SyncSender<Work>) {
    let most = shared.settings.max_rows;
    let next = || shared.wait_for(|book| Some(book.take(most)).filter(|taken| !taken.is_empty()));
    while let Some(mut taken) = next() {
        shared.pass(CrashPoint::Steps);
        let width = taken.iter().map(|taken| taken.row.width()).sum();
        let looks: Vec<usize> = (0..taken.len()).filter(|&at| taken[at].preview.is_some()).collect();
        let batch = padded(width, &shared.settings);
        let denoiser = taken[0].generator.denoiser.clone();
        let began = Instant::now();
        let mut rows: Vec<&mut Row> = taken.iter_mut().map(|taken| &mut taken.row).collect();
        match denoiser.run(|denoiser| denoiser.step(&mut rows, batch, &looks)) {
            Ok(estimates) => {
                measure(shared, width, batch);
                let shown: Vec<Work> =
                    looks.iter().zip(estimates).filter_map(|(&at, x)| look(shared, &taken[at], x)).collect();
                let done = shared.book().give_back(taken, width, began.elapsed());
                let pictures = done.into_iter().map(|(taken, delivery)| picture(taken, delivery));
                for work in shown.into_iter().chain(pictures) {
                    // A full channel holds the denoiser back until pictures are decoded; a closed one has no thread behind it.
                    if finish.send(work).is_err() {
                        return;
                    }
                }
            }
            Err(error) => {
                tracing::error!(%error, "the denoiser failed");
                let failure = Failure::Runtime(error.to_string());
                shared.book().fail(taken.iter().map(|taken| taken.job), &failure);
            }
        }
        shared.gauge();
        shared.announce();
    }
}

/// The smallest bucket that holds so many rows; above the largest no padding. No call is padded above `max_rows`.
pub(super) fn padded(width: usize, settings: &EngineSettings) -> usize {
    let buckets = settings.buckets.iter().map(|&bucket| bucket.min(settings.max_rows));
    buckets.filter(|&bucket| bucket >= width).min().unwrap_or(width)
}

fn measure(shared: &Shared, width: usize, batch: usize) {
    shared.metrics.step_rows.observe(width as f64);
    shared.metrics.padding_rows_total.inc_by((batch.max(width) - width) as u64);
}

fn look(shared: &Shared, taken: &Taken, latent: Vec<f32>) -> Option<Work> {
    let delivery = shared.book().job(taken.job)?.delivery.clone();
    let (picture, number, shape) = (taken.picture, taken.preview?, taken.row.shape());
    Some(Work::Look { generator: taken.generator.clone(), delivery, picture, number, latent, shape })
}

fn picture(taken: Taken, delivery: Arc<super::Delivery>) -> Work {
    let Taken { generator, picture, row, .. } = taken;
    let (shape, seed, denoised) = (row.shape(), row.seed(), Instant::now());
    Work::Picture { generator, delivery, picture, seed, latent: row.into_latent(), shape, denoised }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_batch_is_padded_to_the_next_bucket() {
        let settings =
            |max_rows, buckets: &[usize]| EngineSettings { max_rows, buckets: buckets.to_vec(), ..Default::default() };
        let cases = [(1, 2), (2, 2), (3, 4), (5, 8), (9, 9)];
        for (width, expected) in cases {
            assert_eq!(padded(width, &settings(16, &[8, 2, 4])), expected, "{width}");
        }
        assert_eq!(padded(3, &settings(16, &[])), 3);
        assert_eq!(padded(3, &settings(6, &[32])), 6, "no more than max_rows");
        assert_eq!(padded(2, &settings(1, &[4])), 2, "a guided picture is not divided");
    }
}
