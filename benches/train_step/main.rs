//! Our training step against PyTorch eager: the same UNet, loss, optimiser, threads and machine, in turns within one run.
//!
//! ```sh
//! cargo bench -p plaudit-training --bench train_step -- --python .venv-dev/bin/python
//! cargo bench -p plaudit-training --bench train_step -- --python .venv-dev/bin/python --batch 16 --objective reward-weighted,signed-target,kto
//! ```
//!
//! `denoising` is plain noise prediction from fresh weights on fresh numbers. The other objectives are fine-tuning's, with its defaults (the parent's predictions as
//! reference, anchor 1): both sides begin with the pack's weights and take every step on one and the same batch, so that their losses can be compared.
//!
//! Each side is a process of its own (peak memory is a process's). They take single steps in turns, so that whatever else the machine does hits both.
//! Printed are medians and minima of wall-clock time, processor time, and memory of the whole process and of it what the model added.

mod objective;
mod ours;
mod worker;

use std::{path::PathBuf, process::Command};

use anyhow::Result;
use clap::Parser;

use objective::{Inputs, Objective};
use worker::{Measured, Worker};

/// Compare training steps.
#[derive(Debug, Parser)]
pub(crate) struct Arguments {
    /// Rows of a batch, one or more.
    #[arg(long, value_delimiter = ',', default_values_t = [8, 32])]
    batch: Vec<usize>,
    /// What is minimised, one or more.
    #[arg(long, value_enum, value_delimiter = ',', default_values_t = [Objective::Denoising])]
    objective: Vec<Objective>,
    /// Rows of our graph; a larger batch is several runs for one update.
    #[arg(long, default_value_t = 4)]
    rows: usize,
    /// Sessions of ours that run side by side; each has its share of the threads.
    #[arg(long, default_value_t = 2)]
    lanes: usize,
    /// Steps of each side.
    #[arg(long, default_value_t = 20)]
    steps: usize,
    /// Threads of each side.
    #[arg(long, default_value_t = 2)]
    threads: usize,
    /// A Python with torch and diffusers (requirements-dev.txt); without one only our side runs.
    #[arg(long, env = "PLAUDIT_BENCH_PYTHON")]
    python: Option<PathBuf>,
    /// Directory of the UNet: model.onnx, init.json, config.json.
    #[arg(long, default_value = "onnx/packs/miniature/unet")]
    unet: PathBuf,
    /// Write ONNX Runtime's trace of our side here (a date is appended); slows it.
    #[arg(long)]
    profile: Option<PathBuf>,
    /// Take our steps in this process, as a worker.
    #[arg(long, hide = true)]
    worker: bool,
    /// What `cargo bench` adds.
    #[arg(long, hide = true)]
    bench: bool,
}

fn main() -> Result<()> {
    std::env::set_current_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/.."))?;
    let arguments = Arguments::parse();
    if arguments.worker {
        return ours::serve(&arguments, arguments.objective[0], arguments.batch[0]);
    }
    for &objective in &arguments.objective {
        arguments.batch.iter().try_for_each(|&batch| compare(&arguments, objective, batch))?;
    }
    Ok(())
}

fn compare(arguments: &Arguments, objective: Objective, batch: usize) -> Result<()> {
    let folder = tempfile::tempdir()?;
    let rows = arguments.rows.min(batch);
    println!(
        "{objective}, batch {batch} (ours: {} × {rows} rows, {} at once), {} threads, {} steps",
        batch / rows,
        lanes(arguments, batch),
        arguments.threads,
        arguments.steps
    );
    let mut workers = vec![Worker::start("plaudit", &mut our_command(arguments, objective, batch)?)?];
    if let Some(python) = &arguments.python {
        let mut command = their_command(arguments, python, batch);
        if objective != Objective::Denoising {
            let path = folder.path().join("batch.safetensors");
            Inputs::draw(batch).write(&path)?;
            command.arg("--objective").arg(objective.to_string()).arg("--batch-file").arg(path);
        }
        workers.push(Worker::start("pytorch", &mut command)?);
    }
    for _ in 0..arguments.steps {
        workers.iter_mut().try_for_each(Worker::step)?;
    }
    let measured: Vec<Measured> = workers.into_iter().map(Worker::finish).collect::<Result<_>>()?;
    measured.iter().for_each(|side| println!("  {side}"));
    if let [ours, theirs] = measured.as_slice() {
        println!("  {}", ours.beside(theirs));
        if objective != Objective::Denoising {
            println!("  {}", ours.losses_beside(theirs));
        }
    }
    Ok(())
}

/// Lanes that have work, each with a thread at least.
fn lanes(arguments: &Arguments, batch: usize) -> usize {
    arguments.lanes.min(batch / arguments.rows.min(batch)).min(arguments.threads).max(1)
}

fn our_command(arguments: &Arguments, objective: Objective, batch: usize) -> Result<Command> {
    let mut command = Command::new(std::env::current_exe()?);
    command.arg("--worker").arg("--unet").arg(&arguments.unet).arg("--objective").arg(objective.to_string());
    let rows = arguments.rows.min(batch);
    let lanes = lanes(arguments, batch);
    for (flag, value) in [("--batch", batch), ("--rows", rows), ("--lanes", lanes), ("--threads", arguments.threads)] {
        command.arg(flag).arg(value.to_string());
    }
    if let Some(path) = &arguments.profile {
        command.arg("--profile").arg(path);
    }
    Ok(command)
}

fn their_command(arguments: &Arguments, python: &PathBuf, batch: usize) -> Command {
    let mut command = Command::new(python);
    command.arg("benches/train_step/pytorch.py").arg("--config").arg(arguments.unet.join("config.json"));
    command.args(["--batch", &batch.to_string(), "--threads", &arguments.threads.to_string()]);
    command.env("OMP_NUM_THREADS", arguments.threads.to_string());
    command
}
