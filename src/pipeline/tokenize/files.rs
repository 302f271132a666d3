//! The files of a `tokenizer/` folder, in any of the forms that Stable Diffusion exports have.

use std::path::Path;

use serde_json::{Map, Value, json};

use super::TokenizeError;

/// Marks the last piece of a word in CLIP's vocabulary.
pub(super) const END_OF_WORD: &str = "</w>";
/// CLIP's words: markers, English contractions, runs of letters, single digits, runs of anything else that is visible.
const WORDS: &str = r"<\|startoftext\|>|<\|endoftext\|>|'s|'t|'re|'ve|'m|'ll|'d|[\p{L}]+|[\p{N}]|[^\s\p{L}\p{N}]+";
/// CLIP's markers, where the files do not name others.
const START: &str = "<|startoftext|>";
const END: &str = "<|endoftext|>";

/// What the files say.
pub(super) struct Files {
    /// In tokenizer.json's format.
    pub(super) tokenizer: Value,
    /// `model_max_length`.
    pub(super) length: usize,
    /// The end marker.
    pub(super) end: String,
    /// What fills the rest.
    pub(super) padding: String,
}

pub(super) fn read(folder: &Path) -> Result<Files, TokenizeError> {
    let faulty = |fault: &str| TokenizeError::Faulty { folder: folder.to_owned(), fault: fault.to_owned() };
    let config = object(&folder.join("tokenizer_config.json"))?.unwrap_or_default();
    let map = object(&folder.join("special_tokens_map.json"))?.unwrap_or_default();
    let markers = Markers { config: &config, map: &map };
    let length = config.get("model_max_length").and_then(Value::as_u64);
    let length =
        length.filter(|&length| length > 1).ok_or_else(|| faulty("tokenizer_config.json has no model_max_length"))?;
    let tokenizer = match (object(&folder.join("vocab.json"))?, text(&folder.join("merges.txt"))?) {
        (Some(vocabulary), Some(merges)) => {
            from_vocabulary(vocabulary, &merges, &markers).ok_or_else(|| faulty("a marker is not in vocab.json"))?
        }
        _ => match object(&folder.join("tokenizer.json"))? {
            Some(tokenizer) => Value::Object(tokenizer),
            None => return Err(TokenizeError::Missing { folder: folder.to_owned() }),
        },
    };
    let length = usize::try_from(length).map_err(|_| faulty("model_max_length is too large"))?;
    Ok(Files { tokenizer, length, end: markers.token("eos_token", END), padding: markers.token("pad_token", END) })
}

/// A tokenizer.json like the one that transformers makes of CLIP's two files.
fn from_vocabulary(vocabulary: Map<String, Value>, merges: &str, markers: &Markers<'_>) -> Option<Value> {
    let (start, end) = (markers.token("bos_token", START), markers.token("eos_token", END));
    let (start_id, end_id) = (vocabulary.get(&start)?.clone(), vocabulary.get(&end)?.clone());
    let added = [(&start, &start_id), (&end, &end_id)].map(|(token, id)| markers.added(token, id));
    let merges: Vec<Value> = merges
        .lines()
        .filter(|line| !line.starts_with("#version") && !line.trim().is_empty())
        .filter_map(|line| line.split_once(' ').map(|(a, b)| json!([a, b.trim_end()])))
        .collect();
    Some(json!({
        "version": "1.0", "truncation": null, "padding": null, "added_tokens": added,
        "normalizer": {"type": "Sequence", "normalizers": [
            {"type": "NFC"}, {"type": "Replace", "pattern": {"Regex": r"\s+"}, "content": " "}, {"type": "Lowercase"},
        ]},
        "pre_tokenizer": {"type": "Sequence", "pretokenizers": [
            {"type": "Split", "pattern": {"Regex": WORDS}, "behavior": "Removed", "invert": true},
            {"type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true, "use_regex": true},
        ]},
        "post_processor": {
            "type": "RobertaProcessing", "sep": [end, end_id], "cls": [start, start_id],
            "trim_offsets": false, "add_prefix_space": false,
        },
        "decoder": {"type": "ByteLevel", "add_prefix_space": true, "trim_offsets": true, "use_regex": true},
        "model": {
            "type": "BPE", "dropout": null, "unk_token": markers.token("unk_token", END), "continuing_subword_prefix": "",
            "end_of_word_suffix": END_OF_WORD, "fuse_unk": false, "byte_fallback": false, "ignore_merges": false,
            "vocab": vocabulary, "merges": merges,
        },
    }))
}

/// The named markers. As transformers reads them: special_tokens_map.json wins over tokenizer_config.json, unless the latter
/// lists `added_tokens_decoder`; then the former is not read.
struct Markers<'a> {
    config: &'a Map<String, Value>,
    map: &'a Map<String, Value>,
}

impl Markers<'_> {
    fn named(&self, name: &str) -> Option<&Value> {
        let map = self.decoder().is_none().then(|| self.map.get(name)).flatten();
        map.or_else(|| self.config.get(name)).filter(|value| !value.is_null())
    }

    fn decoder(&self) -> Option<&Map<String, Value>> {
        self.config.get("added_tokens_decoder").and_then(Value::as_object)
    }

    /// The text of a marker.
    fn token(&self, name: &str, default: &str) -> String {
        self.named(name).and_then(content).unwrap_or(default).to_owned()
    }

    /// An entry of `added_tokens`. Of several names for one marker the last decides whether it is matched in the
    /// normalized text; a marker written as a plain string is matched before normalization.
    fn added(&self, token: &str, id: &Value) -> Value {
        let listed = self.decoder().and_then(|decoder| decoder.values().find(|entry| content(entry) == Some(token)));
        let names = ["bos_token", "eos_token", "unk_token", "pad_token"];
        let named = names.iter().rev().find_map(|name| self.named(name).filter(|value| content(value) == Some(token)));
        let flag =
            |key: &str| listed.or(named).and_then(|entry| entry.get(key)).and_then(Value::as_bool).unwrap_or(false);
        json!({
            "id": id, "content": token, "single_word": flag("single_word"), "lstrip": flag("lstrip"), "rstrip": flag("rstrip"),
            "normalized": flag("normalized"), "special": true,
        })
    }
}

/// A marker is a string or an object with its `content`.
fn content(value: &Value) -> Option<&str> {
    value.as_str().or_else(|| value.get("content")?.as_str())
}

fn text(path: &Path) -> Result<Option<String>, TokenizeError> {
    match std::fs::read_to_string(path) {
        Ok(text) => Ok(Some(text)),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(source) => Err(TokenizeError::File { path: path.to_owned(), source }),
    }
}

fn object(path: &Path) -> Result<Option<Map<String, Value>>, TokenizeError> {
    let parse = |text: String| serde_json::from_str(&text);
    text(path)?.map(parse).transpose().map_err(|source| TokenizeError::Json { path: path.to_owned(), source })
}
