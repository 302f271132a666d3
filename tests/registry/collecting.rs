//! What leaves, and what is held.

use super::*;

#[tokio::test]
async fn versions_leave_that_nothing_holds_and_what_is_known_of_them_stays() {
    let place = Place::new().await;
    let mut versions = Vec::new();
    for name in ["a", "b", "c", "d", "candidate", "served", "idle"] {
        versions.push(place.published(name).await);
    }
    let [a, b, c, d, candidate, served, idle] = versions.try_into().expect("seven");
    let mut champion = None;
    for version in [&a, &b, &c, &d] {
        place.promote(version, champion.as_ref()).await.expect("promoted");
        champion = Some(version.clone());
    }
    place.registry.set_candidate(Kind::Reward, Some(candidate.clone()), "test", "try it").await.expect("a candidate");
    place.registry.began_serving(Kind::Reward, &served).await.expect("served");

    let gc = |keep, age, dry| place.registry.gc(keep, Duration::from_secs(age), dry);
    assert_eq!(gc(0, 3600, false).await.expect("collected"), [], "all are young");
    let dry = gc(2, 0, true).await.expect("told");
    assert_eq!(dry, [a.clone(), idle.clone()]);
    assert_eq!(place.registry.version(Kind::Reward, &a).await.expect("a row").state, VersionState::Ready);
    assert_eq!(gc(2, 0, false).await.expect("collected"), dry);
    for version in &dry {
        assert!(!place.registry.folder(Kind::Reward, version).exists());
        let record = place.registry.version(Kind::Reward, version).await.expect("its row stays");
        assert!(record.state == VersionState::Retired && record.retired.is_some());
        assert!(matches!(place.promote(version, Some(&d)).await, Err(RegistryError::Retired { .. })));
        let tried = place.registry.set_candidate(Kind::Reward, Some(version.clone()), "test", "try it").await;
        assert!(matches!(tried, Err(RegistryError::Retired { .. })));
        assert!(matches!(
            place.registry.began_serving(Kind::Reward, version).await,
            Err(RegistryError::Retired { .. })
        ));
        assert!(matches!(place.registry.check(Kind::Reward, version).await, Err(RegistryError::Retired { .. })));
    }
    assert!(matches!(place.rollback(Some(&a), Some(&d)).await, Err(RegistryError::Retired { .. })));
    for version in [&b, &c, &d, &candidate, &served] {
        place.registry.check(Kind::Reward, version).await.expect("held");
    }
    // Going back passes over what is gone.
    assert_eq!(gc(0, 0, false).await.expect("collected"), [b.clone(), c.clone()]);
    assert!(matches!(place.rollback(None, Some(&d)).await, Err(RegistryError::Retired { .. })));
    let again = place.registry.publish(Kind::Reward, &place.source("b"), by("anew")).await.expect("published");
    assert_eq!((again.state, again.lineage.published_by.as_str()), (VersionState::Ready, "test"));
    assert_eq!(place.rollback(None, Some(&d)).await.expect("back").version, Some(b.clone()));

    place.registry.began_serving(Kind::Reward, &b).await.expect("served");
    assert!(gc(9, 0, false).await.expect("collected").contains(&served), "it is served no more");
}

#[tokio::test]
async fn components_leave_with_the_last_version_that_names_them() {
    let place = Place::new().await;
    let components = place.data.path().join("versions/generator/components");
    let publish = async |name: &str, own| {
        let source = place.generator(name, own);
        place.registry.publish(Kind::Generator, &source, by("test")).await.expect("published").version
    };
    let kept = publish("kept", false).await;
    let before = names(&components);
    let (one, two) = (publish("one", true).await, publish("another", true).await);
    assert_eq!(names(&components).len(), before.len() + 2);
    let promotion = Promotion {
        kind: Kind::Generator,
        version: kept.clone(),
        expected: None,
        actor: "test".into(),
        reason: "the first one".into(),
    };
    place.registry.promote(promotion).await.expect("promoted");
    assert_eq!(place.registry.gc(0, Duration::ZERO, false).await.expect("collected"), [one, two]);
    assert_eq!(names(&components), before);
    place.registry.check(Kind::Generator, &kept).await.expect("whole");
}
