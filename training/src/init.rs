//! Initial weights from rules and a seed.
//!
//! `init.json`, beside a graph, lists for each parameter what its PyTorch class would draw; with a seed that is enough to start from nothing.
//! Each parameter has a generator of its own, named by the parameter: its values depend on no other parameter.

use std::{
    borrow::Cow,
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

use plaudit_onnx::{DType, Tensor};
use safetensors::{Dtype, View};
use serde::Deserialize;

use crate::random::Random;

/// One parameter's rule.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct Rule {
    /// The parameter's name in the graph.
    pub name: String,
    /// Its shape.
    pub shape: Vec<usize>,
    /// How its elements are drawn.
    #[serde(flatten)]
    pub init: Init,
}

/// How elements are drawn.
#[derive(Debug, Clone, Copy, PartialEq, Deserialize)]
#[serde(tag = "init", rename_all = "snake_case")]
pub enum Init {
    /// Uniform in [−bound, bound); PyTorch's Kaiming uniform with a = √5 has bound 1/√fan_in.
    Uniform {
        /// The bound.
        bound: f32,
    },
    /// Normal of mean 0.
    Normal {
        /// The standard deviation.
        std: f32,
    },
    /// All zero.
    Zeros,
    /// All one.
    Ones,
}

/// Why initial weights cannot be made.
#[derive(Debug, thiserror::Error)]
pub enum InitError {
    /// A file cannot be read or written.
    #[error("cannot {action} {path}: {source}")]
    Io {
        /// What was tried.
        action: &'static str,
        /// The file.
        path: PathBuf,
        /// The system's answer.
        source: std::io::Error,
    },
    /// The rules are none.
    #[error("{path} holds no initialisation rules: {source}; onnx/export.py writes them beside each graph")]
    Rules {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        source: serde_json::Error,
    },
    /// The weights file cannot be made.
    #[error("cannot write {path}: {source}")]
    Tensors {
        /// The file.
        path: PathBuf,
        /// The library's answer.
        source: safetensors::SafeTensorError,
    },
}

impl Rule {
    /// The parameter's elements for a seed.
    pub fn draw(&self, seed: u64) -> Tensor {
        let mut random = Random::stream(seed, &self.name);
        let mut values = vec![0.0; self.shape.iter().product()];
        match self.init {
            Init::Uniform { bound } => values.iter_mut().for_each(|value| *value = random.uniform(-bound, bound)),
            Init::Normal { std } => values.iter_mut().for_each(|value| *value = std * random.normal()),
            Init::Zeros => {}
            Init::Ones => values.fill(1.0),
        }
        Tensor::f32(&self.shape, &values)
    }
}

/// Reads a graph's rules.
///
/// # Errors
/// If the file is missing or holds something else.
pub fn read_rules(path: &Path) -> Result<Vec<Rule>, InitError> {
    let text = fs::read(path).map_err(|source| InitError::Io { action: "read", path: path.to_owned(), source })?;
    serde_json::from_slice(&text).map_err(|source| InitError::Rules { path: path.to_owned(), source })
}

/// Draws every parameter.
pub fn draw(rules: &[Rule], seed: u64) -> BTreeMap<String, Tensor> {
    rules.iter().map(|rule| (rule.name.clone(), rule.draw(seed))).collect()
}

/// Writes tensors as safetensors in the library's own order, where a graph made by `onnx/export.py` expects them.
///
/// # Errors
/// If the file cannot be written.
pub fn write_weights(path: &Path, tensors: &BTreeMap<String, Tensor>) -> Result<(), InitError> {
    let views = tensors.iter().map(|(name, tensor)| (name, Weights(tensor)));
    safetensors::serialize_to_file(views, None, path)
        .map_err(|source| InitError::Tensors { path: path.to_owned(), source })
}

/// Copies a graph that came without weights into the directory `out` and puts freshly drawn `model.safetensors` beside it.
///
/// `graph` is `…/NAME.onnx`; its weights are expected in `NAME.safetensors`.
///
/// # Errors
/// If a file cannot be read or written.
pub fn materialise(graph: &Path, rules: &Path, seed: u64, out: &Path) -> Result<PathBuf, InitError> {
    let io = |action, path: &Path| {
        let path = path.to_owned();
        move |source| InitError::Io { action, path, source }
    };
    let tensors = draw(&read_rules(rules)?, seed);
    fs::create_dir_all(out).map_err(io("create", out))?;
    let copy = out.join(graph.file_name().unwrap_or("model.onnx".as_ref()));
    fs::copy(graph, &copy).map_err(io("copy", graph))?;
    write_weights(&copy.with_extension("safetensors"), &tensors)?;
    Ok(copy)
}

/// A host tensor as safetensors sees it; parameters are f32.
struct Weights<'a>(&'a Tensor);

impl View for Weights<'_> {
    fn dtype(&self) -> Dtype {
        debug_assert_eq!(self.0.dtype, DType::F32);
        Dtype::F32
    }

    fn shape(&self) -> &[usize] {
        &self.0.shape
    }

    fn data(&self) -> Cow<'_, [u8]> {
        Cow::Borrowed(&self.0.data)
    }

    fn data_len(&self) -> usize {
        self.0.data.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RULES: &str = r#"[
        {"name": "a.weight", "shape": [100, 100], "init": "uniform", "bound": 0.1},
        {"name": "b.weight", "shape": [100, 100], "init": "normal", "std": 0.02},
        {"name": "c.weight", "shape": [3], "init": "ones"},
        {"name": "c.bias", "shape": [3], "init": "zeros"}
    ]"#;

    fn drawn(seed: u64) -> BTreeMap<String, Vec<f32>> {
        let rules: Vec<Rule> = serde_json::from_str(RULES).unwrap();
        draw(&rules, seed).into_iter().map(|(name, tensor)| (name, tensor.to_f32().unwrap())).collect()
    }

    fn deviation(values: &[f32]) -> f64 {
        (values.iter().map(|&v| f64::from(v).powi(2)).sum::<f64>() / values.len() as f64).sqrt()
    }

    #[test]
    fn rules_draw_what_they_say() {
        let values = drawn(0);
        // A uniform on ±b deviates by b/√3; four standard errors over 10⁴ draws.
        assert!((deviation(&values["a.weight"]) * 3_f64.sqrt() - 0.1).abs() < 0.1 * 0.02);
        assert!(values["a.weight"].iter().all(|value| value.abs() <= 0.1));
        assert!((deviation(&values["b.weight"]) - 0.02).abs() < 0.02 * 0.03);
        assert_eq!((values["c.weight"].as_slice(), values["c.bias"].as_slice()), (&[1.0; 3][..], &[0.0; 3][..]));
    }

    #[test]
    fn a_seed_gives_the_same_weights_and_another_seed_others() {
        assert_eq!(drawn(1), drawn(1));
        assert_ne!(drawn(1)["a.weight"], drawn(2)["a.weight"]);
    }

    #[test]
    fn an_unknown_rule_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("init.json");
        fs::write(&path, r#"[{"name": "a", "shape": [1], "init": "magic"}]"#).unwrap();
        let error = read_rules(&path).unwrap_err().to_string();
        assert!(error.contains("init.json") && error.contains("rules"), "{error}");
    }
}
