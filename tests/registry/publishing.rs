//! What can be published, and what becomes of it.

use plaudit::{pack::Pack, runtime::SessionSettings};

use super::*;

#[tokio::test]
async fn a_published_pack_opens_and_verifies_where_it_is_and_says_where_it_comes_from() {
    let place = Place::new().await;
    let lineage = Lineage {
        parent: Some("miniature@0123456789ab".parse().expect("a version")),
        events: Some(EventRange { first: 3, last: 2048 }),
        events_digest: Some("ab".repeat(32)),
        training: json!({"steps": 400, "rate": 1e-5}),
        evidence: json!({"gate": {"verdict": "passed", "uplift": 0.08}}),
        published_by: "trainer".into(),
    };
    let record = place.registry.publish(Kind::Generator, &bundled(), lineage.clone()).await.expect("published");
    let folder = place.registry.folder(Kind::Generator, &record.version);
    assert_eq!(folder, place.data.path().join("versions/generator").join(record.version.as_str()));
    let pack = Pack::open(&folder).expect("a pack");
    assert_eq!(pack.version(), record.version.as_str());
    assert_eq!(record.manifest, sha256(&fs::read(folder.join(MANIFEST)).expect("a manifest")));
    assert_eq!((&record.lineage, record.state, &record.signed_by), (&lineage, VersionState::Ready, &None));
    let settings = SessionSettings::default();
    place.registry.verify(Kind::Generator, &record.version, None, &settings).await.expect("as it was made");
    assert_eq!(place.registry.version(Kind::Generator, &record.version).await.expect("a row"), record);

    let reward =
        place.registry.publish(Kind::Reward, &bundled().join("reward"), by("trainer")).await.expect("published");
    place.registry.verify(Kind::Reward, &reward.version, Some(&pack), &settings).await.expect("of this pack's CLIP");
    let all = place.registry.versions(None, 9, None).await.expect("versions");
    assert_eq!(all, [reward.clone(), record.clone()], "the newest first");
    assert_eq!(place.registry.versions(Some(Kind::Generator), 9, None).await.expect("versions"), all[1..]);
    assert_eq!(place.registry.versions(None, 9, Some(&reward.version)).await.expect("versions"), all[1..]);
    let unknown = place.registry.version(Kind::Reward, &record.version).await;
    assert!(matches!(unknown, Err(RegistryError::NotFound { kind: Kind::Reward, .. })));
}

#[tokio::test]
async fn publishing_the_same_twice_or_at_once_changes_nothing() {
    let place = Place::new().await;
    let source = place.reward("again");
    let first = place.registry.publish(Kind::Reward, &source, by("the first")).await.expect("published");
    let late = |i: usize| {
        let (registry, source) = (place.registry.clone(), source.clone());
        async move { registry.publish(Kind::Reward, &source, by(&format!("late {i}"))).await }
    };
    for other in futures_util::future::join_all((0..8).map(late)).await {
        assert_eq!(other.expect("published"), first);
    }
    assert_eq!(place.registry.versions(None, 9, None).await.expect("versions"), std::slice::from_ref(&first));
    // From where it is already, too.
    let there = place.registry.folder(Kind::Reward, &first.version);
    assert_eq!(place.registry.publish(Kind::Reward, &there, by("itself")).await.expect("published"), first);
}

#[tokio::test]
async fn a_new_denoiser_does_not_copy_the_rest() {
    let place = Place::new().await;
    let components = place.data.path().join("versions/generator/components");
    for name in ["one", "two", "three"] {
        let source = place.generator(name, name != "one");
        let record = place.registry.publish(Kind::Generator, &source, by("test")).await.expect("published");
        let own = names(&place.registry.folder(Kind::Generator, &record.version));
        assert_eq!(own, ["golden.safetensors", "manifest.json", "model_index.json"].map(str::to_owned).into());
    }
    let manifest: Manifest = read(&bundled());
    assert_eq!(names(&components).len(), manifest.components.len() + 2);
    assert_eq!(names(&place.data.path().join("staging")), BTreeSet::new());
    // What is there is hashed before another version relies on it.
    let shared = components.join(&manifest.components["vae_decoder"].sha256).join("vae_decoder/model.safetensors");
    let mut bytes = fs::read(&shared).expect("weights");
    *bytes.last_mut().expect("a byte") ^= 1;
    fs::write(&shared, bytes).expect("damaged");
    let four = place.generator("four", true);
    let refused = place.registry.publish(Kind::Generator, &four, by("test")).await.expect_err("damaged").to_string();
    assert!(refused.contains("vae_decoder/model.safetensors: has SHA-256"), "{refused}");
    assert_eq!(place.registry.versions(None, 9, None).await.expect("versions").len(), 3);
}

#[tokio::test]
async fn files_that_are_not_what_the_manifest_says_are_all_named_and_nothing_is_left() {
    let place = Place::new().await;
    let source = place.reward("damaged");
    for file in ["model.safetensors", "golden.safetensors"] {
        let mut bytes = fs::read(source.join(file)).expect("a file");
        *bytes.last_mut().expect("a byte") ^= 1;
        fs::write(source.join(file), bytes).expect("written");
    }
    fs::write(source.join("report.json"), "{}").expect("written");
    let refused = place.registry.publish(Kind::Reward, &source, by("test")).await.expect_err("damaged").to_string();
    for part in ["model.safetensors: has SHA-256", "golden.safetensors: has SHA-256", "report.json: has 2 bytes"] {
        assert!(refused.contains(part), "{refused}");
    }
    let space = place.reward("spaced");
    fs::write(space.join(MANIFEST), fs::read_to_string(space.join(MANIFEST)).expect("text") + "\n").expect("written");
    let refused = place.registry.publish(Kind::Reward, &space, by("test")).await.expect_err("two hashes").to_string();
    assert!(refused.contains("is not written as plaudit writes it"), "{refused}");
    let swapped = place.registry.publish(Kind::Generator, &place.reward("reward"), by("test")).await;
    assert!(swapped.is_err(), "a reward is no generator");
    let refused = place.registry.publish(Kind::Reward, &place.reward("unsaid"), by(" ")).await;
    assert!(matches!(refused, Err(RegistryError::Said { field: "published_by", .. })));
    place.registry.sweep().await.expect("swept");
    assert_eq!(names(&place.data.path().join("versions/reward")), BTreeSet::new());
    assert_eq!(names(&place.data.path().join("staging")), BTreeSet::new());
    assert!(place.registry.versions(None, 9, None).await.expect("versions").is_empty());
}
