//! Rounds of learning: one goes on at a time, and only who holds the lease writes.

use plaudit::{
    domain::VersionId,
    round::{NewRound, RoundOutcome, RoundRecord, RoundStage, TrainingLease},
};
use serde_json::json;

use super::*;

/// Long enough for a busy machine; leases of a second are waited out.
const MINUTE: u32 = 60;

async fn lease(store: &Store, holder: &str, seconds: u32) -> Result<Option<TrainingLease>> {
    store.take_training_lease(holder, seconds).await
}

fn new_round() -> NewRound {
    let version: VersionId = "miniature@0123456789ab".parse().expect("a version");
    NewRound { generator: version.clone(), reward: None, base: version, after: 3, upto: 9, facts: json!({"votes": 6}) }
}

pub(crate) async fn one_process_holds_the_lease_of_training(place: Place) -> Result<()> {
    let store = place.open().await?;
    let one = lease(&store, "one", MINUTE).await?.expect("nobody holds it");
    assert_eq!(lease(&store, "two", MINUTE).await?, None);
    let again = lease(&store, "one", MINUTE).await?.expect("it is its own");
    assert_eq!((one.generation, again.generation), (1, 1), "renewing changes no hands");
    store.give_back_training_lease(&again).await?;
    let two = lease(&store, "two", 1).await?.expect("it was given back");
    assert_eq!(two.generation, 2);
    store.give_back_training_lease(&one).await?;
    assert_eq!(store.training_lease().await?, Some(two), "an old lease gives nothing back");
    tokio::time::sleep(Duration::from_millis(2100)).await;
    assert_eq!(lease(&store, "one", MINUTE).await?.map(|lease| lease.generation), Some(3), "it was over");
    Ok(())
}

pub(crate) async fn rounds_follow_each_other_and_strangers_write_nothing(place: Place) -> Result<()> {
    let store = place.open().await?;
    let one = lease(&store, "one", MINUTE).await?.expect("nobody holds it");
    let stranger = TrainingLease { holder: "two".into(), ..one.clone() };
    assert_eq!(store.begin_round(&stranger, &new_round()).await?, None);
    let begun = store.begin_round(&one, &new_round()).await?.expect("none goes on");
    assert_eq!(store.begin_round(&one, &new_round()).await?, None, "one goes on");
    assert_eq!(store.round().await?.as_ref(), Some(&begun));

    let facts = json!({"export": {"to_sequence": 12}});
    assert_eq!(store.move_round(&stranger, &begun, RoundStage::Reward, &facts).await?, None);
    let moved = store.move_round(&one, &begun, RoundStage::Reward, &facts).await?.expect("it is there");
    assert_eq!((moved.stage, moved.upto, moved.facts.clone()), (RoundStage::Reward, 12, facts.clone()));
    assert_eq!(store.move_round(&one, &begun, RoundStage::Reward, &facts).await?, None, "it is there no more");

    // Who was taken for dead and lives.
    store.give_back_training_lease(&one).await?;
    let two = lease(&store, "two", MINUTE).await?.expect("it was given back");
    assert_eq!(store.end_round(&one, &moved, RoundOutcome::Failed, "late", &facts).await?, None);
    let ended = store.end_round(&two, &moved, RoundOutcome::Released, "on trial", &facts).await?.expect("it goes on");
    assert_eq!((ended.outcome, ended.holder.as_str()), (Some(RoundOutcome::Released), "two"));
    assert_eq!(store.round().await?, None);
    assert_eq!(store.count_rounds(0, &ended.base).await?, (1, 1));
    assert_eq!(store.count_rounds(ended.started + 1, &ended.base).await?.0, 0);
    let next: RoundRecord = store.begin_round(&two, &new_round()).await?.expect("none goes on");
    assert_eq!(store.rounds(9).await?, [next, ended]);
    Ok(())
}
