//! Whether a folder has the structure of a pack.

use std::{collections::BTreeMap, fs, path::Path};

use plaudit_onnx::{DType, Dim, Model, ValueInfo};
use serde_json::Value;

use super::{
    Component, Manifest,
    component::{Axis, Port},
    fault::Faults,
    manifest::FORMAT,
};

/// JSON files that every pack has.
const JSON_FILES: [&str; 4] =
    ["model_index.json", "scheduler/scheduler_config.json", "unet/config.json", "vae_decoder/config.json"];

/// The file that says how to cut and look up tokens, or the two that say it together.
pub(super) const TOKENIZER_FILES: [&str; 3] =
    ["tokenizer/tokenizer.json", "tokenizer/vocab.json", "tokenizer/merges.txt"];

/// Reads the configuration files.
pub(super) fn configurations(folder: &Path, faults: &mut Faults) -> BTreeMap<&'static str, Value> {
    let read = |name: &'static str| {
        let value = json(folder, name, faults)?;
        if !value.is_object() {
            faults.add(name, "is not a JSON object");
        }
        Some((name, value))
    };
    let found: BTreeMap<_, _> = JSON_FILES.into_iter().filter_map(read).collect();
    if let Some(scheduler) = found.get("scheduler/scheduler_config.json")
        && !scheduler.get("_class_name").is_some_and(Value::is_string)
    {
        faults.add("scheduler/scheduler_config.json", "does not name its class in `_class_name`");
    }
    found
}

fn json(folder: &Path, name: &str, faults: &mut Faults) -> Option<Value> {
    let text = match fs::read_to_string(folder.join(name)) {
        Ok(text) => text,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            faults.add(name, "is missing");
            return None;
        }
        Err(error) => {
            faults.add(name, error.to_string());
            return None;
        }
    };
    let parsed = crate::python_json::parse(&text).map_err(|error| format!("is not valid JSON: {error}"));
    faults.keep(name, parsed)
}

/// Checks that a tokenizer is there in one of the two forms.
pub(super) fn tokenizer(folder: &Path, faults: &mut Faults) {
    let [whole, vocabulary, merges] = TOKENIZER_FILES;
    if folder.join(whole).is_file() {
        json(folder, whole, faults);
        return;
    }
    if json(folder, vocabulary, faults).is_some_and(|value| !value.is_object()) {
        faults.add(vocabulary, "is not a JSON object from tokens to ids");
    }
    if !folder.join(merges).is_file() {
        faults.add(merges, format!("is missing, and so is {whole}"));
    }
}

/// The manifest, and whether the files it names are there at their lengths.
pub(super) fn manifest(folder: &Path, text: &str, faults: &mut Faults) -> Option<Manifest> {
    let parsed: Result<Manifest, _> = serde_json::from_str(text);
    let manifest = faults.keep(super::MANIFEST, parsed.map_err(|error| format!("is not a manifest: {error}")))?;
    if manifest.format != FORMAT {
        let fault = format!("has format {}; this version of plaudit reads format {FORMAT}", manifest.format);
        faults.add(super::MANIFEST, fault);
        return None;
    }
    for (path, facts) in manifest.all_files() {
        // `a/../../b` and `/b` would lead out of the pack.
        if path.split('/').any(|part| matches!(part, "" | "." | "..")) || path.contains('\\') {
            faults.add(path, "is named by the manifest but is no path inside the pack");
            continue;
        }
        match fs::metadata(folder.join(path)) {
            Ok(found) if found.len() == facts.bytes => {}
            Ok(found) => faults.add(path, format!("has {} bytes; the manifest says {}", found.len(), facts.bytes)),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                faults.add(path, "is named by the manifest but missing");
            }
            Err(error) => faults.add(path, error.to_string()),
        }
    }
    Some(manifest)
}

/// Reads every graph that is there.
pub(super) fn graphs(folder: &Path, faults: &mut Faults) -> BTreeMap<Component, Model> {
    let mut models = BTreeMap::new();
    for component in Component::ALL {
        let path = component.graph();
        if !folder.join(&path).exists() {
            if component.required() {
                faults.add(path, "is missing");
            }
            continue;
        }
        if let Some(model) = faults.keep(&path, Model::read(&folder.join(&path))) {
            models.insert(component, model);
        }
    }
    models
}

/// Checks graphs against their components' signatures and against each other.
pub(super) fn signatures(models: &BTreeMap<Component, Model>, faults: &mut Faults) {
    for (component, model) in models {
        signature(*component, model, faults);
    }
    agreement(models, faults);
}

fn signature(component: Component, model: &Model, faults: &mut Faults) {
    let place = component.graph();
    let signature = component.signature();
    for port in signature.inputs {
        match model.graph.inputs.iter().find(|info| info.name == port.name) {
            Some(info) => fits(&place, "input", port, info, faults),
            None => faults.add(&place, format!("has no input `{}`; it has {}", port.name, names(&model.graph.inputs))),
        }
    }
    let foreign = model.graph.inputs.iter().filter(|info| signature.inputs.iter().all(|port| port.name != info.name));
    for info in foreign {
        faults.add(&place, format!("needs an input `{}` that a {component} is not fed here", info.name));
    }
    for port in signature.outputs {
        match model.graph.outputs.iter().find(|info| info.name == port.name) {
            Some(info) => fits(&place, "output", port, info, faults),
            None => {
                faults.add(&place, format!("has no output `{}`; it has {}", port.name, names(&model.graph.outputs)))
            }
        }
    }
}

fn fits(place: &str, kind: &str, port: &Port, info: &ValueInfo, faults: &mut Faults) {
    let name = port.name;
    let float = |dtype: DType| matches!(dtype, DType::F32 | DType::F16);
    if info.dtype != port.dtype && !(kind == "output" && float(info.dtype) && float(port.dtype)) {
        faults.add(place, format!("{kind} `{name}` is {:?}; it should be {:?}", info.dtype, port.dtype));
    }
    let Some(dims) = &info.shape else { return };
    if dims.len() != port.axes.len() {
        faults.add(place, format!("{kind} `{name}` has {} axes; it should have {}", dims.len(), port.axes.len()));
        return;
    }
    for (dim, axis) in dims.iter().zip(port.axes) {
        match (dim, axis) {
            (Dim::Fixed(n), Axis::Batch) => {
                faults.add(place, format!("{kind} `{name}` is fixed to {n} rows; export it with a dynamic batch"));
            }
            (Dim::Named(_) | Dim::Unknown, Axis::Channels) if kind == "input" => {
                faults.add(place, format!("{kind} `{name}` leaves its number of channels open"));
            }
            _ => {}
        }
    }
}

/// An axis of a component's input or output.
type Place = (Component, &'static str, usize);

/// Numbers that two components must share.
const SHARED: [(&str, Place, Place); 4] = [
    ("text features", (Component::TextEncoder, "last_hidden_state", 2), (Component::Unet, "encoder_hidden_states", 2)),
    ("latent channels", (Component::Unet, "sample", 1), (Component::VaeDecoder, "latent_sample", 1)),
    ("latent channels", (Component::Unet, "out_sample", 1), (Component::VaeDecoder, "latent_sample", 1)),
    ("features", (Component::ClipText, "text_embeds", 1), (Component::ClipVision, "image_embeds", 1)),
];

fn agreement(models: &BTreeMap<Component, Model>, faults: &mut Faults) {
    let extent = |(component, name, axis): Place| {
        let graph = &models.get(&component)?.graph;
        let info = graph.inputs.iter().chain(&graph.outputs).find(|info| info.name == name)?;
        match info.shape.as_ref()?.get(axis)? {
            Dim::Fixed(n) => Some(*n),
            Dim::Named(_) | Dim::Unknown => None,
        }
    };
    for (what, one, other) in SHARED {
        if let (Some(a), Some(b)) = (extent(one), extent(other))
            && a != b
        {
            let fault = format!("`{}` has {a} {what}, but `{}` of {} has {b}", one.1, other.1, other.0);
            faults.add(one.0.graph(), fault);
        }
    }
}

fn names(infos: &[ValueInfo]) -> String {
    infos.iter().map(|info| format!("`{}`", info.name)).collect::<Vec<_>>().join(", ")
}
