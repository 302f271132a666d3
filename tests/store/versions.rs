//! Promise 8: promoting and going back at once, from many sides, is as if it had been done one after the other.

use std::{collections::BTreeMap, sync::Arc};

use plaudit::{
    pack::MANIFEST,
    registry::{
        Action, Kind, Lineage, Promotion, PromotionRecord, Registry, RegistryError, RegistrySettings, VersionId,
    },
    scoring::RewardManifest,
};

use super::*;

const TASKS: usize = 32;
/// Operations of each task; `PLAUDIT_PROMOTIONS` says another number.
const EACH: usize = 64;
/// Operations of each task in the ignored test.
const LONG: usize = 1024;
const VERSIONS: usize = 6;

pub(crate) async fn promotions_are_a_serial_order(place: Place) -> Result<()> {
    let each = std::env::var("PLAUDIT_PROMOTIONS").map_or(Ok(EACH), |each| each.parse())?;
    race(vec![registry(place.open().await?)?], each).await
}

/// Two servers, each with a directory of its own, on one database.
pub(crate) async fn promotions_of_two_servers_are_a_serial_order(place: Place) -> Result<()> {
    let other = place.beside()?;
    let each = std::env::var("PLAUDIT_PROMOTIONS").map_or(Ok(EACH), |each| each.parse())?;
    race(vec![registry(place.open().await?)?, registry(other.open().await?)?], each).await
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "32 times 1,024 promotions: minutes"]
async fn thousands_of_promotions_are_a_serial_order() -> Result<()> {
    race(vec![registry(Place::local()?.open().await?)?], LONG).await
}

fn registry(store: Store) -> Result<Registry> {
    Registry::new(store, RegistrySettings::default())
}

/// Versions of the bundled reward, told apart by name.
async fn published(registry: &Registry) -> Result<Vec<VersionId>> {
    let bundled = Path::new(env!("CARGO_MANIFEST_DIR")).join("onnx/packs/miniature/reward");
    let mut versions = Vec::new();
    for number in 0..VERSIONS {
        let folder = tempfile::tempdir()?;
        for entry in fs::read_dir(&bundled)? {
            let entry = entry?;
            fs::copy(entry.path(), folder.path().join(entry.file_name()))?;
        }
        let mut manifest: RewardManifest = serde_json::from_str(&fs::read_to_string(bundled.join(MANIFEST))?)?;
        manifest.name = format!("v{number}");
        fs::write(folder.path().join(MANIFEST), manifest.to_json())?;
        let lineage = Lineage { published_by: "test".into(), ..Lineage::default() };
        versions.push(registry.publish(Kind::Reward, folder.path(), lineage).await?.version);
    }
    Ok(versions)
}

/// What a task was told.
#[derive(Default)]
struct Told {
    written: Vec<PromotionRecord>,
    refused: usize,
}

async fn race(registries: Vec<Registry>, each: usize) -> Result<()> {
    let versions = Arc::new(published(&registries[0]).await?);
    let began = Instant::now();
    let tasks: Vec<_> = (0..TASKS)
        .map(|number| {
            let (registry, versions) = (registries[number % registries.len()].clone(), versions.clone());
            tokio::spawn(async move { operate(&registry, &versions, number, each).await })
        })
        .collect();
    let mut written = BTreeMap::new();
    let mut refused = 0;
    for task in tasks {
        let told = task.await??;
        refused += told.refused;
        for entry in told.written {
            assert!(written.insert(entry.sequence, entry).is_none(), "two tasks were told the same entry");
        }
    }
    let took = began.elapsed();
    let log = whole_log(&registries[0]).await?;
    assert!(log.iter().eq(written.values()), "the log is what was told");
    let champion = replayed(&log);
    for registry in &registries {
        let aliases = registry.aliases(Kind::Reward).await?;
        assert_eq!(
            (aliases.champion.as_ref(), aliases.sequence),
            (champion.as_ref(), log.last().map_or(0, |e| e.sequence))
        );
    }
    let rollbacks = log.iter().filter(|entry| entry.action == Action::Rollback).count();
    assert!(rollbacks > 0 && log.len() > rollbacks);
    eprintln!(
        "{TASKS} x {each} operations of {} servers in {took:.1?}: {} promotions, {rollbacks} rollbacks, {refused} conflicts, 0 unexpected errors",
        registries.len(),
        log.len() - rollbacks
    );
    Ok(())
}

/// Promotes and goes back, each time over the champion that it saw last.
async fn operate(registry: &Registry, versions: &[VersionId], number: usize, each: usize) -> Result<Told> {
    let mut told = Told::default();
    for turn in 0..each {
        let expected = registry.aliases(Kind::Reward).await?.champion;
        let chance = (number * 31 + turn * 17) % 97;
        let (actor, reason) = (format!("task {number}"), format!("turn {turn}"));
        let outcome = if chance.is_multiple_of(3) {
            registry.rollback(Kind::Reward, None, expected, &actor, &reason).await
        } else {
            let version = versions[chance % versions.len()].clone();
            registry.promote(Promotion { kind: Kind::Reward, version, expected, actor, reason }).await
        };
        match outcome {
            Ok(entry) => told.written.push(entry),
            Err(
                RegistryError::Conflict { .. } | RegistryError::IsChampion { .. } | RegistryError::NoEarlier { .. },
            ) => told.refused += 1,
            Err(unexpected) => return Err(unexpected.into()),
        }
    }
    Ok(told)
}

async fn whole_log(registry: &Registry) -> Result<Vec<PromotionRecord>> {
    let mut log: Vec<PromotionRecord> = Vec::new();
    while let page = registry.promotions(Some(Kind::Reward), log.last().map_or(0, |e| e.sequence), 1000).await?
        && !page.is_empty()
    {
        log.extend(page);
    }
    Ok(log)
}

/// Where the log leads, if each entry follows from the one before; going back pops what promoting pushed.
fn replayed(log: &[PromotionRecord]) -> Option<VersionId> {
    let mut champions: Vec<VersionId> = Vec::new();
    for entry in log {
        assert_eq!(entry.previous.as_ref(), champions.last(), "{entry:?}");
        match entry.action {
            Action::Promote => champions.extend(entry.version.clone()),
            _ => drop(champions.pop()),
        }
        assert_eq!(entry.version.as_ref(), champions.last(), "{entry:?}");
    }
    champions.pop()
}
