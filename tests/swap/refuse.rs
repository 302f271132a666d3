//! What is not fit to serve does not serve.

use std::fs;

use plaudit::pack::{Component, seal};
use plaudit_onnx::Tensor;

use super::*;

/// The server still draws as it did, and says why it does not draw with `version`.
async fn refused(scene: &Scene, version: &VersionId, code: &str, why: &str) {
    let before = scene.app.generate(harness::quick()).await;
    let (status, error) = said(scene.promote(Kind::Generator, version, &scene.first).await).await;
    let message = error["error"]["message"].as_str().unwrap_or_default();
    assert_eq!(error["error"]["code"], code, "{status} {error}");
    assert!(message.contains(why), "{message}");
    assert_eq!(scene.champion(Kind::Generator).await.as_ref(), Some(&scene.first), "the champion is as before");
    let after = scene.app.generate(harness::quick()).await;
    assert_eq!(after["model_version"], scene.first.as_str());
    assert_eq!(after["data"][0]["b64_json"], before["data"][0]["b64_json"]);
}

fn file_of(scene: &Scene, version: &VersionId, path: &str) -> std::path::PathBuf {
    Pack::open(&scene.registry.folder(Kind::Generator, version)).expect("the version").path(path)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_was_damaged_after_it_was_published_is_found() {
    let scene = Scene::start().await;
    let tuned = scene.tuned(0.1).await;
    let weights = file_of(&scene, &tuned, "unet/model.safetensors");
    let mut bytes = fs::read(&weights).expect("weights");
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(&weights, bytes).expect("written");
    refused(&scene, &tuned, "version_refused", "unet/model.safetensors").await;
    assert_eq!(scene.place(Kind::Generator).await["state"], "serving", "nothing was promoted");
}

/// Who recomputes the manifest after exchanging two tensors cannot recompute what the trainer saw.
#[tokio::test(flavor = "multi_thread")]
async fn a_version_that_computes_something_else_than_when_it_was_made_is_found_by_its_golden_outputs() {
    let scene = Scene::start().await;
    let folder = tempfile::tempdir().expect("a folder");
    packs::tuned(folder.path(), 0.1);
    let golden = fs::read(folder.path().join("golden.safetensors")).expect("golden outputs");
    packs::edit(folder.path(), Component::Unet, |model| {
        let alike: Vec<String> = model
            .graph
            .initializers
            .iter()
            .filter(|(_, tensor)| tensor.shape == [64, 64])
            .map(|(name, _)| name.clone())
            .take(2)
            .collect();
        let [one, two] = &alike[..] else { panic!("two tensors of one shape") };
        let tensors = [one, two].map(|name| model.graph.initializers[name].clone());
        let [first, second] = tensors;
        model.graph.initializers.insert(one.clone(), second);
        model.graph.initializers.insert(two.clone(), first);
    });
    seal(folder.path(), "miniature", &Default::default(), &packs::quiet(), |_| ()).expect("a pack");
    // The seal made golden outputs anew; the trainer's own, under a manifest that fits them, tell.
    packs::with_golden(folder.path(), &golden);
    let version = scene.publish(folder.path()).await;
    refused(&scene, &version, "version_refused", "golden").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_version_that_answers_no_numbers_is_refused() {
    let scene = Scene::start().await;
    let folder = tempfile::tempdir().expect("a folder");
    packs::copy(folder.path());
    packs::edit(folder.path(), Component::Unet, |model| {
        let bias = model.graph.initializers.iter_mut().find(|(name, _)| name.ends_with("conv_out.bias"));
        let (_, bias) = bias.expect("a last bias");
        let shape = bias.shape.clone();
        *bias = Tensor::f32(&shape, &vec![f32::NAN; shape.iter().product()]);
    });
    seal(folder.path(), "miniature", &Default::default(), &packs::quiet(), |_| ()).expect("a pack");
    let version = scene.publish(folder.path()).await;
    refused(&scene, &version, "version_refused", "unet").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn where_there_is_no_room_figures_are_told_and_draining_first_makes_room() {
    let scene = Scene::with(&["--swap-memory-limit", "1"]).await;
    let tuned = scene.tuned(0.1).await;
    refused(&scene, &tuned, "insufficient_memory", "MiB").await;
    let path = format!("/v1/admin/versions/generator/{tuned}/promote");
    let body = json!({"expected": scene.first.as_str(), "reason": "a test", "drain": true});
    let (status, written) = said(scene.admin(Method::POST, &path, body).await).await;
    assert_eq!(status, 200, "{written}");
    assert_eq!(scene.drawn_by().await, tuned.as_str());
}

/// Somebody else promoted, and the file is damaged on this server only.
#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_cannot_follow_serves_on_and_says_why() {
    let scene = Scene::start().await;
    let tuned = scene.tuned(0.1).await;
    fs::write(file_of(&scene, &tuned, "unet/model.safetensors"), "short").expect("written");
    let promotion = plaudit::registry::Promotion {
        kind: Kind::Generator,
        version: tuned.clone(),
        expected: Some(scene.first.clone()),
        actor: "another server".into(),
        reason: "a test".into(),
    };
    scene.registry.promote(promotion).await.expect("promoted");
    scene.until("a refusal", async |scene| scene.place(Kind::Generator).await["state"] == "refused").await;
    let place = scene.place(Kind::Generator).await;
    assert_eq!((&place["version"], &place["other"]), (&json!(scene.first), &json!(tuned)));
    assert!(place["reason"].as_str().is_some_and(|why| why.contains("unet/model.safetensors")), "{place}");
    assert_eq!(scene.drawn_by().await, scene.first.as_str());
    assert!(scene.app.metric("plaudit_swaps_total{kind=\"generator\",result=\"refused\"}").await >= 1.0);
    let (status, _) = said(scene.roll_back(&tuned).await).await;
    assert_eq!(status, 200);
    assert_eq!(scene.place(Kind::Generator).await["state"], "serving");
}
