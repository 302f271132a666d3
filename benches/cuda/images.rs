//! Seconds for a picture through the pipeline: text, steps, decoding; no HTTP and no PNG.

use std::time::Instant;

use anyhow::Result;
use clap::Args;
use plaudit::pipeline::{Pipeline, PipelineSettings, Request, schedule::SchedulerKind};

use super::{Place, memory};

#[derive(Debug, Args)]
pub(crate) struct Arguments {
    #[command(flatten)]
    place: Place,
    /// Steps of a picture, one or more.
    #[arg(long, value_delimiter = ',', default_values_t = [20, 50])]
    steps: Vec<usize>,
    /// Pictures drawn at once, one or more.
    #[arg(long, value_delimiter = ',', default_values_t = [1, 4])]
    count: Vec<usize>,
    /// Timed runs of each.
    #[arg(long, default_value_t = 5)]
    runs: usize,
    /// Rows of the denoiser in one call at most.
    #[arg(long, default_value_t = 16)]
    max_rows: usize,
}

pub(crate) fn run(arguments: &Arguments) -> Result<()> {
    let pack = arguments.place.open()?;
    let cells = (pack.size() / pack.pixels_per_cell()).pow(2);
    let settings = PipelineSettings {
        device: arguments.place.device,
        batch_cells: arguments.max_rows * cells,
        ..PipelineSettings::default()
    };
    let mut pipeline = Pipeline::load(&pack, &settings)?;
    println!("| steps | pictures at once | s, median | s a picture | slowest s | memory MiB |");
    println!("|---:|---:|---:|---:|---:|---:|");
    for &steps in &arguments.steps {
        for &count in &arguments.count {
            let seconds = times(&mut pipeline, steps, count, arguments.runs)?;
            let median = seconds[seconds.len() / 2];
            let (each, slowest) = (median / count as f64, seconds[seconds.len() - 1]);
            let used = memory::used(arguments.place.device);
            println!("| {steps} | {count} | {median:.3} | {each:.3} | {slowest:.3} | {used:.0} |");
        }
    }
    Ok(())
}

/// Sorted; the first run, which chooses kernels and takes memory, is left out.
fn times(pipeline: &mut Pipeline, steps: usize, count: usize, runs: usize) -> Result<Vec<f64>> {
    let prompt = "two blue stars on the beach".to_owned();
    let scheduler = Some(SchedulerKind::Euler);
    let request = Request { prompt, steps, count, scheduler, seed: 7, ..Request::default() };
    pipeline.run(&request, &mut |_| ())?;
    let mut seconds = Vec::with_capacity(runs);
    for _ in 0..runs.max(1) {
        let began = Instant::now();
        pipeline.run(&request, &mut |_| ())?;
        seconds.push(began.elapsed().as_secs_f64());
    }
    seconds.sort_by(f64::total_cmp);
    Ok(seconds)
}
