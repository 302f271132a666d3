//! What is erased is gone from the log, from datasets to come, and does not come back.

use crate::harness::{Shop, rows};

#[tokio::test]
async fn an_erased_rater_leaves_a_tombstone_and_nothing_else() {
    let (shop, images) = Shop::with_votes().await;
    let out = tempfile::tempdir().expect("a folder");
    let before = out.path().join("before");
    let before = before.to_str().expect("UTF-8");
    shop.tell(&["export", "-o", before]);
    let log = shop.log().await;
    let first = rows(before.as_ref())[0].row.sequence;
    let last = rows(before.as_ref()).iter().filter(|entry| entry.row.rater == "ann").map(|e| e.row.sequence).max();
    let last = last.expect("ann voted");

    let said = shop.tell(&["erase", "--rater", "ann"]);
    assert!(said.contains("3 votes, 3 events and 0 pictures are erased"), "{said}");
    assert!(said.contains(&format!("events {first} to {last}")), "{said}");

    assert!(shop.run(&["export", "-o", "-", "--rater", "ann"]).stdout.is_empty());
    let after = out.path().join("after");
    shop.tell(&["export", "-o", after.to_str().expect("UTF-8")]);
    assert!(rows(&after).iter().all(|entry| entry.row.rater == "bob"));
    let now = shop.log().await;
    assert_eq!(now.len(), log.len() + 1, "places stay, one tombstone came");
    assert!(!now.iter().any(|event| event.contains("\"ann\"")), "{now:#?}");
    let tombstone = &shop.store.events(0, 1000).await.expect("events").pop().expect("the last");
    assert_eq!((tombstone.kind.as_str(), &tombstone.body["what"]), ("erasure", &"rater".into()));
    assert_eq!((&tombstone.body["from_sequence"], &tombstone.body["to_sequence"]), (&first.into(), &last.into()));

    let said = shop.tell(&["import", before]);
    assert!(said.contains("3 votes were passed over"), "{said}");
    assert!(shop.run(&["export", "-o", "-", "--rater", "ann"]).stdout.is_empty());
    assert!(shop.tell(&["erase", "--rater", "ann"]).contains("nothing to erase"));
    assert!(shop.store.voted_bytes(images[1]).await.expect("a picture").is_some(), "bob's vote keeps it");
}

#[tokio::test]
async fn pictures_that_no_vote_keeps_leave_with_the_rater() {
    let (shop, images) = Shop::with_votes().await;
    shop.tell(&["erase", "--rater", "cid"]);
    let said = shop.tell(&["erase", "--rater", "ann"]);
    assert!(said.contains("3 votes, 3 events and 1 pictures"), "{said}");
    assert!(shop.store.voted_bytes(images[0]).await.expect("no picture").is_none());
}

#[tokio::test]
async fn an_erased_picture_is_nowhere() {
    let (shop, images) = Shop::with_votes().await;
    let name = images[2].to_string();
    let said = shop.tell(&["erase", "--image", &name]);
    assert!(said.contains("2 votes, 2 events and 1 pictures"), "{said}");
    let lines = String::from_utf8(shop.run(&["export", "-o", "-"]).stdout).expect("UTF-8");
    assert!(lines.lines().count() == 3 && !lines.contains(&name));
    assert!(!shop.log().await.iter().any(|event| event.contains(&name)));
    assert!(shop.store.image_bytes(images[2]).await.expect("no picture").is_none());
    assert!(shop.store.voted_bytes(images[2]).await.expect("no picture").is_none());
}

#[tokio::test]
async fn an_erasure_names_one_thing() {
    let shop = Shop::open().await;
    assert!(shop.refusal(&["erase"]).contains("--rater"));
    assert!(shop.refusal(&["erase", "--rater", "a", "--image", "img_1"]).contains("--image"));
    assert!(shop.tell(&["erase", "--rater", "nobody"]).contains("nothing to erase"));
    assert!(shop.log().await.is_empty());
}
