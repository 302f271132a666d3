//! Golden fixtures and the metrics they are compared by.
#![allow(dead_code, missing_docs, unreachable_pub)]

use std::{collections::BTreeMap, path::PathBuf};

use safetensors::SafeTensors;
use serde::de::DeserializeOwned;

/// A file of `tests/golden/tiny_sd`.
pub fn golden(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/golden").join(name)
}

/// A JSON fixture.
pub fn json<T: DeserializeOwned>(name: &str) -> T {
    serde_json::from_str(&std::fs::read_to_string(golden(name)).expect(name)).expect(name)
}

/// A fixture tensor's shape and bytes.
pub struct Array {
    pub shape: Vec<usize>,
    bytes: Vec<u8>,
}

impl Array {
    pub fn f32(&self) -> Vec<f32> {
        bytemuck::pod_collect_to_vec(&self.bytes)
    }

    pub fn u8(&self) -> &[u8] {
        &self.bytes
    }

    /// Row `index` of the outermost axis.
    pub fn row(&self, index: usize) -> Vec<f32> {
        let row = self.f32().len() / self.shape[0];
        self.f32()[index * row..(index + 1) * row].to_vec()
    }
}

/// All tensors of a safetensors fixture.
pub fn arrays(name: &str) -> BTreeMap<String, Array> {
    let bytes = std::fs::read(golden(name)).expect(name);
    let file = SafeTensors::deserialize(&bytes).expect(name);
    let owned = |(key, view): (String, safetensors::tensor::TensorView<'_>)| {
        (key, Array { shape: view.shape().to_vec(), bytes: view.data().to_vec() })
    };
    file.tensors().into_iter().map(owned).collect()
}

/// max |a − b|.
pub fn max_difference(a: &[f32], b: &[f32]) -> f32 {
    assert_eq!(a.len(), b.len());
    a.iter().zip(b).map(|(a, b)| (a - b).abs()).fold(0.0, |worst, d| if d.is_nan() { f32::NAN } else { worst.max(d) })
}

/// max |a − b| / max |b|.
pub fn relative_to_largest(a: &[f32], b: &[f32]) -> f32 {
    max_difference(a, b) / b.iter().fold(0.0_f32, |largest, x| largest.max(x.abs()))
}

/// ‖a − b‖ / ‖b‖.
pub fn relative_l2(a: &[f32], b: &[f32]) -> f32 {
    assert_eq!(a.len(), b.len());
    let norm = |values: &mut dyn Iterator<Item = f32>| values.map(|x| f64::from(x).powi(2)).sum::<f64>().sqrt();
    (norm(&mut a.iter().zip(b).map(|(a, b)| a - b)) / norm(&mut b.iter().copied())) as f32
}

/// All rows run; every failure is listed.
pub fn all_hold(failures: Vec<String>) {
    assert!(failures.is_empty(), "{} failed:\n{}", failures.len(), failures.join("\n"));
}
