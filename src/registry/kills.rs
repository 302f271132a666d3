//! Kills at every step: a process of its own publishes or collects, and aborts there.

use std::{
    collections::BTreeSet,
    fs,
    os::unix::process::ExitStatusExt,
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use super::{crash::VARIABLE, tests::variant, *};
use crate::pack::{COMPONENTS, MANIFEST, Manifest, Pack};

/// What the process is to do with which directory.
const DATA: &str = "PLAUDIT_TEST_DATA";
const SOURCE: &str = "PLAUDIT_TEST_SOURCE";

#[tokio::test]
#[ignore = "run by the tests below, to be killed"]
async fn child() -> anyhow::Result<()> {
    let data = PathBuf::from(std::env::var(DATA)?);
    let registry = Registry::open(Store::attach(&data).await?, RegistrySettings::default()).await?;
    match std::env::var(SOURCE) {
        Ok(source) => drop(registry.publish(Kind::Generator, Path::new(&source), lineage()).await?),
        Err(_) => drop(registry.gc(0, Duration::ZERO, false).await?),
    }
    Ok(())
}

fn lineage() -> Lineage {
    Lineage { published_by: "test".into(), ..Lineage::default() }
}

/// Runs [`child`] until it aborts.
fn killed(data: &Path, source: Option<&Path>, point: CrashPoint) {
    let mut command = Command::new(std::env::current_exe().expect("this test"));
    command.args(["--exact", "registry::kills::child", "--ignored", "--nocapture"]);
    command.env(DATA, data).env(VARIABLE, format!("{point:?}"));
    if let Some(source) = source {
        command.env(SOURCE, source);
    }
    let done = command.output().expect("a process");
    let said = String::from_utf8_lossy(&done.stdout) + String::from_utf8_lossy(&done.stderr);
    assert_eq!(done.status.signal(), Some(libc::SIGABRT), "{point:?}: {said}");
}

async fn reopened(data: &Path) -> Registry {
    let store = Store::attach(data).await.expect("a store");
    Registry::open(store, RegistrySettings::default()).await.expect("a registry")
}

fn names(folder: &Path) -> BTreeSet<String> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    entries.map(|entry| entry.file_name().into_string().expect("text")).collect()
}

/// The champion is the one of before, every version that is listed is whole, and nothing else is there.
async fn is_sound(registry: &Registry, champion: &VersionId) -> Vec<VersionId> {
    assert_eq!(registry.aliases(Kind::Generator).await.expect("aliases").champion.as_ref(), Some(champion));
    let listed = registry.versions(Some(Kind::Generator), 1000, None).await.expect("versions");
    let ready: Vec<_> = listed.into_iter().filter(|record| record.state == VersionState::Ready).collect();
    let mut components = BTreeSet::new();
    for VersionRecord { version, .. } in &ready {
        registry.check(Kind::Generator, version).await.expect("whole");
        let folder = registry.folder(Kind::Generator, version);
        assert_eq!(Pack::open(&folder).expect("a pack").version(), version.as_str());
        let text = fs::read_to_string(folder.join(MANIFEST)).expect("a manifest");
        let manifest: Manifest = serde_json::from_str(&text).expect("a manifest");
        components.extend(manifest.components.into_values().map(|entry| entry.sha256));
    }
    let folders = &registry.inner.folders;
    assert_eq!(names(&folders.of(Kind::Generator).join(COMPONENTS)), components);
    let ready: Vec<VersionId> = ready.into_iter().map(|record| record.version).collect();
    let mut there = names(&folders.of(Kind::Generator));
    there.remove(COMPONENTS);
    assert_eq!(there, ready.iter().map(ToString::to_string).collect());
    assert_eq!(names(&folders.staging()), BTreeSet::new());
    ready
}

/// A registry with a champion.
async fn begun(data: &Path) -> VersionId {
    let registry = reopened(data).await;
    let source = variant(data, "first");
    let version = registry.publish(Kind::Generator, &source, lineage()).await.expect("published").version;
    let (actor, reason) = ("test".to_owned(), "the first one".to_owned());
    let promotion = Promotion { kind: Kind::Generator, version: version.clone(), expected: None, actor, reason };
    registry.promote(promotion).await.expect("promoted");
    version
}

#[tokio::test(flavor = "multi_thread")]
async fn a_publication_that_is_killed_anywhere_leaves_the_champion_and_succeeds_when_tried_again() {
    let data = tempfile::tempdir().expect("a folder");
    let champion = begun(data.path()).await;
    for (number, point) in CrashPoint::PUBLISHING.into_iter().enumerate() {
        let source = variant(data.path(), &format!("killed-{number}"));
        killed(data.path(), Some(&source), point);
        let registry = reopened(data.path()).await;
        let before = is_sound(&registry, &champion).await;
        assert_eq!(before.len(), number + 1 + usize::from(point == CrashPoint::Row), "{point:?}");
        let record = registry.publish(Kind::Generator, &source, lineage()).await.expect("published");
        let after = is_sound(&registry, &champion).await;
        assert!(after.contains(&record.version) && after.len() == number + 2, "{point:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_collection_that_is_killed_anywhere_leaves_no_half_of_a_version() {
    let data = tempfile::tempdir().expect("a folder");
    let champion = begun(data.path()).await;
    for (number, point) in CrashPoint::COLLECTING.into_iter().enumerate() {
        let source = variant(data.path(), &format!("leaving-{number}"));
        let registry = reopened(data.path()).await;
        let record = registry.publish(Kind::Generator, &source, lineage()).await.expect("published");
        killed(data.path(), None, point);
        let registry = reopened(data.path()).await;
        assert_eq!(is_sound(&registry, &champion).await, std::slice::from_ref(&champion), "{point:?}");
        let retired = registry.version(Kind::Generator, &record.version).await.expect("a row");
        assert_eq!(retired.state, VersionState::Retired);
        let again = registry.publish(Kind::Generator, &source, lineage()).await.expect("published anew");
        assert_eq!((again.state, again.created), (VersionState::Ready, record.created));
        assert_eq!(is_sound(&registry, &champion).await.len(), 2);
        registry.gc(0, Duration::ZERO, false).await.expect("collected");
    }
}
