//! The command line: a file a subcommand.

mod doctor;
mod feedback;
mod generate;
mod keys;
mod pack;
mod registry;
mod score;
mod serve;

use std::{ffi::OsString, path::PathBuf};

use clap::{ArgMatches, CommandFactory, FromArgMatches, Parser, Subcommand};
use plaudit::settings::{FileSettings, Settings};

/// Stable Diffusion that learns from the people who look at its pictures.
#[derive(Debug, Parser)]
#[command(version, arg_required_else_help = true)]
pub(crate) struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Serve a pack over HTTP
    Serve(Box<serve::Arguments>),
    /// Make, list and revoke API keys
    Keys(keys::Arguments),
    /// Export, import, count and erase votes
    Feedback(feedback::Arguments),
    /// Draw pictures of a prompt
    Generate(generate::Arguments),
    /// Score pictures against prompts
    Score(score::Arguments),
    /// Find out what is missing before a server can run
    Doctor(doctor::Arguments),
    /// Make, check and describe packs
    Pack(pack::Arguments),
    /// Publish, promote, roll back, remove and explain versions
    Registry(registry::Arguments),
}

/// The subcommands whose settings may come from a file: the server, and those that speak of one.
const FROM_FILE: [&str; 5] = [SERVE, "doctor", "keys", "feedback", "registry"];
const SERVE: &str = "serve";

impl Cli {
    /// Reads the command line, and for [`FROM_FILE`] the file of settings under it. Leaves the process for `--help` and for
    /// arguments that cannot be read.
    pub(crate) fn read(arguments: impl IntoIterator<Item = OsString>) -> anyhow::Result<Self> {
        let arguments: Vec<OsString> = arguments.into_iter().collect();
        let plain = Self::command();
        let matches = plain.clone().get_matches_from(&arguments);
        let told = matches.subcommand().filter(|(name, _)| FROM_FILE.contains(name));
        let Some((name, told)) = told else { return Ok(Self::of(&matches)) };
        let named = told.get_one::<PathBuf>("config");
        let file = FileSettings::read(named.map(PathBuf::as_path))?;
        let over_file = plain.find_subcommand(name).cloned().unwrap_or_default();
        let over_file = file.apply(over_file, &Settings::names())?;
        let matches = plain.mut_subcommand(name, |_| over_file).get_matches_from(&arguments);
        if let Some(serve) = matches.subcommand_matches(SERVE)
            && serve.get_flag("print_settings")
        {
            print!("{}", Settings::table(serve, &file));
            std::process::exit(0);
        }
        Ok(Self::of(&matches))
    }

    fn of(matches: &ArgMatches) -> Self {
        Self::from_arg_matches(matches).unwrap_or_else(|error| error.exit())
    }

    /// Whether the command sets its own log up.
    pub(crate) fn logs_itself(&self) -> bool {
        matches!(self.command, Command::Serve(_))
    }

    /// Does what was asked for.
    pub(crate) fn run(self) -> anyhow::Result<()> {
        match self.command {
            Command::Serve(arguments) => serve::run(*arguments),
            Command::Keys(arguments) => keys::run(arguments),
            Command::Feedback(arguments) => feedback::run(arguments),
            Command::Generate(arguments) => generate::run(arguments),
            Command::Score(arguments) => score::run(arguments),
            Command::Doctor(arguments) => doctor::run(arguments),
            Command::Pack(arguments) => pack::run(arguments),
            Command::Registry(arguments) => registry::run(arguments),
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

/// Whether log lines may be coloured: for a terminal, unless NO_COLOR says otherwise; never for a file or a journal.
pub(crate) fn colours() -> bool {
    use std::io::IsTerminal;
    std::io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|set| set.is_empty())
}
