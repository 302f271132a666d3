//! What leaves a run: packs that are what was trained, or are refused; files for other programs.

use std::{collections::BTreeMap, fs, path::Path};

use plaudit::{
    feedback::dataset::Format,
    pack::{Component, Knowledge, Pack, seal_with, verify},
    registry::{Kind, Lineage, Registry, RegistrySettings},
    store::Store,
};
use plaudit_onnx::Tensor;
use plaudit_training::{
    finetune::Finetune,
    step::{Lora, Selection},
};
use safetensors::SafeTensors;

use crate::harness::{bundled, captioned, dataset, session, settings, tuned, weights};

fn tensors(path: &Path) -> BTreeMap<String, (Vec<usize>, Vec<f32>)> {
    let bytes = fs::read(path).expect("a file");
    let file = SafeTensors::deserialize(&bytes).expect("safetensors");
    let values = |view: &safetensors::tensor::TensorView<'_>| {
        view.data().chunks_exact(4).map(|bytes| f32::from_le_bytes([bytes[0], bytes[1], bytes[2], bytes[3]])).collect()
    };
    file.iter().map(|(name, view)| (name.to_owned(), (view.shape().to_vec(), values(&view)))).collect()
}

#[test]
fn a_tuned_pack_verifies_is_published_with_its_lineage_and_a_flipped_byte_is_found() {
    let folder = tempfile::tempdir().unwrap();
    let votes = dataset(folder.path(), 5, Format::Parquet);
    let run = Finetune { labelled: Some(votes), steps: 2, ..settings(folder.path(), "run") };
    let done = tuned(&run);
    let pack = Pack::open(&done.pack).expect("a pack");
    verify(&pack, &session(), |_| {}).expect("as it was made");
    let parent = Pack::open(&bundled()).expect("the parent");
    let lineage = pack.manifest().lineage.clone().expect("a lineage");
    assert_eq!((lineage.parent.as_str(), lineage.events), (parent.version().as_str(), Some((1, 5))));
    assert_eq!((lineage.training["steps"].as_u64(), lineage.training["pictures"].as_u64()), (Some(2), Some(8)));
    for (name, entry) in &parent.manifest().components {
        let same = pack.manifest().components[name] == *entry;
        assert_eq!(same, name != "unet", "{name}: all but the denoiser are the parent's");
    }
    assert!(weights(&done.pack) != weights(&bundled()));

    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    let published = runtime.block_on(async {
        let store = Store::open(&folder.path().join("state")).await.expect("a store");
        let registry = Registry::open(store, RegistrySettings::default()).await.expect("a registry");
        let by = Lineage { published_by: "trainer".into(), ..Lineage::default() };
        registry.publish(Kind::Generator, &done.pack, by).await.expect("published")
    });
    assert_eq!(published.version.as_str(), done.version);
    assert_eq!(published.lineage.parent.map(|parent| parent.to_string()), Some(parent.version()));
    assert_eq!(published.lineage.events.map(|events| (events.first, events.last)), Some((1, 5)));
    assert_eq!(published.lineage.training["data_sha256"].as_str(), Some(done.data_sha256.as_str()));

    let path = done.pack.join("unet/model.safetensors");
    let mut bytes = fs::read(&path).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 0x40;
    fs::write(&path, bytes).unwrap();
    let error =
        verify(&Pack::open(&done.pack).expect("its structure is sound"), &session(), |_| {}).expect_err("damage");
    assert!(error.to_string().contains("model.safetensors"), "{error}");
}

/// The hash is computed from the file: only golden outputs of the weights in memory find a file that was written wrongly.
#[test]
fn a_file_that_is_not_what_was_in_memory_does_not_verify() {
    let folder = tempfile::tempdir().unwrap();
    let place = folder.path().join("pack");
    copy(&bundled(), &place);
    let pack = Pack::open(&place).expect("a pack");
    let mut trained = pack.model(Component::Unet).expect("a unet").clone();
    let weight = trained.graph.initializers.get_mut("conv_out.weight").expect("a weight");
    let mut values = weight.to_f32().expect("f32");
    values[7] += 0.5;
    *weight = Tensor::f32(&weight.shape.clone(), &values);
    let knowledge = Knowledge { in_hand: BTreeMap::from([(Component::Unet, &trained)]), ..Knowledge::default() };
    seal_with(&place, "wrong", knowledge, &session(), |_| {}).expect("sealed");
    let error = verify(&Pack::open(&place).expect("sound"), &session(), |_| {}).expect_err("another denoiser");
    assert!(error.to_string().contains("unet") && error.to_string().contains("golden"), "{error}");
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).expect("a folder");
    for entry in fs::read_dir(from).expect("a folder") {
        let entry = entry.expect("an entry");
        let target = to.join(entry.file_name());
        if entry.path().is_dir() {
            copy(&entry.path(), &target);
        } else {
            fs::copy(entry.path(), target).expect("a copy");
        }
    }
}

#[test]
fn lora_files_merged_back_are_the_exported_weights() {
    let folder = tempfile::tempdir().unwrap();
    let pictures = captioned(folder.path(), 4, |_| {});
    let lora = Lora { rank: 2, alpha: 4.0, seed: 3 };
    let run = Finetune {
        unlabelled: vec![pictures],
        selection: Selection::Lora(lora),
        rate: 1e-2,
        steps: 3,
        ..settings(folder.path(), "lora")
    };
    let done = tuned(&run);
    let named =
        |end: &str| done.exports.iter().find(|path| path.ends_with(end)).unwrap_or_else(|| panic!("{end}")).clone();
    let exported = tensors(&named("diffusers/unet/diffusion_pytorch_model.safetensors"));
    let before = tensors(&bundled().join("unet/model.safetensors"));
    // The pack's file has the graph's constants too.
    let packed = tensors(&done.pack.join("unet/model.safetensors"));
    assert!(exported.iter().all(|(name, tensor)| packed[name] == *tensor), "diffusers' names are the pack's");
    assert_eq!(exported.keys().collect::<Vec<_>>(), before.keys().collect::<Vec<_>>());
    let (diffusers, kohya) =
        (tensors(&named("pytorch_lora_weights.safetensors")), tensors(&named("kohya.safetensors")));
    let mut adapted = 0;
    for (name, (shape, weight)) in &before {
        let module = name.trim_end_matches(".weight");
        let dashed = module.replace('.', "_");
        let merged = |down: &[f32], up: &[f32], scale: f64| -> Vec<f32> {
            let (inner, rank) = (shape[1], lora.rank);
            let delta = |at: usize| {
                let (o, i) = (at / inner, at % inner);
                (0..rank).map(|r| f64::from(up[o * rank + r]) * f64::from(down[r * inner + i])).sum::<f64>()
            };
            weight.iter().enumerate().map(|(at, w)| (f64::from(*w) + scale * delta(at)) as f32).collect()
        };
        let Some((_, down)) = kohya.get(&format!("lora_unet_{dashed}.lora_down.weight")) else {
            assert!(exported[name].1 == *weight, "{name} has no correction");
            continue;
        };
        adapted += 1;
        let (_, up) = &kohya[&format!("lora_unet_{dashed}.lora_up.weight")];
        let alpha = kohya[&format!("lora_unet_{dashed}.alpha")].1[0];
        assert!(merged(down, up, f64::from(alpha) / lora.rank as f64) == exported[name].1, "{name}, kohya's");
        let (_, down) = &diffusers[&format!("unet.{module}.lora_A.weight")];
        let (_, up) = &diffusers[&format!("unet.{module}.lora_B.weight")];
        assert!(merged(down, up, 1.0) == exported[name].1, "{name}, diffusers'");
        assert!(exported[name].1 != *weight, "{name} learned something");
    }
    assert_eq!((3 * adapted, 2 * adapted), (kohya.len(), diffusers.len()));
}
