//! Whether a folder has the structure of a pack.

use std::{collections::BTreeMap, fs};

use plaudit_onnx::{DType, Dim, Model, ValueInfo};
use serde_json::Value;

use super::{
    Component, Manifest,
    component::{Axis, Port},
    facts::Facts,
    fault::Faults,
    files::Files,
    layout,
    manifest::FORMAT,
};
use crate::pipeline::schedule::{ScheduleError, SchedulerConfig};

/// Configuration files by their path inside the pack.
pub(super) type Configurations = BTreeMap<&'static str, Value>;

/// The scheduler's options, and which one it is.
pub const SCHEDULER: &str = "scheduler/scheduler_config.json";

/// JSON files that every pack has.
const JSON_FILES: [&str; 4] = [layout::INDEX, SCHEDULER, "unet/config.json", "vae_decoder/config.json"];

/// The file that says how to cut and look up tokens, or the two that say it together.
pub(super) const TOKENIZER_FILES: [&str; 3] =
    ["tokenizer/tokenizer.json", "tokenizer/vocab.json", "tokenizer/merges.txt"];

/// Reads the configuration files, and what they say of sizes.
pub(super) fn configurations(files: &Files, faults: &mut Faults) -> (Configurations, Facts) {
    let read = |name: &'static str| {
        let value = json(files, name, faults)?;
        if !value.is_object() {
            faults.add(name, "is not a JSON object");
        }
        Some((name, value))
    };
    let found: Configurations = JSON_FILES.into_iter().filter_map(read).collect();
    if let Some(config) = found.get(SCHEDULER).filter(|config| config.is_object()) {
        scheduler(config, faults);
    }
    let facts = Facts::read(&found, faults);
    (found, facts)
}

/// A pack whose own scheduler cannot run could not draw what its makers drew.
fn scheduler(config: &Value, faults: &mut Faults) {
    if !config.get("_class_name").is_some_and(Value::is_string) {
        faults.add(SCHEDULER, "does not name its class in `_class_name`");
        return;
    }
    match SchedulerConfig::from_json(config).and_then(|config| config.check()) {
        Ok(()) => {}
        Err(ScheduleError::Unsupported { kind, faults: options }) => {
            options.iter().for_each(|option| faults.add(SCHEDULER, format!("{option}, for {}", kind.class())));
        }
        Err(error) => faults.add(SCHEDULER, error.to_string()),
    }
}

fn json(files: &Files, name: &str, faults: &mut Faults) -> Option<Value> {
    let text = match fs::read_to_string(files.path(name)) {
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
pub(super) fn tokenizer(files: &Files, faults: &mut Faults) {
    let [whole, vocabulary, merges] = TOKENIZER_FILES;
    if files.path(whole).is_file() {
        json(files, whole, faults);
        return;
    }
    if json(files, vocabulary, faults).is_some_and(|value| !value.is_object()) {
        faults.add(vocabulary, "is not a JSON object from tokens to ids");
    }
    if !files.path(merges).is_file() {
        faults.add(merges, format!("is missing, and so is {whole}"));
    }
}

/// The manifest, if it is one that this version reads.
pub(super) fn manifest(text: &str, faults: &mut Faults) -> Option<Manifest> {
    let parsed: Result<Manifest, _> = serde_json::from_str(text);
    let manifest = faults.keep(super::MANIFEST, parsed.map_err(|error| format!("is not a manifest: {error}")))?;
    if manifest.format != FORMAT {
        let fault = format!("has format {}; this version of plaudit reads format {FORMAT}", manifest.format);
        faults.add(super::MANIFEST, fault);
        return None;
    }
    Some(manifest)
}

/// Whether the files that the manifest names are there at their lengths, and whether it names all that count.
pub(super) fn listed(files: &Files, manifest: &Manifest, faults: &mut Faults) {
    named(files, manifest, faults);
    complete(files, manifest, faults);
}

fn named(files: &Files, manifest: &Manifest, faults: &mut Faults) {
    for (path, facts) in manifest.all_files() {
        // `a/../../b` and `/b` would lead out of the pack.
        if path.split('/').any(|part| matches!(part, "" | "." | "..")) || path.contains('\\') {
            faults.add(path, "is named by the manifest but is no path inside the pack");
            continue;
        }
        match fs::metadata(files.path(path)) {
            Ok(found) if found.len() == facts.bytes => {}
            Ok(found) => faults.add(path, format!("has {} bytes; the manifest says {}", found.len(), facts.bytes)),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                faults.add(path, "is named by the manifest but missing");
            }
            Err(error) => faults.add(path, error.to_string()),
        }
    }
}

/// What the pipeline reads has a hash: a file beside the manifest's could be anything. (What is not there is told elsewhere.)
fn complete(files: &Files, manifest: &Manifest, faults: &mut Faults) {
    let there = |name: &str| files.path(name).is_file();
    let graphs = Component::ALL.into_iter().filter(|component| there(&component.graph()));
    let graphs = graphs.map(|component| (component.name(), layout::files(component)));
    let plain = layout::PLAIN_PARTS.map(|(part, files)| (part, files.iter().map(|&name| name.to_owned()).collect()));
    for (part, names) in graphs.chain(plain) {
        let named = |name: &String| manifest.components.get(part).is_some_and(|entry| entry.files.contains_key(name));
        for name in names.iter().filter(|name| there(name) && !named(name) && *name != layout::PREPROCESSOR) {
            faults.add(name, format!("is there, but the manifest does not name it as a file of {part}"));
        }
    }
    for name in layout::TOP.iter().filter(|name| !manifest.files.contains_key(**name)) {
        faults.add(*name, "is not named by the manifest");
    }
}

/// Reads every graph that is there.
pub(super) fn graphs(files: &Files, faults: &mut Faults) -> BTreeMap<Component, Model> {
    let mut models = BTreeMap::new();
    for component in Component::ALL {
        let path = component.graph();
        if !files.path(&path).exists() {
            if component.required() {
                faults.add(path, "is missing");
            }
            continue;
        }
        if let Some(model) = faults.keep(&path, Model::read(&files.path(&path))) {
            models.insert(component, model);
        }
    }
    models
}

/// Checks graphs against their components' signatures, against each other and against the configuration.
pub(super) fn signatures(models: &BTreeMap<Component, Model>, facts: &Facts, faults: &mut Faults) {
    for (component, model) in models {
        signature(*component, model, faults);
    }
    agreement(models, faults);
    let (_, latent, _) = SHARED[1];
    if let Some(channels) = extent(models, latent).filter(|&channels| channels != facts.channels) {
        let fault = format!("`in_channels` says {}, but the graph's `{}` has {channels}", facts.channels, latent.1);
        faults.add("unet/config.json", fault);
    }
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
    for (what, one, other) in SHARED {
        if let (Some(a), Some(b)) = (extent(models, one), extent(models, other))
            && a != b
        {
            let fault = format!("`{}` has {a} {what}, but `{}` of {} has {b}", one.1, other.1, other.0);
            faults.add(one.0.graph(), fault);
        }
    }
}

/// How long an axis is, if the component is there and fixes it.
fn extent(models: &BTreeMap<Component, Model>, (component, name, axis): Place) -> Option<usize> {
    let graph = &models.get(&component)?.graph;
    let info = graph.inputs.iter().chain(&graph.outputs).find(|info| info.name == name)?;
    match info.shape.as_ref()?.get(axis)? {
        Dim::Fixed(n) => Some(*n),
        Dim::Named(_) | Dim::Unknown => None,
    }
}

fn names(infos: &[ValueInfo]) -> String {
    infos.iter().map(|info| format!("`{}`", info.name)).collect::<Vec<_>>().join(", ")
}
