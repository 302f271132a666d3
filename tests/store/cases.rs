//! What is true of every store.

use super::*;
pub(crate) use super::{
    rounds::{one_process_holds_the_lease_of_training, rounds_follow_each_other_and_strangers_write_nothing},
    trials::a_trial_counts_the_thumbs_on_what_its_kind_made,
    versions::promotions_are_a_serial_order,
};

pub(crate) async fn everything_survives_a_restart(place: Place) -> Result<()> {
    let content = Bytes::from_static(b"a picture");
    let store = place.open().await?;
    let secret = *store.session_secret();
    let (key, text) = store.create_key("ci", Role::Admin).await?;
    let (job, picture) = drawn(&store, &content, now(), now() + HOUR).await?;
    let record = store.image(&alice(), picture).await?.expect("it is hers");
    let before = (store.find_job(&alice(), job).await?, store.events(0, 10).await?, store.used_bytes().await?);
    store.close().await;
    drop(store);

    let store = place.open().await?;
    assert_eq!(store.session_secret(), &secret);
    assert_eq!(store.find_key(&text).await?, Some(key));
    assert_eq!(store.image_bytes(picture).await?, Some((ImageFormat::Png, content)));
    assert_eq!(store.image(&alice(), picture).await?, Some(record));
    assert_eq!((store.find_job(&alice(), job).await?, store.events(0, 10).await?, store.used_bytes().await?), before);
    assert_eq!(before.1.len(), 1, "the end and its event are one");
    Ok(())
}

pub(crate) async fn keys_open_until_they_are_revoked(place: Place) -> Result<()> {
    let store = place.open().await?;
    let (client, first) = store.create_key("a", Role::Client).await?;
    let (admin, second) = store.create_key("b", Role::Admin).await?;
    assert_eq!(store.find_key(&first).await?.map(|key| (key.id, key.role)), Some((client.id, Role::Client)));
    assert_eq!(store.list_keys().await?.iter().map(|key| key.id).collect::<Vec<_>>(), [client.id, admin.id]);
    for wrong in ["", "plaudit_", &first[..first.len() - 1], &first.replace("plaudit_", ""), &first.to_uppercase()] {
        assert_eq!(store.find_key(wrong).await?, None, "{wrong}");
    }
    assert!(store.revoke_key(client.id).await? && !store.revoke_key(KeyId::new()).await?);
    assert_eq!(store.find_key(&first).await?, None);
    assert!(store.find_key(&second).await?.is_some());
    assert!(store.list_keys().await?[0].revoked.is_some(), "an administrator still sees it");
    Ok(())
}

pub(crate) async fn what_has_expired_or_is_somebody_elses_cannot_be_seen(place: Place) -> Result<()> {
    let store = place.open().await?;
    let content = Bytes::from_static(b"a picture");
    let (old_job, old) = drawn(&store, &content, now() - 2, now() - 1).await?;
    let (job, fresh) = drawn(&store, &content, now(), now() + HOUR).await?;
    assert_eq!(store.image_bytes(old).await?, None);
    assert_eq!(store.image(&alice(), old).await?, None);
    assert_eq!(store.find_job(&alice(), old_job).await?, Found::Expired);
    let listed = store.list_images(&alice(), 9, None).await?;
    assert_eq!(listed.iter().map(|image| image.id).collect::<Vec<_>>(), [fresh]);
    assert_eq!(store.list_jobs(&alice(), None, 9, None).await?.len(), 1);

    assert_eq!(store.image(&mallory(), fresh).await?, None);
    assert_eq!(store.find_job(&mallory(), job).await?, Found::Nothing);
    assert_eq!(store.find_job(&mallory(), old_job).await?, Found::Nothing, "not even that it was there");
    assert!(store.list_images(&mallory(), 9, None).await?.is_empty());
    assert!(store.list_images(&mallory(), 9, Some(fresh)).await?.is_empty());
    assert!(store.list_jobs(&mallory(), None, 9, None).await?.is_empty());
    Ok(())
}

pub(crate) async fn lists_go_from_the_newest_page_by_page(place: Place) -> Result<()> {
    let store = place.open().await?;
    let mut made = Vec::new();
    for i in 0..5_u8 {
        made.push(drawn(&store, &Bytes::from(vec![i]), now(), now() + HOUR).await?);
    }
    made.reverse();
    let (mut jobs, mut images) = (Vec::new(), Vec::new());
    for _ in 0..3 {
        let page = store.list_jobs(&alice(), Some(JobState::Completed), 2, jobs.last().copied()).await?;
        jobs.extend(page.iter().map(|job| job.id));
        images.extend(store.list_images(&alice(), 2, images.last().copied()).await?.iter().map(|image| image.id));
    }
    assert_eq!(jobs.into_iter().zip(images).collect::<Vec<_>>(), made);
    Ok(())
}

pub(crate) async fn equal_pictures_share_a_file_until_the_last_one_leaves(place: Place) -> Result<()> {
    let store = place.open().await?;
    let content = Bytes::from_static(b"the same");
    drawn(&store, &content, now(), now() + HOUR).await?;
    let (_, second) = drawn(&store, &content, now(), now() + 2 * HOUR).await?;
    assert_eq!(place.blobs().await?, 1);
    store.sweep(now() + HOUR, ROOMY).await?;
    assert_eq!(store.image_bytes(second).await?, Some((ImageFormat::Png, content)));
    store.sweep(now() + 2 * HOUR, ROOMY).await?;
    assert_eq!((place.blobs().await?, store.used_bytes().await?), (0, 0));
    Ok(())
}

pub(crate) async fn a_sweep_leaves_a_tombstone_and_the_log(place: Place) -> Result<()> {
    let store = place.open().await?;
    let now = now();
    let (job, _) = drawn(&store, &Bytes::from_static(b"a"), now, now + HOUR).await?;
    assert_eq!(store.sweep(now + HOUR - 1, ROOMY).await?, Swept::default());
    assert_eq!(store.sweep(now + HOUR, ROOMY).await?, Swept { expired: 1, evicted: 0 });
    assert_eq!(store.find_job(&alice(), job).await?, Found::Expired);
    assert_eq!(store.events(0, 9).await?.len(), 1, "the log does not expire");
    store.sweep(now + HOUR + 40 * 24 * HOUR, ROOMY).await?;
    assert_eq!(store.find_job(&alice(), job).await?, Found::Nothing, "a month later it is forgotten");
    Ok(())
}

pub(crate) async fn the_oldest_finished_jobs_make_room_and_unfinished_ones_stay(place: Place) -> Result<()> {
    const SIZE: usize = 100;
    const QUOTA: u64 = 3 * SIZE as u64;
    let store = place.open().await?;
    let content = |i: u8| Bytes::from(vec![i; SIZE]);
    let running = new_job(&alice());
    let running_id = running.id;
    store.insert_job(running, ROOMY).await?;
    store.add_image(&alice(), &image(running_id, &content(0)), content(0), QUOTA).await?;
    let (_, newer) = drawn(&store, &content(1), now(), now() + HOUR).await?;
    let (oldest_job, oldest) = drawn(&store, &content(2), now() - 60, now() + HOUR).await?;

    let another = image(running_id, &content(3));
    store.add_image(&alice(), &another, content(3), QUOTA).await?;
    assert_eq!(store.image_bytes(oldest).await?, None, "finished first, leaves first");
    assert_eq!(store.find_job(&alice(), oldest_job).await?, Found::Expired);
    assert!(store.image_bytes(newer).await?.is_some());

    let third = image(running_id, &content(4));
    store.add_image(&alice(), &third, content(4), QUOTA).await?;
    assert_eq!(store.image_bytes(newer).await?, None);
    let full = store.add_image(&alice(), &image(running_id, &content(5)), content(5), QUOTA).await.expect_err("full");
    assert_eq!(full.downcast_ref::<Full>(), Some(&Full { used: QUOTA, quota: QUOTA }));
    assert!(is_full(&full));
    assert!(store.image_bytes(another.id).await?.is_some() && store.image_bytes(third.id).await?.is_some());
    assert_eq!((store.used_bytes().await?, store.pinned_bytes().await?, place.blobs().await?), (QUOTA, QUOTA, 3));
    Ok(())
}

pub(crate) async fn an_idempotency_key_is_the_owners_own_and_a_failed_job_lets_go_of_it(place: Place) -> Result<()> {
    let store = place.open().await?;
    let keyed = |owner: &Owner| NewJob { idempotency: Some(("k".into(), [7; 32])), ..new_job(owner) };
    let first = keyed(&alice());
    let id = first.id;
    store.insert_job(first, ROOMY).await?;
    assert!(store.insert_job(keyed(&alice()), ROOMY).await.is_err(), "one job a key");
    store.insert_job(keyed(&mallory()), ROOMY).await?;
    assert_eq!(store.find_idempotent(&alice(), "k").await?, Some((id, vec![7; 32])));

    let failed = Ending { state: JobState::Failed, result: None, event: None, ..ending(now(), now() + HOUR) };
    store.finish_job(id, &failed).await?;
    assert_eq!(store.find_idempotent(&alice(), "k").await?, None);
    store.finish_job(id, &ending(now(), now() + HOUR)).await?;
    let Found::Job(job) = store.find_job(&alice(), id).await? else { panic!("it is hers") };
    assert_eq!(job.state, JobState::Failed, "an end is final");
    assert!(store.events(0, 9).await?.is_empty());
    Ok(())
}

pub(crate) async fn events_are_read_on_from_where_a_reader_was(place: Place) -> Result<()> {
    let store = place.open().await?;
    for i in 0..5_u8 {
        drawn(&store, &Bytes::from(vec![i]), now(), now() + HOUR).await?;
    }
    let mut read: Vec<i64> = Vec::new();
    while let page = store.events(read.last().copied().unwrap_or(0), 2).await?
        && !page.is_empty()
    {
        read.extend(page.iter().map(|event| event.sequence));
    }
    assert_eq!(read, [1, 2, 3, 4, 5]);
    Ok(())
}

pub(crate) async fn an_upload_under_a_used_key_says_so(place: Place) -> Result<()> {
    let store = place.open().await?;
    let keyed = || NewJob { idempotency: Some(("k".into(), [7; 32])), start: Some("a".into()), ..new_job(&alice()) };
    store.insert_job(keyed(), ROOMY).await?;
    let taken = store.insert_job(keyed(), ROOMY).await.expect_err("one job a key");
    assert!(taken.is::<KeyTaken>(), "{taken:#}");
    assert_eq!(store.used_bytes().await?, 1);
    Ok(())
}

pub(crate) async fn a_job_of_the_start_before_is_taken_over_once(place: Place) -> Result<()> {
    let store = place.open().await?;
    let job = new_job(&alice());
    let id = job.id;
    store.insert_job(job, ROOMY).await?;
    assert!(store.claim_jobs().await?.is_empty(), "it is being drawn");
    drop(store);

    let store = place.open().await?;
    let late = image(id, &Bytes::from_static(b"late"));
    let refused = store.add_image(&alice(), &late, Bytes::from_static(b"late"), ROOMY).await;
    assert!(refused.is_err(), "whose it is decides");
    let claimed: Vec<JobId> = store.claim_jobs().await?.iter().map(|job| job.id).collect();
    assert_eq!(claimed, [id]);
    assert!(store.claim_jobs().await?.is_empty());
    store.finish_job(id, &ending(now(), now() + HOUR)).await?;
    let Found::Job(job) = store.find_job(&alice(), id).await? else { panic!("it is hers") };
    assert_eq!(job.state, JobState::Completed);
    Ok(())
}

pub(crate) async fn votes_count_once_and_keep_their_pictures(place: Place) -> Result<()> {
    let store = place.open().await?;
    let content = Bytes::from_static(b"voted on");
    let (_, picture) = drawn(&store, &content, now(), now() + HOUR).await?;
    let rater: Rater = "r1".parse().expect("a rater");
    let vote = |rating| NewFeedback {
        image: picture,
        owner: alice(),
        rater: rater.clone(),
        viewing: Viewing { dwell_ms: Some(900), ..Viewing::default() },
        act: Act::Vote { rating, reasons: vec!["sharp".into()], comment: None },
        via: "key",
    };
    let ballot = |key: &str, rating| Ballot {
        items: vec![vote(rating)],
        once: Some(Once { scope: "alice".into(), key: key.into(), digest: "0".into() }),
        quota: ROOMY,
    };
    // The same ballot sixteen times at once, then another mind.
    let casts = futures_util::future::join_all((0..16).map(|_| store.cast(ballot("a", Rating::Up)))).await;
    let casts: Vec<_> = casts.into_iter().collect::<Result<_, _>>()?;
    assert_eq!(casts.iter().filter(|cast| !cast.replayed).count(), 1);
    assert!(casts.iter().all(|cast| cast.receipts == casts[0].receipts));
    store.cast(ballot("b", Rating::Down)).await?;
    let votes = store.list_votes(&alice(), &VoteFilter { images: vec![picture], ..VoteFilter::default() }, 9).await?;
    assert_eq!(votes.iter().map(|vote| vote.rating).collect::<Vec<_>>(), [Rating::Down]);
    assert_eq!(store.votes_after(0, 9).await?, votes);
    assert_eq!(store.events(0, 9).await?.iter().filter(|event| event.kind == "vote").count(), 2);
    let looks = store.looks(&alice(), &rater).await?;
    assert_eq!((looks.len(), looks[0].dwell_ms, looks[0].others), (1, Some(900), 0));
    assert!(store.set_quarantine(&alice(), &rater, Some(Reason::Dwell)).await?);
    assert_eq!(store.votes_to_learn().await?, 0);
    assert!(store.next_to_rate(&alice(), &rater).await?.is_none());
    assert_eq!(store.raters_after(0, 9).await?.len(), 1);
    assert!(store.set_gold(picture, Rating::Up).await?);
    assert_eq!(store.list_gold(None, 9).await?, [(picture, Rating::Up)]);

    store.sweep(now() + HOUR, ROOMY).await?;
    assert_eq!(store.voted_bytes(picture).await?, Some((ImageFormat::Png, content)));
    assert_eq!((store.image_bytes(picture).await?, place.blobs().await?), (None, 1));
    store.forget_casts(now() + HOUR).await?;
    assert_eq!(store.find_cast(&Once { scope: "alice".into(), key: "a".into(), digest: "0".into() }).await?, None);
    Ok(())
}
