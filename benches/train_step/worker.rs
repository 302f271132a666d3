//! A side of the comparison as a process that takes a step for each line it reads.

use std::{
    fmt,
    io::{BufRead, BufReader, Write},
    process::{Child, ChildStdin, ChildStdout, Command, Stdio},
};

use anyhow::{Context, Result, bail, ensure};
use serde::{Deserialize, Serialize, de::DeserializeOwned};

/// A worker's answer to a line.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Stepped {
    pub(crate) seconds: f64,
    /// Of the step; the first answer, after the warm-up, has that of the very first step.
    pub(crate) loss: f32,
}

/// A worker's last words.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Ended {
    /// Peak resident memory.
    pub(crate) peak_mib: f64,
    /// Resident memory before the model was built.
    pub(crate) before_mib: f64,
    /// Processor time of all steps and threads.
    pub(crate) cpu_seconds: f64,
}

/// A running side.
pub(crate) struct Worker {
    name: &'static str,
    process: Child,
    orders: ChildStdin,
    answers: BufReader<ChildStdout>,
    seconds: Vec<f64>,
    losses: Vec<f32>,
}

impl Worker {
    /// Starts it and waits until it has warmed up.
    pub(crate) fn start(name: &'static str, command: &mut Command) -> Result<Self> {
        let piped = command.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut process = piped.spawn().with_context(|| format!("cannot start {command:?}"))?;
        let orders = process.stdin.take().context("no pipe to the worker")?;
        let answers = BufReader::new(process.stdout.take().context("no pipe from the worker")?);
        let mut worker = Self { name, process, orders, answers, seconds: Vec::new(), losses: Vec::new() };
        let first: Stepped = worker.read()?;
        worker.losses.push(first.loss);
        Ok(worker)
    }

    pub(crate) fn step(&mut self) -> Result<()> {
        let stepped: Stepped = match self.orders.write_all(b"\n") {
            Ok(()) => self.read()?,
            Err(_) => bail!("{} ended with {}", self.name, self.process.wait()?),
        };
        self.seconds.push(stepped.seconds);
        self.losses.push(stepped.loss);
        Ok(())
    }

    pub(crate) fn finish(self) -> Result<Measured> {
        let Self { name, mut process, orders, mut answers, mut seconds, losses } = self;
        drop(orders);
        let ended = read(name, &mut answers)?;
        ensure!(process.wait()?.success(), "{name} failed");
        seconds.sort_by(f64::total_cmp);
        Ok(Measured { name, seconds, losses, ended })
    }

    fn read<T: DeserializeOwned>(&mut self) -> Result<T> {
        read(self.name, &mut self.answers)
    }
}

fn read<T: DeserializeOwned>(name: &str, answers: &mut impl BufRead) -> Result<T> {
    let mut line = String::new();
    answers.read_line(&mut line)?;
    serde_json::from_str(&line).with_context(|| format!("{name} answered {line:?}"))
}

/// What a side took.
pub(crate) struct Measured {
    name: &'static str,
    seconds: Vec<f64>,
    losses: Vec<f32>,
    ended: Ended,
}

impl Measured {
    fn median(&self) -> f64 {
        self.seconds[self.seconds.len() / 2]
    }

    fn cpu(&self) -> f64 {
        self.ended.cpu_seconds / self.seconds.len() as f64
    }

    fn added(&self) -> f64 {
        self.ended.peak_mib - self.ended.before_mib
    }

    /// The ratios, as one line.
    pub(crate) fn beside(&self, other: &Self) -> String {
        format!(
            "speed {:.2}× by medians, {:.2}× by fastest steps, {:.2}× by processor time; peak memory {:.2}×, what the model added {:.2}×",
            other.median() / self.median(),
            other.seconds[0] / self.seconds[0],
            other.cpu() / self.cpu(),
            self.ended.peak_mib / other.ended.peak_mib,
            self.added() / other.added()
        )
    }

    /// The losses of the first step and the last, on both sides: equal where both compute the same.
    pub(crate) fn losses_beside(&self, other: &Self) -> String {
        let ends = |side: &Self| format!("{:.6} to {:.6}", side.losses[0], side.losses[side.losses.len() - 1]);
        format!("loss from {} ({}), {} ({})", ends(self), self.name, ends(other), other.name)
    }
}

impl fmt::Display for Measured {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [median, fastest, cpu] = [self.median(), self.seconds[0], self.cpu()].map(|seconds| seconds * 1e3);
        let (name, peak, added) = (self.name, self.ended.peak_mib, self.added());
        write!(
            f,
            "{name}: median {median:.0} ms a step, fastest {fastest:.0}, processor {cpu:.0}; peak {peak:.0} MiB, {added:.0} by the model"
        )
    }
}
