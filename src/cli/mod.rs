//! The command line: a file a subcommand.

mod doctor;
mod generate;
mod pack;

use clap::{Parser, Subcommand};

/// Stable Diffusion that learns from the people who look at its pictures.
#[derive(Debug, Parser)]
#[command(version, arg_required_else_help = true)]
pub(crate) struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Draw pictures of a prompt
    Generate(generate::Arguments),
    /// Find out what is missing before a server can run
    Doctor(doctor::Arguments),
    /// Make, check and describe packs
    Pack(pack::Arguments),
}

impl Cli {
    /// Does what was asked for.
    pub(crate) fn run(self) -> anyhow::Result<()> {
        match self.command {
            Command::Generate(arguments) => generate::run(arguments),
            Command::Doctor(arguments) => doctor::run(arguments),
            Command::Pack(arguments) => pack::run(arguments),
        }
    }
}

/// The error and its causes, each said once: many messages quote their cause already.
pub(crate) fn explain(error: &anyhow::Error) -> String {
    error.chain().map(ToString::to_string).fold(String::new(), |said, cause| match said.as_str() {
        "" => cause,
        _ if said.contains(&cause) => said,
        _ => format!("{said}: {cause}"),
    })
}
