//! Promise 22: no path escape. Twelve cases of paths and links, and hard links, on publishing.

use std::os::unix::fs::symlink;

use super::*;

/// Names that a manifest may try, each for a file that is there.
const NAMES: [&str; 9] = [
    "../outside",
    "../../outside",
    "a/../../outside",
    "/etc/passwd",
    "./model.onnx",
    "a//model.onnx",
    "..",
    "a\\..\\outside",
    "manifest.json",
];

/// The reward's manifest with a file of another name in the place of its report.
fn renamed(folder: &Path, name: &str) {
    let mut manifest: RewardManifest = read(folder);
    let facts = manifest.files.remove("report.json").expect("a file");
    manifest.files.insert(name.to_owned(), facts);
    fs::write(folder.join(MANIFEST), manifest.to_json()).expect("written");
}

async fn refused(place: &Place, kind: Kind, source: &Path, case: &str) -> String {
    let outcome = place.registry.publish(kind, source, by("test")).await;
    outcome.err().unwrap_or_else(|| panic!("{case} was published")).to_string()
}

#[tokio::test]
async fn names_that_lead_out_of_a_version_are_refused() {
    let place = Place::new().await;
    fs::write(place.source("outside"), "secret").expect("written");
    for (number, name) in NAMES.into_iter().enumerate() {
        let source = place.reward(&format!("case{number}"));
        fs::create_dir(source.join("a")).expect("a folder");
        renamed(&source, name);
        let said = refused(&place, Kind::Reward, &source, name).await;
        assert!(said.contains("is no path inside the version"), "{name}: {said}");
    }
    // The same for components.
    let source = place.generator("components", false);
    let mut manifest: Manifest = read(&source);
    let entry = manifest.components.get_mut("tokenizer").expect("a component");
    let facts = entry.files["tokenizer/merges.txt"].clone();
    entry.files.insert("../outside".into(), facts);
    entry.sha256 = Entry::digest(&entry.files);
    fs::write(source.join(MANIFEST), manifest.to_json()).expect("written");
    let said = refused(&place, Kind::Generator, &source, "a component's name").await;
    assert!(said.contains("../outside"), "{said}");
    // A hash that is a path.
    let mut manifest: Manifest = read(&bundled());
    manifest.components.get_mut("tokenizer").expect("a component").sha256 = "../../outside".into();
    fs::write(source.join(MANIFEST), manifest.to_json()).expect("written");
    let said = refused(&place, Kind::Generator, &source, "a component's hash").await;
    assert!(said.contains("its hash in the manifest is not that of its files"), "{said}");
    // A version's own name.
    for name in ["..", "a/b", "", "a\nb", "-", "x y"] {
        let source = place.reward("named");
        let mut manifest: RewardManifest = read(&source);
        manifest.name = name.to_owned();
        fs::write(source.join(MANIFEST), manifest.to_json()).expect("written");
        let said = refused(&place, Kind::Reward, &source, name).await;
        assert!(said.contains("names no version"), "{name:?}: {said}");
    }
    nothing_escaped(&place).await;
}

#[tokio::test]
async fn links_and_pipes_in_a_source_are_refused() {
    let place = Place::new().await;
    let outside = place.source("outside");
    fs::write(&outside, "secret").expect("written");
    type Break = fn(&Path, &Path);
    let cases: [(&str, Break); 6] = [
        ("a file is a link", |source, outside| {
            fs::copy(source.join("report.json"), outside).expect("copied");
            fs::remove_file(source.join("report.json")).expect("removed");
            symlink(outside, source.join("report.json")).expect("a link");
        }),
        ("a link beside the files", |source, outside| symlink(outside, source.join("more")).expect("a link")),
        ("a link that leads nowhere", |source, _| symlink("/nowhere", source.join("more")).expect("a link")),
        ("a folder is a link", |source, outside| {
            symlink(outside.parent().expect("a folder"), source.join("folder")).expect("a link");
        }),
        ("a hard link", |source, outside| {
            fs::remove_file(outside).expect("removed");
            fs::hard_link(source.join("model.safetensors"), outside).expect("a link");
        }),
        ("the manifest is a link", |source, outside| {
            fs::rename(source.join(MANIFEST), outside).expect("moved");
            symlink(outside, source.join(MANIFEST)).expect("a link");
        }),
    ];
    for (number, (case, spoil)) in cases.into_iter().enumerate() {
        let source = place.reward(&format!("link{number}"));
        spoil(&source, &outside);
        refused(&place, Kind::Reward, &source, case).await;
    }
    // Generators are read by the pack's own rules.
    let source = place.generator("linked", false);
    let weights = source.join("unet/model.safetensors");
    fs::rename(&weights, &outside).expect("moved");
    symlink(&outside, &weights).expect("a link");
    let said = refused(&place, Kind::Generator, &source, "weights that are a link").await;
    assert!(said.contains("unet/model.safetensors: is a link"), "{said}");
    let source = place.reward("pipe");
    fs::remove_file(source.join("report.json")).expect("removed");
    let made = std::process::Command::new("mkfifo").arg(source.join("report.json")).status().expect("a pipe");
    assert!(made.success());
    refused(&place, Kind::Reward, &source, "a pipe").await;
    nothing_escaped(&place).await;
}

/// Nothing is where a version could be, nor outside.
async fn nothing_escaped(place: &Place) {
    place.registry.sweep().await.expect("swept");
    assert!(place.registry.versions(None, 9, None).await.expect("versions").is_empty());
    assert_eq!(names(&place.data.path().join("versions")), ["LOCK", "generator", "reward"].map(str::to_owned).into());
    for folder in ["versions/reward", "staging"] {
        assert_eq!(names(&place.data.path().join(folder)), BTreeSet::new(), "{folder}");
    }
    let generators = names(&place.data.path().join("versions/generator"));
    assert!(generators.iter().all(|name| name == "components"), "{generators:?}");
    assert_eq!(names(&place.data.path().join("versions/generator/components")), BTreeSet::new());
}
