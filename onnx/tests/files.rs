//! Models on the disk: a graph beside its weights, and every way of reaching outside the directory refused.

#![allow(clippy::unwrap_used)]

use std::{fs, path::Path};

use plaudit_onnx::{Attribute, DType, MODEL_FILE, Model, Node, ReadError, Tensor, ValueInfo, WEIGHTS_FILE, WriteError};

/// y = x · w + b, with a weight large enough to be external.
fn linear() -> Model {
    let mut model = Model::new("linear", 18);
    let graph = &mut model.graph;
    graph.inputs = vec![ValueInfo::fixed("x", DType::F32, &[1, 64])];
    graph.outputs = vec![ValueInfo::fixed("y", DType::F32, &[1, 32])];
    let weight: Vec<f32> = (0..64 * 32).map(|i| i as f32 / 7.0).collect();
    graph.initializers.insert("w".to_owned(), Tensor::f32(&[64, 32], &weight));
    graph.initializers.insert("wide".to_owned(), Tensor::i64(&[256], &[3; 256]));
    graph.initializers.insert("half".to_owned(), Tensor::new(DType::F16, &[1025], vec![1; 2050]));
    graph.initializers.insert("b".to_owned(), Tensor::f32(&[32], &[0.5; 32]));
    graph.nodes = vec![Node::new("MatMul", &["x", "w"], &["h"]), Node::new("Add", &["h", "b"], &["y"])];
    graph.initializers.insert("axes".to_owned(), Tensor::i64(&[2], &[0, 1]));
    graph.initializers.insert("scales".to_owned(), Tensor::f32(&[2], &[1.0, 1.0]));
    graph.nodes.push(Node::new("Resize", &["y", "", "scales"], &["resized"]));
    graph.nodes[0].attributes.insert("note".to_owned(), Attribute::String("kept".to_owned()));
    model.metadata.insert("license".to_owned(), "MIT".to_owned());
    model
}

fn written() -> (tempfile::TempDir, Model) {
    let folder = tempfile::tempdir().unwrap();
    let model = linear();
    model.write(folder.path()).unwrap();
    (folder, model)
}

fn refusal(folder: &Path) -> String {
    Model::read(&folder.join(MODEL_FILE)).unwrap_err().to_string()
}

/// Rewrites the weights' location inside the written graph; both names have the same length, as protobuf needs.
fn relocate(folder: &Path, to: &str) {
    assert_eq!(to.len(), WEIGHTS_FILE.len());
    let mut bytes = fs::read(folder.join(MODEL_FILE)).unwrap();
    let from = WEIGHTS_FILE.as_bytes();
    for at in 0..bytes.len() - from.len() {
        if bytes[at..].starts_with(from) {
            bytes[at..at + from.len()].copy_from_slice(to.as_bytes());
        }
    }
    fs::write(folder.join(MODEL_FILE), bytes).unwrap();
}

#[test]
fn a_written_model_reads_back_equal() {
    let (folder, model) = written();
    assert_eq!(Model::read(&folder.path().join(MODEL_FILE)).unwrap(), model);
}

#[test]
fn bytes_in_memory_read_back_equal_and_are_the_same_every_time() {
    let model = linear();
    assert_eq!(Model::from_bytes(&model.to_bytes()).unwrap(), model);
    assert_eq!(model.to_bytes(), linear().to_bytes());
}

#[test]
fn every_weight_is_in_the_safetensors_file_and_what_decides_shapes_in_the_graph() {
    let (folder, model) = written();
    let bytes = fs::read(folder.path().join(WEIGHTS_FILE)).unwrap();
    let weights = safetensors::SafeTensors::deserialize(&bytes).unwrap();
    let mut names = weights.names();
    names.sort_unstable();
    assert_eq!(names, ["b", "half", "w", "wide"]);
    assert_eq!(weights.tensor("w").unwrap().data(), &model.graph.initializers["w"].data[..]);
    assert!(fs::metadata(folder.path().join(MODEL_FILE)).unwrap().len() < 2048);
}

#[test]
fn mapped_weights_are_aligned_for_their_element_type() {
    let (folder, _) = written();
    let model = Model::read(&folder.path().join(MODEL_FILE)).unwrap();
    for (name, tensor) in &model.graph.initializers {
        if let plaudit_onnx::Bytes::Mapped { .. } = tensor.data {
            assert_eq!(tensor.data.as_ptr().align_offset(tensor.dtype.size()), 0, "{name}");
        }
    }
}

#[test]
fn a_model_read_from_the_disk_can_be_written_elsewhere() {
    let (folder, model) = written();
    let other = tempfile::tempdir().unwrap();
    Model::read(&folder.path().join(MODEL_FILE)).unwrap().write(&other.path().join("deep/er")).unwrap();
    assert_eq!(Model::read(&other.path().join("deep/er").join(MODEL_FILE)).unwrap(), model);
}

#[test]
fn nothing_is_overwritten() {
    let (folder, model) = written();
    assert!(matches!(model.write(folder.path()), Err(WriteError::Exists { .. })));
    let entries = fs::read_dir(folder.path()).unwrap().count();
    assert_eq!(entries, 2, "only the two files, no leftovers");
}

#[test]
fn weights_without_a_graph_are_the_leftovers_of_a_crash_and_replaced() {
    let (folder, model) = written();
    fs::remove_file(folder.path().join(MODEL_FILE)).unwrap();
    fs::write(folder.path().join(WEIGHTS_FILE), b"half written").unwrap();
    model.write(folder.path()).unwrap();
    assert_eq!(Model::read(&folder.path().join(MODEL_FILE)).unwrap(), model);
}

#[test]
fn a_tensor_of_the_wrong_length_is_not_written() {
    let mut model = linear();
    model.graph.initializers["w"].shape = vec![64, 33];
    let folder = tempfile::tempdir().unwrap();
    assert!(matches!(model.write(folder.path()), Err(WriteError::Tensor { .. })));
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
}

#[cfg(unix)]
#[test]
fn written_files_are_readable_by_whom_the_umask_allows() {
    use std::os::unix::fs::PermissionsExt;
    let (folder, _) = written();
    let plain = folder.path().join("plain");
    fs::write(&plain, b"").unwrap();
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode();
    for name in [MODEL_FILE, WEIGHTS_FILE] {
        assert_eq!(mode(&folder.path().join(name)), mode(&plain));
    }
}

#[test]
fn cut_weights_are_refused() {
    let (folder, _) = written();
    let weights = folder.path().join(WEIGHTS_FILE);
    let bytes = fs::read(&weights).unwrap();
    fs::write(&weights, &bytes[..bytes.len() - 1]).unwrap();
    assert!(refusal(folder.path()).contains("lie beyond the end"));
}

#[test]
fn missing_weights_are_refused() {
    let (folder, _) = written();
    fs::remove_file(folder.path().join(WEIGHTS_FILE)).unwrap();
    assert!(refusal(folder.path()).contains(WEIGHTS_FILE));
}

#[test]
fn locations_outside_the_directory_are_refused() {
    for location in ["../el.safetensors", "/odel.safetensors", "a/../.safetensors", "./del.safetensors"] {
        let (folder, _) = written();
        relocate(folder.path(), location);
        assert!(refusal(folder.path()).contains("leaves the model's directory"), "{location}");
    }
}

#[cfg(unix)]
#[test]
fn links_are_refused() {
    use std::os::unix::fs::symlink;
    let (folder, _) = written();
    let elsewhere = tempfile::tempdir().unwrap();
    let (weights, moved) = (folder.path().join(WEIGHTS_FILE), elsewhere.path().join("weights"));
    fs::copy(&weights, &moved).unwrap();

    fs::hard_link(&weights, elsewhere.path().join("second name")).unwrap();
    assert!(refusal(folder.path()).contains("is a hard link"));

    fs::remove_file(&weights).unwrap();
    symlink(&moved, &weights).unwrap();
    assert!(refusal(folder.path()).contains("is a symbolic link"));

    let (whole, _) = written();
    symlink(whole.path().join(MODEL_FILE), elsewhere.path().join(MODEL_FILE)).unwrap();
    assert!(refusal(elsewhere.path()).contains("is a symbolic link"));

    let nested = tempfile::tempdir().unwrap();
    let (source, _) = written();
    relocate(source.path(), "links/safetensors");
    fs::copy(source.path().join(MODEL_FILE), nested.path().join(MODEL_FILE)).unwrap();
    symlink(elsewhere.path(), nested.path().join("links")).unwrap();
    assert!(refusal(nested.path()).contains("is a symbolic link"));
}

#[test]
fn a_file_that_is_not_onnx_says_so() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join(MODEL_FILE), b"<html>not found</html>").unwrap();
    let error = Model::read(&folder.path().join(MODEL_FILE)).unwrap_err();
    assert!(matches!(error, ReadError::Decode { .. } | ReadError::Invalid { .. }), "{error}");
    assert!(Model::read(&folder.path().join("absent.onnx")).unwrap_err().to_string().contains("absent.onnx"));
}
