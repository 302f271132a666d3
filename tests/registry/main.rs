//! The registry over a real disk and a real database: what can be published, promoted, gone back to, removed; by calls and as commands.
#![allow(missing_docs)]

mod collecting;
mod commands;
mod paths;
mod promoting;
mod publishing;
mod signing;

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
    time::Duration,
};

use plaudit::{
    pack::{Entry, MANIFEST, Manifest},
    registry::{
        Action, Alias, EventRange, Kind, Lineage, Promotion, PromotionRecord, Registry, RegistryError,
        RegistrySettings, VersionId, VersionRecord, VersionState,
    },
    scoring::RewardManifest,
    store::Store,
};
use serde_json::json;
use sha2::{Digest, Sha256};

fn bundled() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("onnx/packs/miniature")
}

/// A directory, its registry, and where sources are made.
struct Place {
    data: tempfile::TempDir,
    sources: tempfile::TempDir,
    registry: Registry,
}

impl Place {
    async fn new() -> Self {
        Self::with(RegistrySettings::default()).await
    }

    async fn with(settings: RegistrySettings) -> Self {
        let (data, sources) = (tempfile::tempdir().expect("a folder"), tempfile::tempdir().expect("a folder"));
        let store = Store::open(data.path()).await.expect("a store");
        let registry = Registry::open(store, settings).await.expect("a registry");
        Self { data, sources, registry }
    }

    fn source(&self, name: &str) -> PathBuf {
        self.sources.path().join(name)
    }

    /// The bundled reward under another name: another version, and small.
    fn reward(&self, name: &str) -> PathBuf {
        let (from, to) = (bundled().join("reward"), self.source(name));
        copy(&from, &to);
        let mut manifest: RewardManifest = read(&to);
        manifest.name = name.to_owned();
        fs::write(to.join(MANIFEST), manifest.to_json()).expect("written");
        to
    }

    /// The bundled pack under another name, with a denoiser of its own where one is asked for.
    fn generator(&self, name: &str, own_denoiser: bool) -> PathBuf {
        let to = self.source(name);
        let mut manifest: Manifest = read(&bundled());
        for file in manifest.all_files().map(|(file, _)| file) {
            fs::create_dir_all(to.join(file).parent().expect("a folder")).expect("a folder");
            fs::copy(bundled().join(file), to.join(file)).expect("copied");
        }
        if own_denoiser {
            let file = "unet/config.json";
            let text = fs::read_to_string(to.join(file)).expect("a file") + &" ".repeat(name.len());
            fs::write(to.join(file), &text).expect("written");
            let entry = manifest.components.get_mut("unet").expect("a component");
            let facts = entry.files.get_mut(file).expect("a file");
            (facts.sha256, facts.bytes) = (sha256(text.as_bytes()), text.len() as u64);
            entry.sha256 = Entry::digest(&entry.files);
        }
        manifest.name = name.to_owned();
        fs::write(to.join(MANIFEST), manifest.to_json()).expect("written");
        to
    }

    async fn published(&self, name: &str) -> VersionId {
        let source = self.reward(name);
        self.registry.publish(Kind::Reward, &source, by("test")).await.expect("published").version
    }

    async fn promote(
        &self,
        version: &VersionId,
        expected: Option<&VersionId>,
    ) -> Result<PromotionRecord, RegistryError> {
        let (actor, reason) = ("test".to_owned(), "it is better".to_owned());
        let (version, expected) = (version.clone(), expected.cloned());
        self.registry.promote(Promotion { kind: Kind::Reward, version, expected, actor, reason }).await
    }

    async fn rollback(
        &self,
        to: Option<&VersionId>,
        expected: Option<&VersionId>,
    ) -> Result<PromotionRecord, RegistryError> {
        self.registry.rollback(Kind::Reward, to.cloned(), expected.cloned(), "test", "thumbs fell").await
    }

    async fn champion(&self) -> Option<VersionId> {
        self.registry.aliases(Kind::Reward).await.expect("aliases").champion
    }
}

fn by(name: &str) -> Lineage {
    Lineage { published_by: name.to_owned(), ..Lineage::default() }
}

fn read<T: serde::de::DeserializeOwned>(folder: &Path) -> T {
    let text = fs::read_to_string(folder.join(MANIFEST)).expect("a manifest");
    serde_json::from_str(&text).expect("a manifest")
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).expect("a folder");
    for entry in fs::read_dir(from).expect("a folder").map(Result::unwrap) {
        let target = to.join(entry.file_name());
        match entry.file_type().expect("a type").is_dir() {
            true => copy(&entry.path(), &target),
            false => drop(fs::copy(entry.path(), target).expect("copied")),
        }
    }
}

fn sha256(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

fn names(folder: &Path) -> BTreeSet<String> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    entries.map(|entry| entry.file_name().into_string().expect("text")).collect()
}
