//! `plaudit.toml`: the third spelling of every setting.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

use clap::Command;

/// The file that is read where none is named, if it is there.
pub const DEFAULT_FILE: &str = "plaudit.toml";

/// Why a file of settings cannot be used.
#[derive(Debug, thiserror::Error)]
#[allow(missing_docs)]
pub enum FileError {
    #[error("cannot read {path}: {source}", path = path.display())]
    Read { path: PathBuf, source: std::io::Error },
    #[error("{path} is not TOML: {source}", path = path.display())]
    Toml { path: PathBuf, source: Box<toml::de::Error> },
    #[error("{path} has settings that do not exist: {}; `plaudit serve --print-settings` lists all that do", names.join(", "), path = path.display())]
    Unknown { path: PathBuf, names: Vec<String> },
    #[error("{path}: {name} is neither a text, a number, true or false, nor a list of those", path = path.display())]
    Value { path: PathBuf, name: String },
}

/// The settings that a file names, by their dotted names.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct FileSettings {
    pub(super) path: PathBuf,
    values: BTreeMap<String, String>,
}

impl FileSettings {
    /// Reads the file named, or [`DEFAULT_FILE`] where it is there.
    ///
    /// # Errors
    /// A named file that is missing, or one that is not TOML of plain values.
    pub fn read(named: Option<&Path>) -> Result<Self, FileError> {
        let path = named.unwrap_or(Path::new(DEFAULT_FILE));
        match fs::read_to_string(path) {
            Ok(text) => Self::parse(path, &text),
            Err(error) if named.is_none() && error.kind() == std::io::ErrorKind::NotFound => Ok(Self::default()),
            Err(source) => Err(FileError::Read { path: path.to_owned(), source }),
        }
    }

    fn parse(path: &Path, text: &str) -> Result<Self, FileError> {
        let toml = |source| FileError::Toml { path: path.to_owned(), source: Box::new(source) };
        let table: toml::Table = text.parse().map_err(toml)?;
        let mut values = BTreeMap::new();
        for (key, value) in &table {
            flatten(key.clone(), value, &mut values)
                .map_err(|name| FileError::Value { path: path.to_owned(), name })?;
        }
        Ok(Self { path: path.to_owned(), values })
    }

    /// Whether the file names this setting.
    pub fn names(&self, id: &str) -> bool {
        self.values.contains_key(id)
    }

    /// The command with the file's values in the place of its defaults; settings that it does not have are left out.
    ///
    /// # Errors
    /// With all names that are not among those `known`.
    pub fn apply(&self, mut command: Command, known: &[String]) -> Result<Command, FileError> {
        let unknown: Vec<String> = self.values.keys().filter(|key| !known.contains(key)).cloned().collect();
        if !unknown.is_empty() {
            return Err(FileError::Unknown { path: self.path.clone(), names: unknown });
        }
        let has = |id: &str| command.get_arguments().any(|arg| arg.get_id() == id);
        let of_command: Vec<_> = self.values.iter().filter(|(id, _)| has(id)).collect();
        for (id, value) in of_command {
            // clap keeps defaults for the life of the process, and so do we: a file is read once.
            let value: &'static str = Box::leak(value.clone().into_boxed_str());
            command = command.mut_arg(id, |arg| arg.default_value(value));
        }
        Ok(command)
    }
}

/// `[engine] max_rows = 8` becomes `engine.max_rows`. A list becomes its elements between commas.
fn flatten(name: String, value: &toml::Value, into: &mut BTreeMap<String, String>) -> Result<(), String> {
    if let toml::Value::Table(table) = value {
        return table.iter().try_for_each(|(key, value)| flatten(format!("{name}.{key}"), value, into));
    }
    let text = match value {
        toml::Value::Array(list) => list.iter().map(plain).collect::<Option<Vec<_>>>().map(|list| list.join(",")),
        value => plain(value),
    };
    into.insert(name.clone(), text.ok_or(name)?);
    Ok(())
}

fn plain(value: &toml::Value) -> Option<String> {
    match value {
        toml::Value::String(text) => Some(text.clone()),
        toml::Value::Integer(number) => Some(number.to_string()),
        toml::Value::Float(number) => Some(number.to_string()),
        toml::Value::Boolean(flag) => Some(flag.to_string()),
        _ => None,
    }
}
