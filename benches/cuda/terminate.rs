//! How soon a call that is told to stop has stopped.

use std::{
    thread,
    time::{Duration, Instant},
};

use anyhow::Result;
use clap::Args;
use plaudit::runtime::Stop;

use super::{Place, denoiser, denoiser::Denoiser};

#[derive(Debug, Args)]
pub(crate) struct Arguments {
    #[command(flatten)]
    place: Place,
    /// Rows of the call.
    #[arg(long, default_value_t = 32)]
    rows: usize,
    /// Calls that are stopped, at moments spread over a call's length.
    #[arg(long, default_value_t = 20)]
    calls: u32,
}

pub(crate) fn run(arguments: &Arguments) -> Result<()> {
    let pack = arguments.place.open()?;
    let mut denoiser = Denoiser::new(denoiser::model(&pack)?, &arguments.place.settings())?;
    let batch = denoiser::batch(&pack, arguments.rows)?;
    denoiser.call(&batch)?;
    let began = Instant::now();
    denoiser.call(&batch)?;
    let whole = began.elapsed();
    let mut latencies = Vec::new();
    for call in 0..arguments.calls {
        latencies.extend(stopped(&mut denoiser, &batch, whole * (call + 1) / (arguments.calls + 1))?);
    }
    latencies.sort();
    let ms = |duration: &Duration| format!("{:.1}", 1e3 * duration.as_secs_f64());
    println!("a call of {} rows takes {} ms", arguments.rows, ms(&whole));
    println!("stopped early: {} of {}", latencies.len(), arguments.calls);
    if let (Some(median), Some(slowest)) = (latencies.get(latencies.len() / 2), latencies.last()) {
        println!("from the word to the return: median {} ms, slowest {} ms", ms(median), ms(slowest));
    }
    // A stop must not outlive its call.
    denoiser.call(&batch)?;
    Ok(())
}

/// From the word to the return; none where the call was done before it.
fn stopped(denoiser: &mut Denoiser, batch: &denoiser::Batch, after: Duration) -> Result<Option<Duration>> {
    let stop = Stop::new()?;
    thread::scope(|scope| {
        let told = scope.spawn(|| {
            thread::sleep(after);
            let told = Instant::now();
            stop.now().map(|()| told)
        });
        let whole = denoiser.call_until(batch, &stop);
        let ended = Instant::now();
        let told = told.join().expect("it only sleeps")?;
        Ok((!whole).then(|| ended.saturating_duration_since(told)))
    })
}
