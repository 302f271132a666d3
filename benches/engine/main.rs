//! Pictures a second of the step engine by rows of a call, threads, sessions (lanes) and spinning: where its defaults come from.
//!
//! ```sh
//! cargo bench -p plaudit --bench engine
//! ```
//!
//! Closed loop: so many orders are in flight at any time, each of one picture, with 10, 20 and 40 steps in turn. A configuration
//! is a process of its own (ONNX Runtime's threads are the process's), and configurations are run in turns, so that whatever else
//! the machine does hits all.

use std::{path::Path, process::Command, time::Instant};

use anyhow::{Context, Result, ensure};
use clap::Parser;
use plaudit::{
    engine::{Class, Engine, EngineSettings, Event, Order},
    metrics::Metrics,
    pack::Pack,
    pipeline::Request,
    runtime::Device,
};

/// Measure the engine.
#[derive(Debug, Clone, Parser)]
struct Arguments {
    /// Rows in one call at most, one or more.
    #[arg(long, value_delimiter = ',', default_values_t = [2, 4, 8, 16, 32])]
    rows: Vec<usize>,
    /// Threads of the pool that the sessions of an engine share.
    #[arg(long, value_delimiter = ',', default_values_t = [1, 2])]
    threads: Vec<usize>,
    /// Sessions of the denoiser that share a call's rows, each of one thread; 1: one session of all threads.
    #[arg(long, value_delimiter = ',', default_values_t = [1, 2])]
    lanes: Vec<usize>,
    /// Whether idle threads wait busily.
    #[arg(long, value_delimiter = ',', default_values_t = [false, true])]
    spinning: Vec<bool>,
    /// Orders in flight.
    #[arg(long, default_value_t = 8)]
    concurrency: usize,
    /// Orders of a measurement.
    #[arg(long, default_value_t = 48)]
    orders: usize,
    /// Measurements of each configuration; the best counts.
    #[arg(long, default_value_t = 3)]
    rounds: usize,
    /// The pack.
    #[arg(long, default_value = "onnx/packs/miniature")]
    pack: String,
    /// Measure the one configuration given, in this process.
    #[arg(long, hide = true)]
    worker: bool,
    /// What `cargo bench` adds.
    #[arg(long, hide = true)]
    bench: bool,
}

/// Steps of the orders, in turn.
const STEPS: [usize; 3] = [10, 20, 40];

#[derive(Debug, Clone, Copy)]
struct Configuration {
    rows: usize,
    threads: usize,
    lanes: usize,
    spinning: bool,
}

fn main() -> Result<()> {
    std::env::set_current_dir(env!("CARGO_MANIFEST_DIR"))?;
    let arguments = Arguments::parse();
    let configurations = configurations(&arguments);
    if arguments.worker {
        let seconds = measure(&arguments, configurations[0])?;
        println!("{seconds}");
        return Ok(());
    }
    let mut best = vec![f64::INFINITY; configurations.len()];
    for round in 0..arguments.rounds {
        for (best, configuration) in best.iter_mut().zip(&configurations) {
            *best = best.min(in_a_process(&arguments, *configuration)?);
        }
        eprintln!("round {} of {}", round + 1, arguments.rounds);
    }
    println!("| rows | threads | lanes | spinning | pictures/s | row-steps/s |");
    println!("|---|---|---|---|---|---|");
    let row_steps: usize = (0..arguments.orders).map(|at| 2 * STEPS[at % STEPS.len()]).sum();
    for (seconds, Configuration { rows, threads, lanes, spinning }) in best.iter().zip(configurations) {
        let (pictures, row_steps) = (arguments.orders as f64 / seconds, row_steps as f64 / seconds);
        println!("| {rows} | {threads} | {lanes} | {spinning} | {pictures:.2} | {row_steps:.0} |");
    }
    Ok(())
}

/// All combinations.
fn configurations(arguments: &Arguments) -> Vec<Configuration> {
    let mut all = Vec::new();
    for &lanes in &arguments.lanes {
        for &threads in &arguments.threads {
            for &spinning in &arguments.spinning {
                all.extend(arguments.rows.iter().map(|&rows| Configuration { rows, threads, lanes, spinning }));
            }
        }
    }
    all
}

fn in_a_process(arguments: &Arguments, configuration: Configuration) -> Result<f64> {
    let Configuration { rows, threads, lanes, spinning } = configuration;
    let output = Command::new(std::env::current_exe()?)
        .arg("--worker")
        .args(["--rows", &rows.to_string(), "--threads", &threads.to_string(), "--lanes", &lanes.to_string()])
        .args(["--spinning", &spinning.to_string(), "--concurrency", &arguments.concurrency.to_string()])
        .args(["--orders", &arguments.orders.to_string(), "--pack", &arguments.pack])
        .output()?;
    let text = String::from_utf8_lossy(&output.stdout);
    ensure!(output.status.success(), "{configuration:?}: {}", String::from_utf8_lossy(&output.stderr));
    text.trim().parse().with_context(|| format!("{configuration:?} answered {text:?}"))
}

/// Seconds for all orders.
fn measure(arguments: &Arguments, configuration: Configuration) -> Result<f64> {
    let Configuration { rows, threads, lanes, spinning } = configuration;
    let pack = Pack::open(Path::new(&arguments.pack))?;
    let settings = EngineSettings { max_rows: rows, threads, lanes, spinning, ..EngineSettings::default() };
    let engine = Engine::start(&pack, Device::Cpu, &settings, Metrics::new())?;
    let began = Instant::now();
    tokio::runtime::Builder::new_current_thread().build()?.block_on(async {
        let streams = (0..arguments.concurrency).map(|stream| follow(arguments, &engine, stream));
        futures_util::future::try_join_all(streams).await
    })?;
    Ok(began.elapsed().as_secs_f64())
}

/// One of the streams of orders: the next begins when the last has ended.
async fn follow(arguments: &Arguments, engine: &Engine, stream: usize) -> Result<()> {
    for at in (stream..arguments.orders).step_by(arguments.concurrency) {
        let request = Request {
            prompt: "two blue stars".into(),
            seed: at as u32,
            steps: STEPS[at % STEPS.len()],
            ..Request::default()
        };
        let client = format!("client {stream}").into();
        let (class, deadline) = (Class::Interactive, None);
        let order = Order { request, client, class, deadline, previews: 0, optional: 0, deterministic: false };
        let mut ticket = engine.submit(order)?;
        while let Some(event) = ticket.next().await {
            if let Event::Failed(failure) = event {
                return Err(failure.into());
            }
        }
    }
    Ok(())
}
