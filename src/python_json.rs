//! JSON as Python's `json` module writes it.

use serde::de::DeserializeOwned;

/// Parses JSON in which infinities and NaN may stand bare, as in the `lambda_min_clipped` that diffusers saves: they are read as
/// the strings `"-Infinity"`, `"Infinity"` and `"NaN"`.
pub(crate) fn parse<T: DeserializeOwned>(text: &str) -> Result<T, serde_json::Error> {
    serde_json::from_str(&quote_non_finite(text))
}

fn quote_non_finite(text: &str) -> String {
    let mut in_string = false;
    let mut escaped = false;
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let word = ["-Infinity", "Infinity", "NaN"].into_iter().find(|word| !in_string && rest.starts_with(word));
        if let Some(word) = word {
            out.extend(["\"", word, "\""]);
            rest = &rest[word.len()..];
            continue;
        }
        if first == '"' && !escaped {
            in_string = !in_string;
        }
        escaped = in_string && first == '\\' && !escaped;
        out.push(first);
        rest = &rest[first.len_utf8()..];
    }
    out
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    #[test]
    fn bare_words_become_strings_and_strings_stay() {
        let text = r#"{"a": -Infinity, "b": [Infinity, NaN], "c": "-Infinity", "d\\\"NaN": 1, "e": "\\"}"#;
        let expected = json!({"a": "-Infinity", "b": ["Infinity", "NaN"], "c": "-Infinity", "d\\\"NaN": 1, "e": "\\"});
        assert_eq!(parse::<Value>(text).unwrap(), expected);
    }
}
