//! `--print-settings`: every setting with its value, unit, default and origin.

use std::ffi::OsStr;

use clap::{Arg, ArgMatches, Command, parser::ValueSource};

use super::FileSettings;

/// Names that end so are secrets.
const SECRET: [&str; 5] = ["secret", "password", "token", "_key", "store.database"];
/// What is shown of a secret.
const MASK: &str = "********";

/// The table. `plain` is the command without the file's values: it knows the defaults.
pub(super) fn table(plain: &Command, known: &[String], matches: &ArgMatches, file: &FileSettings) -> String {
    let header = ["setting", "value", "unit", "default", "origin"].map(str::to_owned);
    let args = known.iter().filter_map(|id| plain.get_arguments().find(|arg| arg.get_id() == id));
    let rows: Vec<[String; 5]> = std::iter::once(header).chain(args.map(|arg| row(arg, matches, file))).collect();
    let width = |column: usize| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or(0);
    let widths: [usize; 5] = std::array::from_fn(width);
    let line = |row: &[String; 5]| {
        let cells = row.iter().zip(widths).map(|(cell, width)| format!("{cell:width$}"));
        cells.collect::<Vec<_>>().join("  ").trim_end().to_owned() + "\n"
    };
    rows.iter().map(line).collect()
}

fn row(arg: &Arg, matches: &ArgMatches, file: &FileSettings) -> [String; 5] {
    let id = arg.get_id().as_str();
    let value = join(matches.get_raw(id).into_iter().flatten());
    let unit = arg.get_value_names().and_then(|names| names.first()).map_or("", |name| name.as_str());
    let default = join(arg.get_default_values().iter().map(|value| value.as_os_str()));
    let flag = !arg.get_action().takes_values();
    [
        id.to_owned(),
        shown(id, value),
        unit.replace('_', " ").to_lowercase(),
        if flag { "false".to_owned() } else { shown(id, default) },
        origin(id, matches, file),
    ]
}

fn origin(id: &str, matches: &ArgMatches, file: &FileSettings) -> String {
    match matches.value_source(id) {
        Some(ValueSource::CommandLine) => format!("flag --{}", id.replace(['.', '_'], "-")),
        Some(ValueSource::EnvVariable) => format!("environment {}", variable(id)),
        _ if file.names(id) => format!("file {}", file.path.display()),
        _ => "default".to_owned(),
    }
}

/// The name in the environment.
pub(super) fn variable(id: &str) -> String {
    format!("PLAUDIT_{}", id.replace('.', "_").to_uppercase())
}

fn join<'a>(values: impl Iterator<Item = &'a OsStr>) -> String {
    values.map(|value| value.to_string_lossy()).collect::<Vec<_>>().join(",")
}

fn shown(id: &str, value: String) -> String {
    let secret = SECRET.iter().any(|ending| id.ends_with(ending));
    match value.as_str() {
        "" => "-".to_owned(),
        _ if secret => MASK.to_owned(),
        _ => value,
    }
}

#[cfg(test)]
mod tests {
    use super::shown;

    #[test]
    fn secrets_are_masked_and_absent_values_are_dashes() {
        let cases = [
            ("store.s3_secret", "hunter2", "********"),
            ("store.access_key", "hunter2", "********"),
            ("store.password", "", "-"),
            ("store.database", "postgres://plaudit:hunter2@db/plaudit", "********"),
            ("store.database", "", "-"),
            ("engine.max_rows", "8", "8"),
            ("server.keep_alive", "75", "75"),
        ];
        for (id, value, expected) in cases {
            assert_eq!(shown(id, value.to_owned()), expected, "{id}");
        }
    }
}
