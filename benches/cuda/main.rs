//! What a GPU is to be measured for, one subcommand each; `benches/cuda.sh` runs them all. Every one runs on a processor too (`--device cpu`), which
//! proves that it works and measures nothing of interest.
//!
//! ```sh
//! cargo bench -p plaudit-training --bench cuda --no-run                      # build beforehand, on any x86-64 machine
//! cuda unet --pack onnx/packs/miniature --device cpu --rows 1,2 --calls 3
//! ```

mod denoiser;
mod images;
mod materialise;
mod memory;
mod sessions;
mod terminate;
mod train;
mod unet;

use std::path::PathBuf;

use anyhow::Result;
use clap::{Args, Parser, Subcommand};
use plaudit::{
    pack::Pack,
    runtime::{Device, SessionSettings},
};

#[derive(Debug, Parser)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
    /// What `cargo bench` adds.
    #[arg(long, hide = true, global = true)]
    bench: bool,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Give an export without weights random ones
    Materialise(materialise::Arguments),
    /// Calls of the denoiser a second by rows and precision, and how far from the processor's fp32
    Unet(unet::Arguments),
    /// Seconds for a picture, prompt to pixels
    Images(images::Arguments),
    /// Memory while sessions come and go
    Sessions(sessions::Arguments),
    /// How soon a call that is told to stop has stopped
    Terminate(terminate::Arguments),
    /// A training step: forward, backward, update
    Train(train::Arguments),
}

/// A pack and where to run it.
#[derive(Debug, Args)]
pub(crate) struct Place {
    /// The pack.
    #[arg(long, default_value = "onnx/packs/miniature")]
    pack: PathBuf,
    /// cpu, cuda or cuda:N.
    #[arg(long, default_value_t = Device::Cuda(0))]
    device: Device,
}

impl Place {
    fn open(&self) -> Result<Pack> {
        Ok(Pack::open(&self.pack)?)
    }

    fn settings(&self) -> SessionSettings {
        SessionSettings { device: self.device, ..SessionSettings::default() }
    }
}

fn main() -> Result<()> {
    match Arguments::parse().command {
        Command::Materialise(arguments) => materialise::run(&arguments),
        Command::Unet(arguments) => unet::run(&arguments),
        Command::Images(arguments) => images::run(&arguments),
        Command::Sessions(arguments) => sessions::run(&arguments),
        Command::Terminate(arguments) => terminate::run(&arguments),
        Command::Train(arguments) => train::run(&arguments),
    }
}
