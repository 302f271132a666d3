//! Throughput by rows and precision, and parity with the processor.

use std::{path::PathBuf, time::Instant};

use anyhow::Result;
use clap::{Args, ValueEnum};
use plaudit::{
    pack::{Component, Pack, Variant, distance, serving_variant},
    runtime::{Device, SessionSettings},
};
use plaudit_onnx::{Model, Tensor};

use super::{Place, denoiser, denoiser::Denoiser, memory};

/// Calls before the clock runs: kernels are chosen, memory is taken.
const WARM_UP: usize = 3;

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Precision {
    /// Exact single precision, as goldens are made with.
    Fp32,
    /// Single precision with 10-bit products (tensor cores).
    Tf32,
    /// The serving variant.
    Fp16,
}

#[derive(Debug, Args)]
pub(crate) struct Arguments {
    #[command(flatten)]
    place: Place,
    /// Rows of a call, one or more; a guided picture takes two.
    #[arg(long, value_delimiter = ',', default_values_t = [1, 2, 4, 8, 16, 32])]
    rows: Vec<usize>,
    #[arg(long, value_enum, value_delimiter = ',', default_values_t = [Precision::Fp32, Precision::Tf32, Precision::Fp16])]
    precision: Vec<Precision>,
    /// Calls that are timed.
    #[arg(long, default_value_t = 20)]
    calls: usize,
    /// Rows up to which the processor computes the same call for comparison.
    #[arg(long, default_value_t = 2)]
    parity_rows: usize,
    /// Where fp16 variants are kept.
    #[arg(long, default_value = "variants")]
    cache: PathBuf,
}

pub(crate) fn run(arguments: &Arguments) -> Result<()> {
    let pack = arguments.place.open()?;
    let expected = processor(&pack, arguments)?;
    println!("| precision | rows | ms a call | calls/s | rows/s | from the processor's fp32 | memory MiB |");
    println!("|---|---:|---:|---:|---:|---:|---:|");
    for &precision in &arguments.precision {
        let settings = SessionSettings { tf32: precision == Precision::Tf32, ..arguments.place.settings() };
        let model = graph(&pack, precision, arguments, &settings)?;
        let mut denoiser = Denoiser::new(&model, &settings)?;
        for &rows in &arguments.rows {
            let (seconds, answer) = time(&pack, &mut denoiser, rows, arguments.calls)?;
            let far = expected.iter().find(|(its, _)| *its == rows).map(|(_, golden)| distance(&answer, golden));
            let far = far.map_or(String::new(), |far| format!("{far:.1e}"));
            let [ms, calls, per_row] = [1e3 * seconds, 1.0 / seconds, rows as f64 / seconds];
            let used = memory::used(arguments.place.device);
            println!("| {precision:?} | {rows} | {ms:.2} | {calls:.2} | {per_row:.2} | {far} | {used:.0} |");
        }
    }
    Ok(())
}

/// What the processor answers, by rows.
fn processor(pack: &Pack, arguments: &Arguments) -> Result<Vec<(usize, Tensor)>> {
    let settings = SessionSettings { device: Device::Cpu, ..SessionSettings::default() };
    let mut denoiser = Denoiser::new(denoiser::model(pack)?, &settings)?;
    let few = arguments.rows.iter().filter(|&&rows| rows <= arguments.parity_rows);
    few.map(|&rows| Ok((rows, denoiser.call(&denoiser::batch(pack, rows)?)?))).collect()
}

fn graph(pack: &Pack, precision: Precision, arguments: &Arguments, settings: &SessionSettings) -> Result<Model> {
    match precision {
        Precision::Fp32 | Precision::Tf32 => Ok(denoiser::model(pack)?.clone()),
        Precision::Fp16 => Ok(serving_variant(pack, Component::Unet, Variant::Half, &arguments.cache, settings)?),
    }
}

/// The median of the calls, with its inputs copied to the device and its output back, as the engine calls it.
fn time(pack: &Pack, denoiser: &mut Denoiser, rows: usize, calls: usize) -> Result<(f64, Tensor)> {
    let batch = denoiser::batch(pack, rows)?;
    let mut answer = denoiser.call(&batch)?;
    for _ in 1..WARM_UP {
        answer = denoiser.call(&batch)?;
    }
    let mut seconds = Vec::with_capacity(calls);
    for _ in 0..calls.max(1) {
        let began = Instant::now();
        answer = denoiser.call(&batch)?;
        seconds.push(began.elapsed().as_secs_f64());
    }
    seconds.sort_by(f64::total_cmp);
    Ok((seconds[seconds.len() / 2], answer))
}
