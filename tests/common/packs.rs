//! The bundled pack, and other versions of it.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

use plaudit::{
    pack::{Component, Pack, seal},
    runtime::SessionSettings,
};
use plaudit_onnx::{Attribute, Model, Node, Tensor};

pub(crate) fn bundled() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("onnx/packs/miniature")
}

/// The bundled pack's files in a folder of one's own, without its reward.
pub(crate) fn copy(into: &Path) {
    fn folder(from: &Path, into: &Path) {
        fs::create_dir_all(into).expect("a folder");
        for entry in fs::read_dir(from).expect("a folder").map(|entry| entry.expect("an entry")) {
            let (path, name) = (entry.path(), entry.file_name());
            if path.is_dir() {
                folder(&path, &into.join(name));
            } else {
                fs::copy(&path, into.join(name)).expect("a file");
            }
        }
    }
    for entry in fs::read_dir(bundled()).expect("the pack").map(|entry| entry.expect("an entry")) {
        let (path, name) = (entry.path(), entry.file_name());
        match name.to_str() {
            Some("reward" | "record") => {}
            _ if path.is_dir() => folder(&path, &into.join(name)),
            _ => drop(fs::copy(&path, into.join(name)).expect("a file")),
        }
    }
}

/// Another version: everything is the same but the scheduler, which is DDIM.
pub(crate) fn rescheduled(into: &Path) -> Pack {
    fs::create_dir_all(into).expect("a folder");
    copy(into);
    for file in ["scheduler/scheduler_config.json", "model_index.json"] {
        let text = fs::read_to_string(into.join(file)).expect("the file");
        assert!(text.contains("PNDMScheduler"), "{text}");
        fs::write(into.join(file), text.replace("PNDMScheduler", "DDIMScheduler")).expect("written");
    }
    seal(into, "miniature", &Default::default(), &quiet(), |_| ()).expect("a pack");
    Pack::open(into).expect("the pack")
}

/// Another version: the denoiser's last bias is moved by `shift`, everything else is the same.
pub(crate) fn tuned(into: &Path, shift: f32) -> Pack {
    fs::create_dir_all(into).expect("a folder");
    copy(into);
    edit(into, Component::Unet, |model| {
        let name = model.graph.initializers.keys().find(|name| name.ends_with("conv_out.bias")).cloned();
        let bias = model.graph.initializers.get_mut(&name.expect("a last bias")).expect("it is there");
        let moved: Vec<f32> = bias.to_f32().expect("numbers").iter().map(|value| value + shift).collect();
        *bias = Tensor::f32(&bias.shape.clone(), &moved);
    });
    seal(into, "miniature", &Default::default(), &quiet(), |_| ()).expect("a pack");
    Pack::open(into).expect("the pack")
}

/// Writes a component back after a change; the manifest is as before.
pub(crate) fn edit(pack: &Path, component: Component, change: impl FnOnce(&mut Model)) {
    let mut model = Model::read(&pack.join(component.graph())).expect("the graph");
    change(&mut model);
    let aside = tempfile::tempdir_in(pack.parent().expect("a parent")).expect("a folder");
    let (graph, weights) = (component.graph(), component.weights());
    let name = |path: &str| path.rsplit('/').next().expect("a name").to_owned();
    model.write_pair(aside.path(), &name(&graph), &name(&weights)).expect("written");
    for path in [graph, weights] {
        fs::copy(aside.path().join(name(&path)), pack.join(&path)).expect("a file");
    }
}

/// Sessions that leave the other cores alone.
pub(crate) fn quiet() -> SessionSettings {
    SessionSettings { threads: 1, spinning: false, ..SessionSettings::default() }
}

/// Puts other golden outputs in the place of a pack's own, under a manifest that names them.
pub(crate) fn with_golden(pack: &Path, golden: &[u8]) {
    fs::write(pack.join("golden.safetensors"), golden).expect("written");
    let path = pack.join("manifest.json");
    let mut manifest: plaudit::pack::Manifest =
        serde_json::from_str(&fs::read_to_string(&path).expect("a manifest")).expect("JSON");
    let facts = manifest.files.get_mut("golden.safetensors").expect("it is listed");
    (facts.sha256, facts.bytes) = (sha256(golden), golden.len() as u64);
    fs::write(path, manifest.to_json()).expect("written");
}

/// Another version whose denoiser has so many MiB of random weights more, all of which it reads at each call.
pub(crate) fn heavy(into: &Path, mebibytes: usize, seed: u32) -> Pack {
    fs::create_dir_all(into).expect("a folder");
    copy(into);
    let side = ((mebibytes << 20) / size_of::<f32>()).isqrt();
    edit(into, Component::Unet, |model| {
        let mut state = seed | 1;
        let noise: Vec<f32> = std::iter::repeat_with(|| {
            // xorshift32.
            state ^= state << 13;
            state ^= state >> 17;
            state ^= state << 5;
            state as f32 / u32::MAX as f32 - 0.5
        })
        .take(side * side)
        .collect();
        let graph = &mut model.graph;
        graph.initializers.insert("heavy.weight".into(), Tensor::f32(&[side, side], &noise));
        graph.initializers.insert("heavy.shape".into(), Tensor::i64(&[2], &[1, side as i64]));
        graph.initializers.insert("heavy.scale".into(), Tensor::f32(&[], &[1e-9]));
        let (input, output) = (graph.inputs[0].name.clone(), graph.outputs[0].name.clone());
        let last = graph.nodes.iter_mut().find(|node| node.outputs.contains(&output)).expect("the last node");
        last.outputs.iter_mut().filter(|name| **name == output).for_each(|name| *name = "heavy.plain".into());
        let node = |op: &str, inputs: &[&str], made: &str| Node {
            name: format!("heavy.{op}.{made}"),
            op: op.into(),
            domain: String::new(),
            inputs: inputs.iter().map(|name| (*name).to_owned()).collect(),
            outputs: vec![made.to_owned()],
            attributes: BTreeMap::from([("keepdims".to_owned(), Attribute::Int(0))])
                .into_iter()
                .filter(|_| op == "ReduceMean")
                .collect(),
        };
        graph.nodes.extend([
            node("ReduceMean", &[&input], "heavy.mean"),
            node("Expand", &["heavy.mean", "heavy.shape"], "heavy.row"),
            node("MatMul", &["heavy.row", "heavy.weight"], "heavy.product"),
            node("ReduceMean", &["heavy.product"], "heavy.sum"),
            node("Mul", &["heavy.sum", "heavy.scale"], "heavy.small"),
            node("Add", &["heavy.plain", "heavy.small"], &output),
        ]);
    });
    seal(into, "miniature", &Default::default(), &quiet(), |_| ()).expect("a pack");
    Pack::open(into).expect("the pack")
}

/// Writes the manifest anew for files that were changed, as somebody would who wants to hide that; golden outputs stay.
pub(crate) fn recompute(pack: &Path) {
    let path = pack.join("manifest.json");
    let mut manifest: plaudit::pack::Manifest =
        serde_json::from_str(&fs::read_to_string(&path).expect("a manifest")).expect("JSON");
    for entry in manifest.components.values_mut() {
        for (name, facts) in &mut entry.files {
            let bytes = fs::read(pack.join(name)).expect("a file");
            (facts.sha256, facts.bytes) = (sha256(&bytes), bytes.len() as u64);
        }
        entry.sha256 = plaudit::pack::Entry::digest(&entry.files);
    }
    fs::write(path, manifest.to_json()).expect("written");
}

fn sha256(bytes: &[u8]) -> String {
    use sha2::{Digest, Sha256};
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}
