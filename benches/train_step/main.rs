//! Our training step against PyTorch eager: the same UNet, loss, optimiser, threads and machine, in turns within one run.
//!
//! ```sh
//! cargo bench -p plaudit-training --bench train_step -- --python .venv-dev/bin/python
//! ```
//!
//! Each side runs in processes of its own (peak memory is a process's), alternating, so that what else the machine does hits both.
//! Printed are medians over all rounds, ratios, and for memory both the whole process and what the model added to it.

mod ours;

use std::{
    path::PathBuf,
    process::{Command, Stdio},
};

use anyhow::{Context, Result, ensure};
use clap::Parser;
use serde::{Deserialize, Serialize};

/// Compare training steps.
#[derive(Debug, Parser)]
pub(crate) struct Arguments {
    /// Rows of a batch, one or more.
    #[arg(long, value_delimiter = ',', default_values_t = [8, 32])]
    batch: Vec<usize>,
    /// Runs of the graph for each of our updates; the graph's batch is the batch divided by it.
    #[arg(long, default_value_t = 1)]
    micro_batches: usize,
    /// Measured steps in each process.
    #[arg(long, default_value_t = 8)]
    steps: usize,
    /// Processes of each side.
    #[arg(long, default_value_t = 3)]
    rounds: usize,
    /// Threads of each side.
    #[arg(long, default_value_t = 2)]
    threads: usize,
    /// A Python with torch and diffusers (requirements-dev.txt); without one only our side runs.
    #[arg(long, env = "PLAUDIT_BENCH_PYTHON")]
    python: Option<PathBuf>,
    /// Directory of the UNet: model.onnx, init.json, config.json.
    #[arg(long, default_value = "onnx/packs/miniature/unet")]
    unet: PathBuf,
    /// With --worker: write ONNX Runtime's trace of our side here (a date is appended).
    #[arg(long)]
    profile: Option<PathBuf>,
    /// Measure our side in this process.
    #[arg(long, hide = true)]
    worker: bool,
    /// What `cargo bench` adds.
    #[arg(long, hide = true)]
    bench: bool,
}

/// What one process measured; the Python side prints the same.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Measured {
    /// Of each step after the warm-up.
    seconds: Vec<f64>,
    /// Peak resident memory of the process.
    peak_mib: f64,
    /// Resident memory before the model was built.
    before_mib: f64,
    /// Of the last step.
    loss: f32,
}

fn main() -> Result<()> {
    std::env::set_current_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/.."))?;
    let arguments = Arguments::parse();
    if arguments.worker {
        let measured = ours::measure(&arguments, arguments.batch[0])?;
        println!("{}", serde_json::to_string(&measured)?);
        return Ok(());
    }
    arguments.batch.iter().try_for_each(|&batch| compare(&arguments, batch))
}

fn compare(arguments: &Arguments, batch: usize) -> Result<()> {
    let (mut ours, mut theirs) = (Vec::new(), Vec::new());
    for _ in 0..arguments.rounds {
        ours.push(run(&mut our_command(arguments, batch)?)?);
        if let Some(python) = &arguments.python {
            theirs.push(run(&mut their_command(arguments, python, batch))?);
        }
    }
    println!(
        "batch {batch} ({} × {} rows), {} threads",
        arguments.micro_batches,
        batch / arguments.micro_batches,
        arguments.threads
    );
    let our = print("plaudit", &ours, batch);
    if !theirs.is_empty() {
        let their = print("pytorch", &theirs, batch);
        let ratio = |ours: f64, theirs: f64| format!("{:.2}×", ours / theirs);
        println!(
            "  speed {} · peak memory {} · memory the model added {}",
            ratio(their.seconds, our.seconds),
            ratio(our.peak, their.peak),
            ratio(our.added, their.added)
        );
    }
    Ok(())
}

struct Summary {
    seconds: f64,
    peak: f64,
    added: f64,
}

fn print(side: &str, rounds: &[Measured], batch: usize) -> Summary {
    let mut seconds: Vec<f64> = rounds.iter().flat_map(|round| round.seconds.iter().copied()).collect();
    seconds.sort_by(f64::total_cmp);
    let summary = Summary {
        seconds: seconds[seconds.len() / 2],
        peak: rounds.iter().map(|round| round.peak_mib).fold(0.0, f64::max),
        added: rounds.iter().map(|round| round.peak_mib - round.before_mib).fold(0.0, f64::max),
    };
    let Summary { seconds: median, peak, added } = summary;
    let fastest = seconds[0] * 1e3;
    println!(
        "  {side}: {:.0} ms a step ({:.1} ms a row, fastest {fastest:.0} ms), peak {peak:.0} MiB, of it {added:.0} MiB by the model",
        median * 1e3,
        median * 1e3 / batch as f64
    );
    summary
}

fn our_command(arguments: &Arguments, batch: usize) -> Result<Command> {
    let mut command = Command::new(std::env::current_exe()?);
    command.arg("--worker").arg("--unet").arg(&arguments.unet);
    for (flag, value) in [
        ("--batch", batch),
        ("--micro-batches", arguments.micro_batches),
        ("--steps", arguments.steps),
        ("--threads", arguments.threads),
    ] {
        command.arg(flag).arg(value.to_string());
    }
    Ok(command)
}

fn their_command(arguments: &Arguments, python: &PathBuf, batch: usize) -> Command {
    let mut command = Command::new(python);
    command.arg("benches/train_step/pytorch.py").arg("--config").arg(arguments.unet.join("config.json"));
    for (flag, value) in [("--batch", batch), ("--steps", arguments.steps), ("--threads", arguments.threads)] {
        command.arg(flag).arg(value.to_string());
    }
    command.env("OMP_NUM_THREADS", arguments.threads.to_string());
    command
}

fn run(command: &mut Command) -> Result<Measured> {
    let output = command.stderr(Stdio::inherit()).output().with_context(|| format!("cannot start {command:?}"))?;
    ensure!(output.status.success(), "{command:?} ended with {}", output.status);
    let text = String::from_utf8(output.stdout)?;
    serde_json::from_str(text.trim()).with_context(|| format!("{command:?} printed {text:?}"))
}
