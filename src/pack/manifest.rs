//! What a pack consists of, by content.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::hash;

/// The manifest's file name, at the top of a pack.
pub const MANIFEST: &str = "manifest.json";

/// The format that this code writes and reads.
pub const FORMAT: u32 = 1;

/// Digits of a manifest's hash that name a version.
pub(crate) const VERSION_DIGITS: usize = 12;

/// A pack's parts, each named by the SHA-256 of its content.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    /// [`FORMAT`].
    pub format: u32,
    /// What people call the pack.
    pub name: String,
    /// Graphs, tokenizer and scheduler by name.
    pub components: BTreeMap<String, Entry>,
    /// Files at the top of the pack: `model_index.json` and the golden outputs.
    pub files: BTreeMap<String, FileFacts>,
    /// Where a tuned pack comes from; imported packs have none.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub lineage: Option<PackLineage>,
}

/// What a tuned pack was made from. Publishing takes it where nothing else is said.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PackLineage {
    /// Version of the pack that was tuned.
    pub parent: String,
    /// First and last event of the votes, where they come from an event log.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub events: Option<(i64, i64)>,
    /// SHA-256 over the rows of those events, as their `export.json` has it.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub events_sha256: Option<String>,
    /// SHA-256 over everything that was learned from.
    pub data_sha256: String,
    /// How it was trained; any JSON.
    pub training: Value,
}

/// One part: equal parts of different packs have equal hashes, so that stores and sessions can share them.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Entry {
    /// The part's own hash: over its files' names and hashes.
    pub sha256: String,
    /// Its files by their path inside the pack.
    pub files: BTreeMap<String, FileFacts>,
    /// What is known of its graph, if it has one.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub graph: Option<GraphFacts>,
}

/// A file's content.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FileFacts {
    /// SHA-256 in hexadecimal.
    pub sha256: String,
    /// Length.
    pub bytes: u64,
}

/// A graph's facts, for people and for checks.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GraphFacts {
    /// Version of ONNX's own operators.
    pub opset: i64,
    /// Numbers in floating-point initializers that are no scalars.
    pub parameters: u64,
    /// Edits that the import made, by label.
    #[serde(default)]
    pub edits: Vec<String>,
    /// Largest relative L2 distance from the golden outputs.
    pub tolerance: f64,
}

impl Entry {
    /// A part of these files.
    pub fn new(files: BTreeMap<String, FileFacts>, graph: Option<GraphFacts>) -> Self {
        Self { sha256: Self::digest(&files), files, graph }
    }

    /// The hash over names and hashes, as `sha256sum` lists them.
    pub fn digest(files: &BTreeMap<String, FileFacts>) -> String {
        let lines: String = files.iter().map(|(path, facts)| format!("{}  {path}\n", facts.sha256)).collect();
        hash::bytes(lines.as_bytes())
    }
}

impl Manifest {
    /// Every file that the manifest names, by path.
    pub fn all_files(&self) -> impl Iterator<Item = (&String, &FileFacts)> {
        self.components.values().flat_map(|entry| &entry.files).chain(&self.files)
    }

    /// The text that is stored; the version is its hash.
    pub fn to_json(&self) -> String {
        // Serialising maps with text keys and numbers cannot fail.
        serde_json::to_string_pretty(self).unwrap_or_default() + "\n"
    }

    /// `name@` and the first digits of the manifest's hash.
    pub fn version(&self) -> String {
        let digest = hash::bytes(self.to_json().as_bytes());
        format!("{}@{}", self.name, &digest[..VERSION_DIGITS])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn manifest() -> Manifest {
        let facts = |text: &str| FileFacts { sha256: hash::bytes(text.as_bytes()), bytes: text.len() as u64 };
        let files = BTreeMap::from([("unet/model.onnx".to_owned(), facts("graph"))]);
        let graph = GraphFacts { opset: 18, parameters: 3, edits: vec!["an edit".into()], tolerance: 1e-4 };
        Manifest {
            format: FORMAT,
            name: "tiny".into(),
            components: BTreeMap::from([("unet".to_owned(), Entry::new(files, Some(graph)))]),
            files: BTreeMap::from([("model_index.json".to_owned(), facts("{}"))]),
            lineage: None,
        }
    }

    #[test]
    fn a_manifest_reads_back_and_its_version_is_its_content() {
        let manifest = manifest();
        assert_eq!(serde_json::from_str::<Manifest>(&manifest.to_json()).unwrap(), manifest);
        let lineage =
            PackLineage { parent: "tiny@0123456789ab".into(), events: Some((1, 9)), ..PackLineage::default() };
        let tuned = Manifest { lineage: Some(lineage), ..manifest.clone() };
        assert_eq!(serde_json::from_str::<Manifest>(&tuned.to_json()).unwrap(), tuned);
        assert_ne!(manifest.version(), tuned.version());
        let mut other = manifest.clone();
        other.components.get_mut("unet").unwrap().files.get_mut("unet/model.onnx").unwrap().bytes += 1;
        assert_ne!(manifest.version(), other.version());
        assert_eq!(manifest.version().len(), "tiny@".len() + VERSION_DIGITS);
    }

    #[test]
    fn unknown_fields_are_refused() {
        let text = manifest().to_json().replace("\"name\"", "\"nickname\": \"t\", \"name\"");
        assert!(serde_json::from_str::<Manifest>(&text).unwrap_err().to_string().contains("nickname"));
    }
}
