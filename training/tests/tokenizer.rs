//! The miniature pack's tokenizer gives the ids that transformers' CLIPTokenizer gives.

use std::path::Path;

use plaudit::pipeline::tokenize::Tokenizer;
use serde::Deserialize;

#[derive(Deserialize)]
struct Golden {
    rows: Vec<Row>,
}

#[derive(Deserialize)]
struct Row {
    text: String,
    ids: Vec<i64>,
}

#[test]
fn ids_are_those_of_transformers() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let text = std::fs::read(root.join("tests/golden/tokenizer.json")).unwrap();
    let golden: Golden = serde_json::from_slice(&text).unwrap();
    let tokenizer = Tokenizer::open(&root.join("../onnx/packs/miniature/tokenizer")).unwrap();
    let differs: Vec<&str> = golden
        .rows
        .iter()
        .filter(|row| tokenizer.encode(&row.text).unwrap().ids != row.ids)
        .map(|row| row.text.as_str())
        .collect();
    assert!(differs.is_empty(), "{differs:?}");
    assert!(golden.rows.len() >= 10);
}
