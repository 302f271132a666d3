//! The bundled pack's reward, and other versions of it.

use std::{collections::BTreeMap, fs, path::Path};

use plaudit::{
    pack::Pack,
    scoring::{RewardManifest, RewardPack},
};
use plaudit_onnx::{Attribute, Model, Node, Tensor};

use super::packs::bundled;

/// The bundled reward under another name, after a change to its graph.
pub(crate) fn altered(into: &Path, name: &str, change: impl FnOnce(&mut Model)) {
    let own = bundled().join("reward");
    let mut model = Model::read(&own.join("model.onnx")).expect("the graph");
    change(&mut model);
    model.write_pair(into, "model.onnx", "model.safetensors").expect("written");
    fs::copy(own.join("report.json"), into.join("report.json")).expect("a file");
    let pack = Pack::open(&bundled()).expect("the pack");
    RewardPack::seal(into, name, &pack).expect("a reward");
}

/// One that likes best what the bundled one likes least: 1 − reward.
pub(crate) fn contrary(into: &Path) {
    altered(into, "contrary", |model| {
        model.graph.initializers.insert("contrary.one".into(), Tensor::f32(&[], &[1.0]));
        let plain = renamed(model, "reward");
        model.graph.nodes.push(node("Sub", &["contrary.one", &plain], "reward"));
    });
}

/// One that answers two rows, as golden outputs are, and NaN for more: raw + √(2 − rows).
pub(crate) fn broken(into: &Path) {
    altered(into, "broken", |model| {
        let image = model.graph.inputs[0].name.clone();
        model.graph.initializers.insert("broken.two".into(), Tensor::f32(&[], &[2.0]));
        model.graph.initializers.insert("broken.first".into(), Tensor::i64(&[1], &[0]));
        let plain = renamed(model, "raw");
        let cast = Node {
            attributes: BTreeMap::from([("to".to_owned(), Attribute::Int(1))]),
            ..node("Cast", &["broken.rows"], "broken.count")
        };
        model.graph.nodes.extend([
            node("Shape", &[&image], "broken.shape"),
            node("Gather", &["broken.shape", "broken.first"], "broken.rows"),
            cast,
            node("Sub", &["broken.two", "broken.count"], "broken.left"),
            node("Sqrt", &["broken.left"], "broken.root"),
            node("Add", &[&plain, "broken.root"], "raw"),
        ]);
    });
}

/// One that says it was trained on another CLIP.
pub(crate) fn of_another_clip(into: &Path) {
    altered(into, "stranger", |_| ());
    let mut manifest = RewardManifest::of(into).expect("a manifest");
    manifest.clip.values_mut().for_each(|hash| *hash = "0".repeat(64));
    fs::write(into.join("manifest.json"), manifest.to_json()).expect("written");
}

/// Gives an output's value another name, so that something else can be that output.
fn renamed(model: &mut Model, output: &str) -> String {
    let plain = format!("{output}.plain");
    for node in &mut model.graph.nodes {
        let names = node.inputs.iter_mut().chain(&mut node.outputs);
        names.filter(|name| *name == output).for_each(|name| name.clone_from(&plain));
    }
    plain
}

fn node(op: &str, inputs: &[&str], made: &str) -> Node {
    Node {
        name: format!("{op}.{made}"),
        op: op.into(),
        domain: String::new(),
        inputs: inputs.iter().map(|name| (*name).to_owned()).collect(),
        outputs: vec![made.to_owned()],
        attributes: BTreeMap::new(),
    }
}
