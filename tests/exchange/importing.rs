//! What comes in from files.

use std::fs;

use plaudit::domain::Rating;

use crate::harness::{Shop, picture, rows};

#[tokio::test]
async fn votes_move_from_one_store_to_another_with_their_pictures_and_only_once() {
    let (shop, images) = Shop::with_votes().await;
    for format in ["jsonl", "parquet"] {
        let out = tempfile::tempdir().expect("a folder");
        let (first, second) = (out.path().join("first"), out.path().join("second"));
        let (first, second) = (first.to_str().expect("UTF-8"), second.to_str().expect("UTF-8"));
        shop.tell(&["export", "--format", format, "-o", first]);
        let other = Shop::open().await;
        assert!(other.tell(&["import", first]).contains("5 votes added, 0 known already"));
        assert!(other.tell(&["import", first]).contains("0 votes added, 5 known already"));
        assert!(shop.tell(&["import", first]).contains("0 votes added, 5 known already"), "where they come from");
        other.tell(&["export", "--format", format, "-o", second]);
        let (theirs, ours) = (rows(first.as_ref()), rows(second.as_ref()));
        for (theirs, ours) in theirs.iter().zip(&ours) {
            let mut same = ours.row.clone();
            assert_eq!(same.origin.take().as_deref(), Some("first"));
            same.sequence = theirs.row.sequence;
            assert_eq!((&same, &ours.image), (&theirs.row, &theirs.image));
        }
        let event = &other.store.events(0, 10).await.expect("events")[0];
        assert_eq!((event.kind.as_str(), &event.body["via"]), ("vote", &"import".into()));
        assert_eq!(event.body["origin"]["sequence"], theirs[0].row.sequence);
        assert_eq!(event.body["image_id"], images[0].to_string());
        let kept = other.store.voted_bytes(images[0]).await.expect("a picture").expect("it came along");
        assert_eq!(kept.1, picture(0));
    }
}

#[tokio::test]
async fn an_older_vote_does_not_replace_a_newer_one() {
    let (shop, images) = Shop::with_votes().await;
    let out = tempfile::tempdir().expect("a folder");
    let place = out.path().join("votes");
    shop.tell(&["export", "-o", place.to_str().expect("UTF-8")]);
    shop.vote(images[0], "ann", Rating::Down).await;
    shop.tell(&["import", place.to_str().expect("UTF-8")]);
    let again = out.path().join("again");
    shop.tell(&["export", "-o", again.to_str().expect("UTF-8"), "--rater", "ann"]);
    let downs =
        rows(&again).iter().filter(|entry| entry.row.rating.is_some_and(|rating| rating.name() == "down")).count();
    assert_eq!(downs, 1);
}

#[tokio::test]
async fn a_spreadsheets_votes_are_imported_for_pictures_that_are_here() {
    let (shop, images) = Shop::with_votes().await;
    let path = shop.data.path().join("thumbs.csv");
    let path = path.to_str().expect("UTF-8");
    fs::write(
        path,
        format!("image_id,rater,rating,created\n{},dora,up,1790000000\n{},dora,down,\n", images[0], images[1]),
    )
    .expect("a file");
    assert!(shop.tell(&["import", path]).contains("2 votes added"));
    assert!(shop.tell(&["import", path]).contains("0 votes added, 2 known already"));
    assert_eq!(shop.run(&["export", "-o", "-", "--rater", "dora"]).stdout.split(|byte| *byte == b'\n').count(), 3);
}

#[tokio::test]
async fn where_one_row_is_wrong_nothing_is_imported() {
    let (shop, images) = Shop::with_votes().await;
    let out = tempfile::tempdir().expect("a folder");
    let place = out.path().join("votes");
    shop.tell(&["export", "-o", place.to_str().expect("UTF-8")]);
    let metadata = place.join("data/metadata.jsonl");
    let text = fs::read_to_string(&metadata).expect("rows");
    fs::remove_file(place.join("export.json")).expect("it goes");
    let other = Shop::open().await;
    let cut = &text[..text.len() - 40];
    let escaping = text.replacen("images/", "../images/", 1);
    let swapped = text.replace(&images[1].to_string(), &images[0].to_string());
    for (text, said) in [(cut, "line 5: EOF"), (&*escaping, "line 1: the path"), (&*swapped, "another picture")] {
        fs::write(&metadata, text).expect("rows");
        // The other store has none of these pictures: only their own store can tell that one was swapped.
        let told = if said == "another picture" { &shop } else { &other };
        let refusal = told.refusal(&["import", place.to_str().expect("UTF-8")]);
        assert!(refusal.contains(said) && refusal.contains("nothing was imported"), "{said}: {refusal}");
    }
    assert!(other.log().await.is_empty());
    let csv = out.path().join("votes.csv");
    fs::write(&csv, format!("image_id,rater,rating\n{},eve,up\n", images[0])).expect("a file");
    let refusal = other.refusal(&["import", csv.to_str().expect("UTF-8")]);
    assert!(refusal.contains("votes.csv, line 2: its picture is not here"), "{refusal}");
}
