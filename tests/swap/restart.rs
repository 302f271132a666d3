//! What serves after a restart.

use super::*;

pub(crate) async fn restarted(scene: Scene, flags: &[&str]) -> Scene {
    let Scene { mut app, registry, .. } = scene;
    app.stop().await.expect("no panic").expect("a clean stop");
    drop(registry);
    let data = std::mem::replace(&mut app.data, tempfile::tempdir().expect("a folder"));
    Scene::over(TestApp::over(data, &[USUAL, flags].concat()).await).await
}

#[tokio::test(flavor = "multi_thread")]
async fn the_champion_serves_after_a_restart() {
    let scene = Scene::start().await;
    let tuned = scene.tuned(0.1).await;
    assert_eq!(scene.promote(Kind::Generator, &tuned, &scene.first).await.status(), 200);
    let scene = restarted(scene, &[]).await;
    assert_eq!(scene.drawn_by().await, tuned.as_str());
    assert_eq!(scene.place(Kind::Generator).await["state"], "serving");
    // And can still be rolled back from.
    assert_eq!(scene.roll_back(&tuned).await.status(), 200);
    assert_eq!(scene.drawn_by().await, scene.first.as_str());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_champion_that_was_damaged_meanwhile_leaves_its_place_to_the_given_pack() {
    let scene = Scene::start().await;
    let tuned = scene.tuned(0.1).await;
    assert_eq!(scene.promote(Kind::Generator, &tuned, &scene.first).await.status(), 200);
    let pack = Pack::open(&scene.registry.folder(Kind::Generator, &tuned)).expect("the version");
    let weights = pack.path("unet/model.safetensors");
    drop(pack);
    // In place it would reach the mapped file of the server that still runs; as another file it is found at the next start.
    let damaged = tempfile::NamedTempFile::new_in(scene.app.data.path()).expect("a file");
    std::fs::write(damaged.path(), "short").expect("written");
    damaged.persist(&weights).expect("in its place");
    let scene = restarted(scene, &[]).await;
    assert_eq!(scene.drawn_by().await, scene.first.as_str());
    scene.until("a refusal", async |scene| scene.place(Kind::Generator).await["state"] == "refused").await;
}
