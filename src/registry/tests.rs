//! What only the inside of the registry can be asked: times that are made up, versions without files.

use std::{
    fs,
    path::{Path, PathBuf},
};

use super::*;
use crate::pack::{Entry, MANIFEST, Manifest, hash};

/// A copy of the bundled pack with two components of its own, under another name.
pub(super) fn variant(beside: &Path, name: &str) -> PathBuf {
    let bundled = Path::new(env!("CARGO_MANIFEST_DIR")).join("onnx/packs/miniature");
    let folder = beside.join("sources").join(name);
    let text = fs::read_to_string(bundled.join(MANIFEST)).expect("a manifest");
    let mut manifest: Manifest = serde_json::from_str(&text).expect("a manifest");
    for file in manifest.all_files().map(|(file, _)| file) {
        fs::create_dir_all(folder.join(file).parent().expect("a folder")).expect("a folder");
        fs::copy(bundled.join(file), folder.join(file)).expect("copied");
    }
    for component in ["unet", "vae_decoder"] {
        let file = format!("{component}/config.json");
        let other = fs::read_to_string(bundled.join(&file)).expect("a file").trim_end().to_owned()
            + &" ".repeat(name.len())
            + "\n";
        let other = other.replacen('{', &format!("{{\"_variant\": {name:?},"), 1);
        fs::write(folder.join(&file), &other).expect("written");
        let entry = manifest.components.get_mut(component).expect("a component");
        let facts = entry.files.get_mut(&file).expect("a file");
        (facts.sha256, facts.bytes) = (hash::bytes(other.as_bytes()), other.len() as u64);
        entry.sha256 = Entry::digest(&entry.files);
    }
    manifest.name = name.to_owned();
    fs::write(folder.join(MANIFEST), manifest.to_json()).expect("written");
    folder
}

/// Numbers that look random and are the same each time (Knuth's linear congruential generator).
struct Dice(u64);

impl Dice {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % bound
    }
}

/// A serving as the model remembers it: server, kind, role, version, from, to.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Remembered {
    server: usize,
    kind: Kind,
    role: &'static str,
    version: VersionId,
    since: i64,
    until: Option<i64>,
}

fn version(kind: Kind, number: u64) -> VersionId {
    format!("{kind}-{number}@{number:012x}").parse().expect("a version")
}

fn published(kind: Kind, number: u64) -> VersionRecord {
    let first = 100 * number as i64;
    VersionRecord {
        kind,
        version: version(kind, number),
        state: VersionState::Ready,
        manifest: format!("{number:064x}"),
        bytes: 1,
        signed_by: None,
        created: 0,
        retired: None,
        lineage: Lineage {
            parent: number.checked_sub(1).map(|before| version(kind, before)),
            events: Some(EventRange { first, last: first + 99 }),
            events_digest: Some(format!("{first:064x}")),
            training: serde_json::json!({"steps": number}),
            published_by: "model".into(),
            ..Lineage::default()
        },
    }
}

/// Promise 27: what served at T, trained on what?
#[tokio::test]
async fn any_of_a_thousand_times_is_explained_as_a_model_in_memory_explains_it() {
    const SERVERS: usize = 4;
    const VERSIONS: u64 = 12;
    /// Those above were served and never published, as a bundled pack is.
    const PUBLISHED: u64 = 9;
    const CHANGES: u64 = 1500;
    const TIMES: u64 = 1000;
    let data = tempfile::tempdir().expect("a folder");
    let mut servers = Vec::new();
    for _ in 0..SERVERS {
        servers.push(Store::attach(data.path()).await.expect("a store"));
    }
    for kind in Kind::ALL {
        for number in 0..PUBLISHED {
            servers[0].add_version(&published(kind, number)).await.expect("a row");
        }
    }
    let (mut dice, mut clock, mut model) = (Dice(7), 1_000_000_i64, Vec::<Remembered>::new());
    for _ in 0..CHANGES {
        // Often several in one second.
        clock += dice.below(4).saturating_sub(1) as i64 * dice.below(50) as i64;
        let (server, kind) = (dice.below(SERVERS as u64) as usize, Kind::ALL[dice.below(2) as usize]);
        let role = [Alias::Champion, Alias::Candidate][usize::from(dice.below(4) == 0)];
        let next = (dice.below(5) > 0).then(|| version(kind, dice.below(VERSIONS)));
        let same = |past: &&mut Remembered| past.server == server && past.kind == kind && past.role == role.name();
        let open = model.iter_mut().filter(same).find(|past| past.until.is_none());
        match &next {
            Some(version) => servers[server].began_serving(kind, role, version, Some(clock)).await.expect("written"),
            None => servers[server].ended_serving(kind, role, Some(clock)).await.expect("written"),
        }
        if let Some(open) = open {
            if next.as_ref() == Some(&open.version) {
                continue;
            }
            open.until = Some(clock);
        }
        let role = role.name();
        model.extend(next.map(|version| Remembered { server, kind, role, version, since: clock, until: None }));
    }
    let names: Vec<&str> = servers.iter().map(Store::server).collect();
    for asked in 0..TIMES {
        let time = 1_000_000 - 10 + dice.below((clock - 1_000_000) as u64 + 20) as i64;
        let told = servers[asked as usize % SERVERS].served_at(time).await.expect("servings");
        for serving in &told {
            let number: u64 = serving.version.as_str().split(['-', '@']).nth(1).expect("a number").parse().expect("it");
            let known = (number < PUBLISHED).then(|| published(serving.kind, number).lineage);
            assert_eq!(serving.lineage, known, "{time}");
        }
        let remember = |serving: Serving| Remembered {
            server: names.iter().position(|name| *name == serving.server).expect("a server"),
            kind: serving.kind,
            role: serving.role.name(),
            version: serving.version,
            since: serving.since,
            until: serving.until,
        };
        let mut told: Vec<_> = told.into_iter().map(remember).collect();
        let served = |past: &&Remembered| past.since <= time && past.until.is_none_or(|until| until >= time);
        let mut expected: Vec<_> = model.iter().filter(served).cloned().collect();
        told.sort();
        expected.sort();
        assert_eq!(told, expected, "{time}");
    }
}
