//! Settings: a struct for each subsystem, each field with its unit, default and trade-off.
//!
//! A setting has one name in three spellings: `--engine-max-rows` = `PLAUDIT_ENGINE_MAX_ROWS` = `[engine] max_rows` in
//! `plaudit.toml`. A flag wins over the environment, the environment over the file, the file over the default.

mod best_of;
mod cors;
mod device;
mod file;
mod limits;
mod log;
mod server;
mod table;
mod training;

use clap::{ArgMatches, Args, Command, FromArgMatches};

pub use best_of::BestOfSettings;
pub use cors::CorsSettings;
pub use device::DeviceChoice;
pub use file::{DEFAULT_FILE, FileError, FileSettings};
pub use limits::LimitSettings;
pub use log::{LogFormat, LogSettings};
pub use server::ServerSettings;
pub use training::TrainingSettings;

use crate::{
    engine::EngineSettings, feedback::FeedbackSettings, jobs::JobSettings, registry::RegistrySettings,
    scoring::ScoringSettings, store::StoreSettings, swap::SwapSettings, trial::TrialSettings,
};

/// Every setting of a server.
#[derive(Debug, Clone, PartialEq, clap::Args)]
#[allow(missing_docs)]
pub struct Settings {
    #[command(flatten)]
    pub server: ServerSettings,
    #[command(flatten)]
    pub limits: LimitSettings,
    #[command(flatten)]
    pub cors: CorsSettings,
    #[command(flatten)]
    pub engine: EngineSettings,
    #[command(flatten)]
    pub best_of: BestOfSettings,
    #[command(flatten)]
    pub jobs: JobSettings,
    #[command(flatten)]
    pub scoring: ScoringSettings,
    #[command(flatten)]
    pub store: StoreSettings,
    #[command(flatten)]
    pub registry: RegistrySettings,
    #[command(flatten)]
    pub swap: SwapSettings,
    #[command(flatten)]
    pub trial: TrialSettings,
    #[command(flatten)]
    pub feedback: FeedbackSettings,
    #[command(flatten)]
    pub training: TrainingSettings,
    #[command(flatten)]
    pub log: LogSettings,
}

impl Settings {
    /// The defaults with these flags; the environment and files are not looked at.
    ///
    /// # Errors
    /// Flags that do not exist or values that cannot be read.
    pub fn from_flags<'a>(flags: impl IntoIterator<Item = &'a str>) -> Result<Self, clap::Error> {
        let command = Self::augment_args(Command::new("plaudit").no_binary_name(true));
        let without_environment = command.get_arguments().map(|arg| arg.get_id().clone()).collect::<Vec<_>>();
        let command = without_environment
            .into_iter()
            .fold(command, |command, id| command.mut_arg(id, |arg| arg.env(None::<&'static str>)));
        Self::from_arg_matches(&command.try_get_matches_from(flags)?)
    }

    /// The dotted names of all settings, in the order of the help.
    pub fn names() -> Vec<String> {
        let command = Self::augment_args(Command::new("plaudit"));
        command.get_arguments().map(|arg| arg.get_id().to_string()).collect()
    }

    /// An aligned table of all settings: value, unit, default, origin. Secrets are masked.
    pub fn table(matches: &ArgMatches, file: &FileSettings) -> String {
        let plain = Self::augment_args(Command::new("plaudit"));
        table::table(&plain, &Self::names(), matches, file)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_setting_is_spelled_alike_as_flag_variable_and_in_the_file() {
        let command = Settings::augment_args(Command::new("plaudit"));
        for arg in command.get_arguments() {
            let id = arg.get_id().as_str();
            assert_eq!(arg.get_long(), Some(id.replace(['.', '_'], "-").as_str()));
            assert_eq!(arg.get_env().and_then(|name| name.to_str()), Some(table::variable(id).as_str()));
            assert!(arg.get_help().is_some(), "{id} says nothing");
        }
    }

    #[test]
    fn a_file_is_overruled_by_a_flag_and_overrules_the_default() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("plaudit.toml");
        let text = "listen = \"127.0.0.1:9\"\nallow_anonymous = true\n[engine]\nmax_rows = 8\n[cors]\norigins = [\"https://a\", \"https://b\"]";
        std::fs::write(&path, text).unwrap();
        let file = FileSettings::read(Some(&path)).unwrap();
        let plain = Settings::augment_args(Command::new("plaudit").no_binary_name(true));
        let command = file.apply(plain, &Settings::names()).unwrap();
        let matches = command.try_get_matches_from(["--listen", "127.0.0.1:10"]).unwrap();
        let settings = Settings::from_arg_matches(&matches).unwrap();
        assert_eq!((settings.server.listen.port(), settings.engine.max_rows), (10, 8));
        assert!(settings.server.allow_anonymous);
        assert_eq!(settings.cors.origins, ["https://a", "https://b"]);
        let table = Settings::table(&matches, &file);
        let line = |name: &str| table.lines().find(|line| line.starts_with(name)).unwrap().to_owned();
        assert!(line("listen").ends_with("flag --listen"), "{table}");
        assert!(line("engine.max_rows").contains("rows"), "{table}");
        assert!(line("engine.max_rows").ends_with(&format!("file {}", path.display())), "{table}");
        assert!(line("limits.rate").ends_with("default"), "{table}");
    }

    #[test]
    fn unknown_names_in_a_file_are_all_told() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("plaudit.toml");
        std::fs::write(&path, "colour = 1\n[engine]\nmax_rows = 8\nmax_cows = 3").unwrap();
        let file = FileSettings::read(Some(&path)).unwrap();
        let error = file.apply(Settings::augment_args(Command::new("plaudit")), &Settings::names()).unwrap_err();
        assert!(error.to_string().contains("colour, engine.max_cows"), "{error}");
    }
}
