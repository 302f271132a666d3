//! Kills at every step: a process of its own does a round, and aborts there; the next one goes on.

use std::{
    collections::BTreeSet,
    fs,
    os::unix::process::ExitStatusExt,
    path::{Path, PathBuf},
    process::Command,
};

use plaudit::{
    domain::Kind,
    pack::Pack,
    registry::{Registry, RegistrySettings, VersionState},
    round::RoundOutcome,
    trial::{self, TrialState},
};

use super::{
    crash::{CrashPoint, VARIABLE},
    fixture, *,
};

/// Which directory the process is to work in.
const DATA: &str = "PLAUDIT_TEST_ROUND_DATA";
/// Folders beside the versions of a kind.
const COMPONENTS: &str = "components";

#[tokio::test(flavor = "multi_thread")]
#[ignore = "run by the test below, to be killed"]
async fn child() -> anyhow::Result<()> {
    let data = PathBuf::from(std::env::var(DATA)?);
    let done = Daemon::open(fixture::settings(&data)).await?.once().await?;
    println!("{done}");
    Ok(())
}

/// Runs [`child`] until it aborts at the point, or with `None` to its end; what it said.
fn child_killed(data: &Path, point: Option<CrashPoint>) -> String {
    let mut command = Command::new(std::env::current_exe().expect("this test"));
    command.args(["--exact", "daemon::kills::child", "--ignored", "--nocapture"]).env(DATA, data);
    if let Some(point) = point {
        command.env(VARIABLE, format!("{point:?}"));
    }
    let done = command.output().expect("a process");
    let said = String::from_utf8_lossy(&done.stdout) + String::from_utf8_lossy(&done.stderr);
    match point {
        Some(point) => assert_eq!(done.status.signal(), Some(libc::SIGABRT), "{point:?}: {said}"),
        None => assert!(done.status.success(), "{said}"),
    }
    said.into_owned()
}

fn names(folder: &Path) -> BTreeSet<String> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    entries.map(|entry| entry.file_name().into_string().expect("text")).collect()
}

/// The champion generator is the first one; every version that is listed is whole, and nothing else is there.
async fn is_sound(data: &Path, champion: &plaudit::domain::VersionId, point: &str) -> anyhow::Result<()> {
    let store = Store::attach(data).await?;
    let registry = Registry::open(store.clone(), RegistrySettings::default()).await?;
    assert_eq!(registry.aliases(Kind::Generator).await?.champion.as_ref(), Some(champion), "{point}");
    for kind in Kind::ALL {
        let mut there = BTreeSet::new();
        for record in registry.versions(Some(kind), 100, None).await? {
            assert_eq!(record.state, VersionState::Ready, "{point}");
            registry.check(kind, &record.version).await?;
            there.insert(record.version.to_string());
        }
        let champion = registry.aliases(kind).await?.champion.expect("one champion");
        assert!(there.contains(champion.as_str()), "{point}");
        if kind == Kind::Generator {
            assert_eq!(Pack::open(&registry.folder(kind, &champion))?.version(), champion.as_str());
        }
        let mut found = names(registry.folder(kind, &champion).parent().expect("a folder"));
        found.remove(COMPONENTS);
        assert_eq!(found, there, "{point}: {kind}");
    }
    assert_eq!(names(&data.join("staging")), BTreeSet::new(), "{point}");
    store.close().await;
    Ok(())
}

/// Each prompt that was voted on was drawn once more, once, and tuned on with the others.
fn what_was_drawn_was_learned_from(round: &Path) -> anyhow::Result<()> {
    let lines = |name: &str| Ok::<_, std::io::Error>(fs::read_to_string(round.join(name))?.lines().count());
    let prompts = sets::prompts(&round.join(sets::LEARNED))?.len();
    assert!(prompts > 0);
    assert_eq!((lines("drawn-prompts.txt")?, lines("drawn/drawn.jsonl")?), (prompts, prompts));
    let begun: serde_json::Value = serde_json::from_slice(&fs::read(round.join("tune/run/begun.json"))?)?;
    assert!(begun["pictures"].as_u64() > Some(prompts as u64), "{begun}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_round_that_is_killed_at_every_step_goes_on_and_ends_once() -> anyhow::Result<()> {
    let folder = tempfile::tempdir()?;
    let data = folder.path();
    let champion = fixture::store(data, |_, truth| truth, fixture::anybody).await;
    for point in CrashPoint::ALL {
        child_killed(data, Some(point));
        is_sound(data, &champion, &format!("{point:?}")).await?;
        // Its lease is not given back; the next one waits until it is over.
        let store = Store::attach(data).await?;
        let left = store.training_lease().await?.expect("it was held");
        store.give_back_training_lease(&left).await?;
        assert!(store.round().await?.is_some(), "{point:?}: the round goes on");
        assert_eq!(store.rounds(9).await?.len(), 1, "{point:?}: it is the same round");
        store.close().await;
    }
    let said = child_killed(data, None);
    is_sound(data, &champion, "the end").await?;
    what_was_drawn_was_learned_from(&data.join("runs/round-1"))?;

    let store = Store::attach(data).await?;
    let registry = Registry::open(store.clone(), RegistrySettings::default()).await?;
    let rounds = store.rounds(9).await?;
    assert_eq!((rounds.len(), rounds[0].outcome), (1, Some(RoundOutcome::Released)), "{said}");
    assert_eq!(registry.versions(Some(Kind::Reward), 9, None).await?.len(), 2, "published once");
    let versions = registry.versions(Some(Kind::Generator), 9, None).await?;
    assert_eq!(versions.len(), 2, "published once");
    let tuned = versions.iter().find(|record| record.version != champion).expect("the tuned one");
    assert_eq!(tuned.lineage.parent.as_ref(), Some(&champion));
    assert!(tuned.lineage.events.is_some() && !tuned.lineage.evidence.is_null());
    let trials = trial::list(&store, None, 9).await?;
    assert_eq!(trials.len(), 1, "tried once");
    assert_eq!((&trials[0].version, trials[0].state), (&tuned.version, TrialState::Canary));
    Ok(())
}
