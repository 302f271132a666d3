//! The bundled pack, and other versions of it.

use std::{
    fs,
    path::{Path, PathBuf},
};

use plaudit::{
    pack::{Component, Pack, seal},
    runtime::SessionSettings,
};
use plaudit_onnx::{Model, Tensor};

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
    use sha2::{Digest, Sha256};
    fs::write(pack.join("golden.safetensors"), golden).expect("written");
    let path = pack.join("manifest.json");
    let mut manifest: plaudit::pack::Manifest =
        serde_json::from_str(&fs::read_to_string(&path).expect("a manifest")).expect("JSON");
    let facts = manifest.files.get_mut("golden.safetensors").expect("it is listed");
    facts.sha256 = Sha256::digest(golden).iter().map(|byte| format!("{byte:02x}")).collect();
    facts.bytes = golden.len() as u64;
    fs::write(path, manifest.to_json()).expect("written");
}
