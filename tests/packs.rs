//! Exports become packs; packs that are not sound are refused with every fault at once.
#![allow(clippy::unwrap_used)]

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

use plaudit::{
    pack::{
        Component, GOLDEN, MANIFEST, Pack, PackError, Sharing, Variant, distance, import, inputs, prune,
        serving_variant, share, verify,
    },
    runtime::{Session, SessionSettings},
};
use plaudit_onnx::{Attribute, DType, Model, Node, Tensor};

fn golden(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden").join(name)
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap().map(Result::unwrap) {
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy(&entry.path(), &target);
        } else {
            fs::copy(entry.path(), target).unwrap();
        }
    }
}

/// The tiny export as a pack in a fresh folder.
fn tiny_pack() -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("tiny");
    import(&golden("tiny_sd"), &out, &SessionSettings::default(), |_| ()).unwrap();
    (folder, out)
}

fn faults(error: PackError) -> Vec<String> {
    match error {
        PackError::Faulty { faults, .. } => faults.iter().map(ToString::to_string).collect(),
        other => panic!("{other}"),
    }
}

fn assert_mentions(faults: &[String], expected: &[&str]) {
    for part in expected {
        assert!(faults.iter().any(|fault| fault.contains(part)), "{part} is missing from {faults:#?}");
    }
}

#[test]
fn an_export_becomes_a_pack_that_opens_and_verifies() {
    let (_folder, out) = tiny_pack();
    let pack = Pack::open(&out).unwrap();
    assert_eq!(pack.version().split('@').next(), Some("tiny"));
    assert_eq!((pack.size(), pack.pixels_per_cell()), (64, 8));
    let distances = verify(&pack, &SessionSettings::default(), |_| ()).unwrap();
    assert_eq!(distances.len(), pack.components().count());
    assert!(distances.iter().all(|found| found.distance < 1e-6), "{distances:?}");
    let written: Vec<_> =
        fs::read_dir(out.parent().unwrap()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(written, ["tiny"], "nothing else is left behind");
}

#[test]
fn the_same_export_gives_the_same_version() {
    let ((_a, one), (_b, other)) = (tiny_pack(), tiny_pack());
    assert_eq!(Pack::open(&one).unwrap().version(), Pack::open(&other).unwrap().version());
}

#[test]
fn imports_never_overwrite() {
    let (_folder, out) = tiny_pack();
    let again = import(&golden("tiny_sd"), &out, &SessionSettings::default(), |_| ());
    assert!(matches!(again, Err(PackError::Exists(path)) if path == out));
}

#[test]
fn every_fault_of_an_export_is_named_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let broken = folder.path().join("broken");
    copy(&golden("tiny_sd"), &broken);
    fs::remove_file(broken.join("unet/model.onnx")).unwrap();
    fs::write(broken.join("scheduler/scheduler_config.json"), "{ not json").unwrap();
    fs::write(broken.join("text_encoder/model.onnx"), "not a graph").unwrap();
    fs::copy(broken.join("vae_encoder/model.onnx"), broken.join("vae_decoder/model.onnx")).unwrap();
    fs::copy(broken.join("vae_encoder/model.safetensors"), broken.join("vae_decoder/model.safetensors")).unwrap();
    fs::remove_file(broken.join("tokenizer/merges.txt")).unwrap();
    fs::create_dir(broken.join("text_encoder_2")).unwrap();
    let out = folder.path().join("out");
    let error = import(&broken, &out, &SessionSettings::default(), |_| ()).unwrap_err();
    let expected = [
        "unet/model.onnx: is missing",
        "scheduler/scheduler_config.json: is not valid JSON",
        "text_encoder/model.onnx: ",
        "vae_decoder/model.onnx: has no input `latent_sample`; it has `sample`",
        "vae_decoder/model.onnx: needs an input `sample`",
        "vae_decoder/model.onnx: has no output `sample`",
        "tokenizer/merges.txt: is missing",
        "text_encoder_2: belongs to Stable Diffusion XL",
    ];
    assert_mentions(&faults(error), &expected);
    assert!(!out.exists());
}

#[test]
fn an_export_is_not_a_pack_and_says_how_to_make_one() {
    let error = Pack::open(&golden("tiny_sd")).unwrap_err();
    assert!(matches!(error, PackError::NotImported { .. }) && error.to_string().contains("plaudit pack import"));
    assert!(matches!(Pack::open(Path::new("/no/such/pack")), Err(PackError::NotAFolder(_))));
}

#[test]
fn only_a_folder_without_a_manifest_is_taken_for_an_export() {
    let (_folder, out) = tiny_pack();
    fs::write(out.join(MANIFEST), b"\xff").unwrap();
    let error = Pack::open(&out).unwrap_err();
    assert!(matches!(&error, PackError::Io { path, .. } if *path == out.join(MANIFEST)), "{error}");
}

/// Sets values of a pack's or export's JSON files.
fn set(folder: &Path, values: &[(&str, &str, serde_json::Value)]) {
    for (name, key, value) in values {
        let text = fs::read_to_string(folder.join(name)).unwrap();
        let mut file: serde_json::Value = serde_json::from_str(&text).unwrap();
        file[*key] = value.clone();
        fs::write(folder.join(name), file.to_string()).unwrap();
    }
}

#[test]
fn numbers_that_no_model_has_are_all_named_before_they_are_used() {
    let folder = tempfile::tempdir().unwrap();
    let (scheduler, unet, vae) = ("scheduler/scheduler_config.json", "unet/config.json", "vae_decoder/config.json");
    copy(&golden("tiny_sd"), folder.path());
    let values = [
        (unet, "block_out_channels", vec![32; 65].into()),
        (unet, "in_channels", 9.into()),
        (unet, "sample_size", vec![8, 12].into()),
        (vae, "block_out_channels", Vec::<u32>::new().into()),
        (vae, "scaling_factor", 0.into()),
        (scheduler, "num_train_timesteps", 1_000_000_000_000_u64.into()),
        (scheduler, "beta_schedule", "sigmoid".into()),
    ];
    set(folder.path(), &values);
    let expected = [
        "unet/config.json: `block_out_channels` should be a list of 1 to 8 numbers",
        "unet/config.json: `in_channels` says 9, but the graph's `sample` has 4",
        "unet/config.json: `sample_size` should be a whole number from 1 to 512, or the same one twice",
        "vae_decoder/config.json: `block_out_channels` should be a list of 1 to 8 numbers",
        "vae_decoder/config.json: `scaling_factor` should be a number other than 0",
        "`num_train_timesteps` is 1000000000000 (supported: a whole number from 2 to 100000), for PNDMScheduler",
        "`beta_schedule` is \"sigmoid\"",
    ];
    let out = folder.path().join("out");
    let error = import(folder.path(), &out, &SessionSettings::default(), |_| ()).unwrap_err();
    assert_mentions(&faults(error), &expected);

    set(folder.path(), &[(scheduler, "_class_name", "LCMScheduler".into()), (unet, "sample_size", 8.5.into())]);
    let error = import(folder.path(), &out, &SessionSettings::default(), |_| ()).unwrap_err();
    assert_mentions(&faults(error), &["no scheduler \"LCMScheduler\"; there are ddim", "`sample_size` should be"]);
}

#[test]
fn a_size_that_is_written_twice_is_one_size() {
    let folder = tempfile::tempdir().unwrap();
    let (export, out) = (folder.path().join("export"), folder.path().join("out"));
    copy(&golden("tiny_sd"), &export);
    set(&export, &[("unet/config.json", "sample_size", vec![12, 12].into())]);
    import(&export, &out, &SessionSettings::default(), |_| ()).unwrap();
    assert_eq!(Pack::open(&out).unwrap().size(), 96);
}

#[test]
fn a_manifest_names_every_file_that_is_used() {
    let (_folder, out) = tiny_pack();
    let text = fs::read_to_string(out.join(MANIFEST)).unwrap();
    let mut manifest: serde_json::Value = serde_json::from_str(&text).unwrap();
    let components = manifest["components"].as_object_mut().unwrap();
    components.remove("tokenizer").unwrap();
    components.remove("vae_encoder").unwrap();
    let unet = components["unet"]["files"].as_object_mut().unwrap();
    let weights = unet.remove("unet/model.safetensors").unwrap();
    // Named, but as a file of another part: the denoiser's own hash would not see it.
    components["scheduler"]["files"]["unet/model.safetensors"] = weights;
    manifest["files"].as_object_mut().unwrap().remove(GOLDEN).unwrap();
    fs::write(out.join(MANIFEST), manifest.to_string()).unwrap();
    let expected = [
        "tokenizer/merges.txt: is there, but the manifest does not name it as a file of tokenizer",
        "vae_encoder/model.onnx: is there, but the manifest does not name it as a file of vae_encoder",
        "unet/model.safetensors: is there, but the manifest does not name it as a file of unet",
        "golden.safetensors: is not named by the manifest",
    ];
    assert_mentions(&faults(Pack::open(&out).unwrap_err()), &expected);
}

#[test]
fn the_bundled_pack_is_what_its_manifest_says() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("onnx/packs/miniature");
    let pack = Pack::open(&folder).unwrap();
    let distances = verify(&pack, &SessionSettings::default(), |_| ()).unwrap();
    assert_eq!(distances.len(), pack.components().count());
}

/// As optimum exported them before 2.0.
#[test]
fn an_export_with_narrow_token_ids_becomes_the_same_encoder() {
    let folder = tempfile::tempdir().unwrap();
    let (export, out) = (folder.path().join("export"), folder.path().join("out"));
    copy(&golden("tiny_sd"), &export);
    let mut model = Model::read(&export.join("text_encoder/model.onnx")).unwrap();
    let graph = &mut model.graph;
    graph.redirect("input_ids", "wide");
    let cast = Node::new("Cast", &["input_ids"], &["wide"]).with("to", Attribute::Int(DType::I64.onnx()));
    graph.nodes.insert(0, cast);
    graph.inputs[0].dtype = DType::I32;
    fs::remove_dir_all(export.join("text_encoder")).unwrap();
    model.write(&export.join("text_encoder")).unwrap();
    copy(&golden("tiny_sd/text_encoder"), &folder.path().join("kept"));
    fs::copy(folder.path().join("kept/config.json"), export.join("text_encoder/config.json")).unwrap();
    let imported = import(&export, &out, &SessionSettings::default(), |_| ()).unwrap();
    assert_eq!(imported.edits[&Component::TextEncoder][0].label, "input_ids as i64");
    let (_plain, plain) = tiny_pack();
    let [narrow, wide] = [&out, &plain].map(|pack| fs::read(pack.join(GOLDEN)).unwrap());
    assert!(narrow == wide, "golden outputs are bit for bit those of the export with wide ids");
}

#[test]
fn clips_preprocessor_is_imported_and_sealed() {
    let bundled = Path::new(env!("CARGO_MANIFEST_DIR")).join("onnx/packs/miniature");
    let folder = tempfile::tempdir().unwrap();
    let imported = import(&bundled, &folder.path().join("again"), &SessionSettings::default(), |_| ()).unwrap();
    assert!(imported.manifest.components["clip_vision"].files.contains_key("clip/preprocessor_config.json"));
}

#[test]
fn opening_names_missing_and_cut_files_and_paths_that_leave_the_pack() {
    let (_folder, out) = tiny_pack();
    fs::remove_file(out.join("unet/model.safetensors")).unwrap();
    let weights = fs::read(out.join("vae_decoder/model.safetensors")).unwrap();
    fs::write(out.join("vae_decoder/model.safetensors"), &weights[..weights.len() / 2]).unwrap();
    let text = fs::read_to_string(out.join(MANIFEST)).unwrap();
    fs::write(out.join(MANIFEST), text.replace("\"model_index.json\"", "\"../model_index.json\"")).unwrap();
    let expected = [
        "unet/model.safetensors: is named by the manifest but missing",
        "vae_decoder/model.safetensors: has",
        "../model_index.json: is named by the manifest but is no path inside the pack",
    ];
    assert_mentions(&faults(Pack::open(&out).unwrap_err()), &expected);
}

#[test]
fn a_flipped_bit_is_found_by_its_hash() {
    let (_folder, out) = tiny_pack();
    let path = out.join("unet/model.safetensors");
    let mut weights = fs::read(&path).unwrap();
    let last = weights.len() - 1;
    weights[last] ^= 1;
    fs::write(&path, weights).unwrap();
    let pack = Pack::open(&out).unwrap();
    let found = faults(verify(&pack, &SessionSettings::default(), |_| ()).unwrap_err());
    assert_mentions(&found, &["unet/model.safetensors: has SHA-256"]);
    assert_eq!(found.len(), 1);
}

#[test]
fn other_numbers_are_found_by_the_golden_outputs() {
    let (_folder, out) = tiny_pack();
    let path = out.join(GOLDEN);
    let mut bytes = fs::read(&path).unwrap();
    // The sign of the last number: too small a change for no file to be damaged, too large for the tolerance.
    let last = bytes.len() - 1;
    bytes[last] ^= 0x80;
    fs::write(&path, &bytes).unwrap();
    let manifest = fs::read_to_string(out.join(MANIFEST)).unwrap();
    let text = manifest.clone();
    let mut value: serde_json::Value = serde_json::from_str(&text).unwrap();
    value["files"][GOLDEN]["sha256"] = sha256(&bytes).into();
    fs::write(out.join(MANIFEST), value.to_string()).unwrap();
    let pack = Pack::open(&out).unwrap();
    let found = faults(verify(&pack, &SessionSettings::default(), |_| ()).unwrap_err());
    assert_mentions(&found, &["from the golden ones; 1e-4 is allowed"]);
}

fn sha256(bytes: &[u8]) -> String {
    use sha2::Digest;
    sha2::Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(unix)]
#[test]
fn links_are_refused_before_anything_is_loaded() {
    let (folder, out) = tiny_pack();
    let outside = folder.path().join("outside");
    for name in ["unet/model.safetensors", "vae_decoder/model.safetensors"] {
        let inside = out.join(name);
        fs::copy(&inside, &outside).unwrap();
        fs::remove_file(&inside).unwrap();
        match name {
            "unet/model.safetensors" => std::os::unix::fs::symlink(&outside, inside).unwrap(),
            _ => fs::hard_link(&outside, inside).unwrap(),
        }
        let expected = if name.starts_with("unet") { "is a link" } else { "is a hard link" };
        assert_mentions(&faults(Pack::open(&out).unwrap_err()), &[&format!("{name}: {expected}")]);
        if name.starts_with("unet") {
            fs::remove_file(&outside).unwrap();
        }
    }
}

#[test]
fn a_half_precision_variant_is_made_once_and_agrees_with_its_source() {
    let (folder, out) = tiny_pack();
    let (pack, cache) = (Pack::open(&out).unwrap(), folder.path().join("cache"));
    let half = || serving_variant(&pack, Component::Unet, Variant::Half, &cache, &SessionSettings::default()).unwrap();
    let first = half();
    let made: Vec<_> = fs::read_dir(&cache).unwrap().map(|entry| entry.unwrap().path()).collect();
    assert_eq!(made.len(), 1);
    let written = |name: &str| fs::metadata(made[0].join(name)).unwrap().modified().unwrap();
    let before = written("model.onnx");
    assert_eq!(half(), first);
    assert_eq!(written("model.onnx"), before, "the second time it is read");

    let weights =
        |dtype| first.graph.initializers.values().filter(move |tensor| tensor.dtype == dtype).map(Tensor::len);
    assert!(weights(DType::F16).sum::<usize>() > 10 * weights(DType::F32).sum::<usize>());
    assert_eq!(first.graph.inputs, pack.model(Component::Unet).unwrap().graph.inputs);

    // Another file, not fewer bytes in the one that `first` has mapped.
    fs::remove_file(made[0].join("model.safetensors")).unwrap();
    fs::write(made[0].join("model.safetensors"), "cut short").unwrap();
    assert_eq!(half(), first, "what is cut short is made again");

    let weights = made[0].join("model.safetensors");
    let mut flipped = fs::read(&weights).unwrap();
    *flipped.last_mut().unwrap() ^= 1;
    fs::remove_file(&weights).unwrap();
    fs::write(&weights, flipped).unwrap();
    assert_eq!(half(), first, "and so is what has other bytes of the same length");
}

#[test]
fn every_component_has_a_place_of_its_own() {
    let places: std::collections::BTreeSet<_> = Component::ALL.iter().map(|component| component.graph()).collect();
    assert_eq!(places.len(), Component::ALL.len());
}

#[test]
fn an_optimum_export_is_edited_for_the_pipeline_and_keeps_its_meaning() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("optimum");
    let imported = import(&golden("tiny_sd_optimum"), &out, &SessionSettings::default(), |_| ()).unwrap();
    let unet = &imported.edits[&Component::Unet];
    assert!(unet.iter().any(|edit| edit.label == "timestep as f32 [batch]"), "{unet:?}");
    let pack = Pack::open(&out).unwrap();
    verify(&pack, &SessionSettings::default(), |_| ()).unwrap();

    // Each row of the edited denoiser against the original, which takes one scalar for all rows.
    let source = golden("tiny_sd_optimum").join("unet/model.onnx");
    let mut original = Session::open(&source, &SessionSettings::default()).unwrap();
    let mut edited = Session::from_model(pack.model(Component::Unet).unwrap(), &SessionSettings::default()).unwrap();
    let inputs = inputs(Component::Unet, pack.model(Component::Unet).unwrap());
    let fed: Vec<_> = inputs.iter().map(|(name, tensor)| (name.as_str(), tensor)).collect();
    let together = edited.run(&fed).unwrap().remove(0);
    for row in 0..together.shape[0] {
        let mut alone: BTreeMap<_, _> = inputs.iter().map(|(name, all)| (name.as_str(), self::row(all, row))).collect();
        alone.get_mut("timestep").unwrap().shape.clear();
        let fed: Vec<_> = alone.iter().map(|(name, tensor)| (*name, tensor)).collect();
        let alone = original.run(&fed).unwrap().remove(0);
        let found = distance(&self::row(&together, row), &alone);
        assert!(found < 1e-5, "row {row}: {found:.1e}");
    }
}

/// One row of a tensor, as a batch of one.
fn row(tensor: &Tensor, row: usize) -> Tensor {
    let length = tensor.data.len() / tensor.shape[0];
    let mut shape = tensor.shape.clone();
    shape[0] = 1;
    Tensor::new(tensor.dtype, &shape, tensor.data[row * length..][..length].to_vec())
}

/// Two packs side by side that differ in their denoiser only.
fn two_packs() -> (tempfile::TempDir, [PathBuf; 2]) {
    let (folder, one) = tiny_pack();
    let (export, other) = (folder.path().join("export"), folder.path().join("other"));
    copy(&golden("tiny_sd"), &export);
    let path = export.join("unet/config.json");
    let text = fs::read_to_string(&path).unwrap();
    fs::write(&path, text + "\n").unwrap();
    import(&export, &other, &SessionSettings::default(), |_| ()).unwrap();
    fs::remove_dir_all(export).unwrap();
    (folder, [one, other])
}

fn stored(folder: &Path) -> Vec<String> {
    let mut names: Vec<_> = fs::read_dir(folder.join("components"))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

#[test]
fn packs_side_by_side_hold_what_they_have_in_common_once() {
    let (folder, packs) = two_packs();
    let versions = packs.each_ref().map(|pack| Pack::open(pack).unwrap().version());
    let [first, second] = packs.each_ref().map(|pack| share(pack, |_| ()).unwrap());
    assert!(first.iter().all(|component| component.sharing == Sharing::Added && component.freed));
    let added: Vec<&str> =
        second.iter().filter(|part| part.sharing == Sharing::Added).map(|part| part.name.as_str()).collect();
    assert_eq!(added, ["unet"]);
    assert_eq!(stored(folder.path()).len(), first.len() + 1);
    for (pack, version) in packs.iter().zip(versions) {
        assert!(!pack.join("unet").exists() && !pack.join("tokenizer").exists());
        let opened = Pack::open(pack).unwrap();
        assert_eq!(opened.version(), version);
        verify(&opened, &SessionSettings::default(), |_| ()).unwrap();
        assert!(opened.tokenizer().join("vocab.json").is_file());
    }
    let again = share(&packs[0], |_| ()).unwrap();
    assert!(again.iter().all(|component| component.sharing == Sharing::Known && !component.freed));
}

#[test]
fn a_pack_opens_at_every_moment_of_its_sharing() {
    let (folder, packs) = two_packs();
    share(&packs[0], |_| ()).unwrap();
    // Killed while it removed the second pack's own files: some are gone.
    fs::remove_file(packs[1].join("vae_decoder/model.safetensors")).unwrap();
    Pack::open(&packs[1]).unwrap();
    share(&packs[1], |_| ()).unwrap();
    assert!(!packs[1].join("vae_decoder").exists());
    assert_eq!(stored(folder.path()).len(), Pack::open(&packs[0]).unwrap().manifest().components.len() + 1);
}

#[test]
fn damage_is_never_shared() {
    let (folder, packs) = two_packs();
    let flip = |path: &Path| {
        let mut bytes = fs::read(path).unwrap();
        *bytes.last_mut().unwrap() ^= 1;
        fs::write(path, bytes).unwrap();
    };
    let weights = packs[0].join("vae_decoder/model.safetensors");
    flip(&weights);
    assert_mentions(&faults(share(&packs[0], |_| ()).unwrap_err()), &["vae_decoder/model.safetensors: has SHA-256"]);
    assert!(weights.exists());
    flip(&weights);
    share(&packs[0], |_| ()).unwrap();
    let decoder = Pack::open(&packs[0]).unwrap().manifest().components["vae_decoder"].sha256.clone();
    flip(&folder.path().join("components").join(decoder).join("vae_decoder/model.safetensors"));
    assert_mentions(&faults(share(&packs[1], |_| ()).unwrap_err()), &["vae_decoder/model.safetensors: has SHA-256"]);
    assert!(packs[1].join("vae_decoder/model.safetensors").exists(), "its own, whole copy stays");
}

#[test]
fn pruning_removes_what_no_pack_names() {
    let (folder, packs) = two_packs();
    packs.iter().for_each(|pack| drop(share(pack, |_| ()).unwrap()));
    assert_eq!(prune(folder.path()).unwrap(), Vec::<String>::new());
    let unet = Pack::open(&packs[1]).unwrap().manifest().components["unet"].sha256.clone();
    fs::remove_dir_all(&packs[1]).unwrap();
    assert_eq!(prune(folder.path()).unwrap(), [unet]);
    Pack::open(&packs[0]).unwrap();
    fs::write(packs[0].join(MANIFEST), "{").unwrap();
    prune(folder.path()).unwrap_err();
    assert_eq!(stored(folder.path()).len(), 6, "a manifest that cannot be read costs nothing");
}
