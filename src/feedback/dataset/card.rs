//! The card of a dataset: `README.md` with a head in YAML that Hugging Face reads.

use std::fmt::Write as _;

use super::{
    ExportFacts, Format,
    columns::{COLUMNS, Kind, dtype},
};

/// What stands for a licence until somebody chooses one: Hugging Face's own word for it.
pub const DEFAULT_LICENCE: &str = "unknown";

/// What a card says that the rows do not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Card {
    /// The heading.
    pub title: String,
    /// A paragraph: where pictures and votes come from.
    pub collected: String,
    /// The identifier of a licence, as Hugging Face lists them.
    pub licence: String,
}

impl Default for Card {
    fn default() -> Self {
        Self {
            title: "Votes on generated pictures".into(),
            collected: "Pictures were drawn by Plaudit from people's prompts; people gave thumbs up or down.".into(),
            licence: DEFAULT_LICENCE.into(),
        }
    }
}

impl Card {
    /// The text of the card.
    pub(super) fn text(&self, format: Format, facts: &ExportFacts) -> String {
        let mut text = self.head(format);
        let Self { title, collected, licence } = self;
        let ExportFacts { rows, images, from_sequence, to_sequence, rows_sha256, .. } = facts;
        let _ = write!(
            text,
            "# {title}\n\n{rows} votes on {images} pictures; a row a vote, in the order of the votes.\n\n\
             {collected}\n\n\
             Read it with `datasets.load_dataset(\"path/to/this/directory\")`, or with `plaudit feedback import`.\n\n\
             Events {from_sequence} to {to_sequence} of the log; SHA-256 over the rows `{rows_sha256}` (`export.json`).\n\n\
             Licence: {licence}.\n\n| column | kind | meaning |\n|---|---|---|\n"
        );
        if format == Format::Parquet {
            text.push_str("| `image` | image | the picture's file: {bytes, path} |\n");
        }
        for column in &COLUMNS {
            let list = if column.kind == Kind::Texts { "list of " } else { "" };
            let _ = writeln!(text, "| `{}` | {list}{} | {} |", column.name, dtype(column.kind), column.meaning);
        }
        text
    }

    fn head(&self, format: Format) -> String {
        // JSON's strings are YAML's.
        let quoted = |text: &str| serde_json::Value::from(text).to_string();
        let path = match format {
            Format::JsonLines => "data/**",
            Format::Parquet => "data/train-*.parquet",
        };
        format!(
            "---\nlicense: {}\npretty_name: {}\ntags:\n- human-feedback\n- text-to-image\nconfigs:\n- config_name: default\n  \
             data_files:\n  - split: train\n    path: {}\n---\n\n",
            quoted(&self.licence),
            quoted(&self.title),
            quoted(path)
        )
    }
}
