//! The four files that transformers' `CLIPTokenizer` reads.

use std::{fs, io, path::Path};

use serde_json::{Map, Value, json};

use super::{END, LENGTH, START, Vocabulary};

/// A file could not be written.
#[derive(Debug, thiserror::Error)]
#[error("cannot write {path}: {source}; check that the directory can be written")]
pub struct WriteError {
    path: String,
    source: io::Error,
}

pub(super) fn write(vocabulary: &Vocabulary, directory: &Path) -> Result<(), WriteError> {
    let save = |name: &str, text: String| {
        let path = directory.join(name);
        let failed = |source| WriteError { path: path.display().to_string(), source };
        fs::create_dir_all(directory).and_then(|()| fs::write(&path, text)).map_err(failed)
    };
    save("vocab.json", pretty(&ids(vocabulary)))?;
    save("merges.txt", merges(vocabulary))?;
    save("tokenizer_config.json", pretty(&settings()))?;
    save("special_tokens_map.json", pretty(&markers()))
}

fn pretty(value: &Value) -> String {
    format!("{value:#}\n")
}

fn ids(vocabulary: &Vocabulary) -> Value {
    let all = vocabulary.tokens.iter().map(String::as_str).chain([START, END]);
    Value::Object(all.zip(0u32..).map(|(token, id)| (token.to_owned(), json!(id))).collect::<Map<_, _>>())
}

fn merges(vocabulary: &Vocabulary) -> String {
    let lines = vocabulary.merges.iter().map(|(left, right)| format!("{left} {right}\n"));
    std::iter::once("#version: 0.2\n".to_owned()).chain(lines).collect()
}

fn marker(text: &str) -> Value {
    json!({"content": text, "lstrip": false, "normalized": true, "rstrip": false, "single_word": false})
}

fn markers() -> Value {
    json!({"bos_token": marker(START), "eos_token": marker(END), "unk_token": marker(END), "pad_token": END})
}

fn settings() -> Value {
    let added = |text: &str| {
        let mut value = marker(text);
        value["__type"] = json!("AddedToken");
        value
    };
    json!({
        "add_prefix_space": false,
        "do_lower_case": true,
        "errors": "replace",
        "model_max_length": LENGTH,
        "bos_token": added(START),
        "eos_token": added(END),
        "unk_token": added(END),
        "pad_token": END,
        "tokenizer_class": "CLIPTokenizer",
    })
}
