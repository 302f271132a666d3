//! What becomes champion, and what does not.

use super::*;

#[tokio::test]
async fn only_who_knows_the_champion_replaces_it() {
    let place = Place::new().await;
    let (a, b, c) = (place.published("a").await, place.published("b").await, place.published("c").await);
    let first = place.promote(&a, None).await.expect("promoted");
    assert_eq!((first.action, &first.version, &first.previous), (Action::Promote, &Some(a.clone()), &None));
    for wrong in [None, Some(&b), Some(&c)] {
        let refused = place.promote(&b, wrong).await.expect_err("another champion");
        let RegistryError::Conflict { kind: Kind::Reward, expected, current } = refused else { panic!("{refused}") };
        assert_eq!((expected.as_ref(), current.as_ref()), (wrong, Some(&a)));
    }
    assert!(matches!(place.promote(&a, Some(&a)).await, Err(RegistryError::IsChampion { .. })));
    let unknown: VersionId = "nobody@0123456789ab".parse().expect("a version");
    assert!(matches!(place.promote(&unknown, Some(&a)).await, Err(RegistryError::NotFound { .. })));
    place.promote(&b, Some(&a)).await.expect("promoted");
    assert_eq!(place.champion().await, Some(b));
    let log = place.registry.promotions(Some(Kind::Reward), 0, 9).await.expect("a log");
    assert_eq!(log.len(), 2, "what was refused is not in the log");
    assert_eq!(place.registry.promotions(None, log[0].sequence, 9).await.expect("a log"), log[1..]);
    assert_eq!(place.registry.aliases(Kind::Generator).await.expect("aliases"), Default::default());
}

#[tokio::test]
async fn going_back_goes_back_one_champion_at_a_time() {
    let place = Place::new().await;
    let (a, b, c) = (place.published("a").await, place.published("b").await, place.published("c").await);
    assert!(matches!(place.rollback(None, None).await, Err(RegistryError::NoEarlier { .. })));
    place.promote(&a, None).await.expect("promoted");
    assert!(matches!(place.rollback(None, Some(&a)).await, Err(RegistryError::NoEarlier { .. })));
    place.promote(&b, Some(&a)).await.expect("promoted");
    place.promote(&c, Some(&b)).await.expect("promoted");
    assert!(matches!(place.rollback(None, Some(&b)).await, Err(RegistryError::Conflict { .. })));
    let back = place.rollback(None, Some(&c)).await.expect("back");
    assert_eq!((back.action, &back.version, &back.previous), (Action::Rollback, &Some(b.clone()), &Some(c.clone())));
    assert_eq!(place.rollback(None, Some(&b)).await.expect("back").version, Some(a.clone()));
    assert!(matches!(place.rollback(None, Some(&a)).await, Err(RegistryError::NoEarlier { .. })));
    // By name: as if it had never been left.
    assert_eq!(place.rollback(Some(&c), Some(&a)).await.expect("forth").version, Some(c.clone()));
    assert_eq!(place.rollback(None, Some(&c)).await.expect("back").version, Some(b.clone()));
    // One that came and went is below nobody.
    place.promote(&c, Some(&b)).await.expect("promoted");
    place.rollback(None, Some(&c)).await.expect("back");
    assert_eq!(place.rollback(None, Some(&b)).await.expect("back").version, Some(a.clone()));
    let d = place.published("d").await;
    assert!(matches!(place.rollback(Some(&d), Some(&a)).await, Err(RegistryError::NeverChampion { .. })));
    assert!(matches!(place.rollback(Some(&a), Some(&a)).await, Err(RegistryError::IsChampion { .. })));
}

#[tokio::test]
async fn whoever_promotes_says_who_and_why() {
    let place = Place::new().await;
    let a = place.published("a").await;
    for (actor, reason) in [("", "why"), ("who", ""), ("who", "   "), ("who", "two\nlines"), (&"x".repeat(201), "why")]
    {
        let promotion = Promotion {
            kind: Kind::Reward,
            version: a.clone(),
            expected: None,
            actor: actor.into(),
            reason: reason.into(),
        };
        assert!(matches!(place.registry.promote(promotion).await, Err(RegistryError::Said { .. })), "{reason:?}");
        let refused = place.registry.rollback(Kind::Reward, None, None, actor, reason).await;
        assert!(matches!(refused, Err(RegistryError::Said { .. })), "{reason:?}");
    }
    assert_eq!(place.champion().await, None);
}

#[tokio::test]
async fn a_candidate_becomes_champion_or_is_taken_back() {
    let place = Place::new().await;
    let (a, b) = (place.published("a").await, place.published("b").await);
    place.promote(&a, None).await.expect("promoted");
    let set = |version: Option<&VersionId>| {
        place.registry.set_candidate(Kind::Reward, version.cloned(), "test", "to be tried")
    };
    assert!(matches!(set(None).await, Err(RegistryError::NoCandidate { .. })));
    assert!(matches!(set(Some(&a)).await, Err(RegistryError::IsChampion { .. })));
    let entry = set(Some(&b)).await.expect("a candidate");
    let aliases = place.registry.aliases(Kind::Reward).await.expect("aliases");
    assert_eq!(
        (aliases.champion, aliases.candidate, aliases.sequence),
        (Some(a.clone()), Some(b.clone()), entry.sequence)
    );
    let entry = set(None).await.expect("taken back");
    assert_eq!((entry.action, entry.version, entry.previous), (Action::Withdraw, None, Some(b.clone())));
    set(Some(&b)).await.expect("a candidate");
    let paused = place.registry.pause(Kind::Reward, "loop", "two failures in a row").await.expect("paused");
    assert_eq!((paused.action, &paused.version), (Action::Pause, &Some(a.clone())));
    place.promote(&b, Some(&a)).await.expect("promoted");
    let aliases = place.registry.aliases(Kind::Reward).await.expect("aliases");
    assert_eq!((aliases.champion, aliases.candidate), (Some(b), None));
    let actions: Vec<_> =
        place.registry.promotions(None, 0, 9).await.expect("a log").iter().map(|e| e.action).collect();
    use Action::*;
    assert_eq!(actions, [Promote, Candidate, Withdraw, Candidate, Pause, Promote]);
}

#[tokio::test]
async fn what_is_served_is_known_by_server_until_it_ends() {
    let place = Place::new().await;
    let (a, b) = (place.published("a").await, place.published("b").await);
    let now =
        || std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).expect("after 1970").as_secs() as i64;
    place.registry.began_serving(Kind::Reward, &a).await.expect("written");
    place.registry.began_serving(Kind::Reward, &a).await.expect("written");
    place.registry.began_serving_as(Kind::Reward, Alias::Candidate, &b).await.expect("written");
    let served = place.registry.served_at(now()).await.expect("servings");
    let shown: Vec<_> = served.iter().map(|s| (s.role, &s.version, s.until, s.lost)).collect();
    assert_eq!(shown, [(Alias::Candidate, &b, None, false), (Alias::Champion, &a, None, false)]);
    assert_eq!(served[0].lineage.as_ref().map(|lineage| lineage.published_by.as_str()), Some("test"));
    place.registry.ended_serving(Kind::Reward, Alias::Candidate).await.expect("written");
    // A server that is killed says nothing; the next one on its directory says that it is gone.
    let Place { data, sources, registry } = place;
    let before = registry.served_at(now()).await.expect("servings")[0].server.clone();
    drop(registry);
    let store = loop {
        match Store::open(data.path()).await {
            Err(error) if error.to_string().contains("is in use") => {
                tokio::time::sleep(Duration::from_millis(20)).await
            }
            opened => break opened.expect("a store"),
        }
    };
    let registry = Registry::open(store.clone(), RegistrySettings::default()).await.expect("a registry");
    registry.began_serving(Kind::Reward, &b).await.expect("written");
    let served = registry.served_at(now()).await.expect("servings");
    assert!(served.iter().any(|s| s.server == before && s.lost && s.version == a), "{served:?}");
    assert!(served.iter().any(|s| s.server != before && s.until.is_none() && s.version == b), "{served:?}");
    // One that stops in good order says so.
    store.close().await;
    let beside = Store::attach(data.path()).await.expect("a store");
    let registry = Registry::new(beside, RegistrySettings::default()).expect("a registry");
    let served = registry.served_at(now()).await.expect("servings");
    assert!(served.iter().all(|s| s.until.is_some()), "{served:?}");
    assert_eq!(registry.served_at(now() + 1000).await.expect("servings"), []);
    drop(sources);
}
