//! Whose versions are taken.

use plaudit::registry::{PublicKey, SIGNATURE, new_key, sign};

use super::*;

fn settings(keys: &[PublicKey]) -> RegistrySettings {
    RegistrySettings { trusted_keys: keys.to_vec() }
}

#[tokio::test]
async fn where_keys_are_trusted_nothing_else_is_published_or_promoted() {
    let keys = tempfile::tempdir().expect("a folder");
    let (ours, theirs) = (keys.path().join("ours"), keys.path().join("theirs"));
    let (our_key, _) = (new_key(&ours).expect("a key"), new_key(&theirs).expect("a key"));
    let place = Place::with(settings(&[our_key])).await;
    let source = place.reward("signed");
    let publish = || place.registry.publish(Kind::Reward, &source, by("test"));
    assert!(matches!(publish().await, Err(RegistryError::Signature { .. })), "no signature");
    sign(&source, &theirs).expect("signed");
    assert!(matches!(publish().await, Err(RegistryError::Signature { .. })), "somebody else's");
    fs::write(source.join(SIGNATURE), "AAAA").expect("written");
    assert!(matches!(publish().await, Err(RegistryError::Signature { .. })), "no signature at all");
    let other = place.reward("other");
    sign(&other, &ours).expect("signed");
    fs::copy(other.join(SIGNATURE), source.join(SIGNATURE)).expect("copied");
    assert!(matches!(publish().await, Err(RegistryError::Signature { .. })), "another manifest's");
    assert_eq!(names(&place.data.path().join("versions/reward")), BTreeSet::new());

    sign(&source, &ours).expect("signed");
    let VersionRecord { version, signed_by, .. } = publish().await.expect("published");
    assert_eq!(signed_by, Some(our_key.to_string()));
    place.promote(&version, None).await.expect("promoted");

    // Published before keys were asked for.
    let store = Store::attach(place.data.path()).await.expect("a store");
    let trusting = Registry::new(store, settings(&[])).expect("a registry");
    let unsigned =
        trusting.publish(Kind::Reward, &place.reward("unsigned"), by("test")).await.expect("published").version;
    assert!(matches!(place.promote(&unsigned, Some(&version)).await, Err(RegistryError::Signature { .. })));
    let tried = place.registry.set_candidate(Kind::Reward, Some(unsigned.clone()), "test", "try it").await;
    assert!(matches!(tried, Err(RegistryError::Signature { .. })));
    let folder = place.registry.folder(Kind::Reward, &unsigned);
    sign(&folder, &ours).expect("signed where it is");
    place.promote(&unsigned, Some(&version)).await.expect("promoted");
    // A manifest that was changed afterwards is signed by nobody.
    fs::write(folder.join(MANIFEST), fs::read_to_string(folder.join(MANIFEST)).expect("text") + " ").expect("written");
    place.rollback(None, Some(&unsigned)).await.expect("back");
    let refused = place.rollback(Some(&unsigned), Some(&version)).await;
    assert!(matches!(refused, Err(RegistryError::Signature { .. })));
}
