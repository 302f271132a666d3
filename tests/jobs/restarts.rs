//! Stops, kills and restarts: what was acknowledged is still there.

use super::*;

#[tokio::test(flavor = "multi_thread")]
async fn kept_jobs_outlive_the_server_and_draw_the_same_pictures() -> Result<()> {
    let data = tempfile::tempdir()?;
    let server = Server::start(data.path(), JobSettings::default()).await?;
    let (steps, shade) = (40, image::RgbImage::from_fn(64, 64, |x, y| image::Rgb([x as u8, y as u8, 90])));
    let asked: Vec<Submission> = (0..3).map(|seed| kept(steps, seed)).collect();
    let mut from_picture = kept(steps, 9);
    from_picture.order.request.start = Some(Start { image: Arc::new(shade), strength: 0.9 });
    let asked: Vec<Submission> = asked.into_iter().chain([from_picture]).collect();
    let mut expected = Vec::new();
    for one in &asked {
        expected.push(pictures(&result(&hear(server.jobs.submit(one.clone()).await?).await)));
    }

    let mut listeners = Vec::new();
    for one in &asked {
        listeners.push(server.jobs.submit(one.clone()).await?);
    }
    let loose = server.jobs.submit(submission(ENDLESS, 5)).await?;
    let (ids, loose_id): (Vec<JobId>, _) = (listeners.iter().map(|listener| listener.id).collect(), loose.id);
    started(&mut listeners[0]).await;
    server.jobs.drain(Duration::ZERO).await;
    assert!(matches!(server.jobs.submit(submission(2, 1)).await, Err(SubmitError::Refused(_))));
    let ends = |events: &[JobEvent]| events.last().map(|event| matches!(event.kind, JobEventKind::Cancelled));
    assert_eq!(ends(&hear(loose).await), Some(true), "nobody keeps it");
    let mut last = 0;
    for listener in listeners {
        let events = hear(listener).await;
        assert_ne!(ends(&events), Some(true), "it is laid aside, not over");
        last = last.max(events.last().map_or(0, |event| event.sequence));
    }
    assert_eq!(server.jobs.view(&alice(), ids[0]).await?.state, JobState::Queued);
    server.store.close().await;
    drop(server);

    let server = Server::start(data.path(), JobSettings::default()).await?;
    assert_eq!(server.jobs.view(&alice(), loose_id).await?.state, JobState::Cancelled);
    for (id, expected) in ids.into_iter().zip(expected) {
        let events = hear(server.jobs.follow(&alice(), id, last).await?).await;
        assert_eq!(pictures(&result(&events)), expected, "{id}");
        assert!(events[0].sequence > last);
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_in_flight_is_drawn_before_the_server_stops() -> Result<()> {
    let data = tempfile::tempdir()?;
    let server = Server::start(data.path(), JobSettings::default()).await?;
    let mut listeners = Vec::new();
    for seed in 0..6 {
        listeners.push(server.jobs.submit(submission(5, seed)).await?);
    }
    server.jobs.drain(PATIENCE).await;
    for listener in listeners {
        assert_eq!(pictures(&result(&hear(listener).await)).len(), 1);
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn jobs_of_a_killed_server_go_on_if_they_are_kept() -> Result<()> {
    let data = tempfile::tempdir()?;
    let server = Server::start(data.path(), JobSettings::default()).await?;
    let control = pictures(&result(&hear(server.jobs.submit(kept(12, 3)).await?).await));
    server.store.close().await;
    drop(server);
    // What a killed server leaves: rows without an end, one with a picture of its first try.
    let store = Server::store(data.path()).await?;
    let template = store.list_jobs(&alice(), None, 1, None).await?.remove(0);
    let (keep, loose) = (JobId::new(), JobId::new());
    for (id, keep) in [(keep, true), (loose, false)] {
        let row = plaudit::store::NewJob {
            id,
            owner: alice(),
            keep,
            request: template.request.clone(),
            start: None,
            idempotency: None,
            created: template.created,
        };
        store.insert_job(row, u64::MAX).await?;
    }
    let half = store.list_images(&alice(), 1, None).await?.remove(0);
    let half = plaudit::store::ImageRecord { id: plaudit::domain::ImageId::new(), job: keep, bytes: 4, ..half };
    store.add_image(&alice(), &half, Bytes::from_static(b"half"), u64::MAX).await?;
    store.close().await;
    drop(store);

    let server = Server::start(data.path(), JobSettings::default()).await?;
    let events = hear(server.jobs.follow(&alice(), keep, 0).await?).await;
    assert_eq!(pictures(&result(&events)), control);
    assert_eq!(server.store.image_bytes(half.id).await?, None, "it was drawn again");
    assert_eq!(server.jobs.view(&alice(), loose).await?.state, JobState::Cancelled);
    assert_eq!(server.cancelled("shutdown"), 1);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn whatever_was_taken_when_a_drain_begins_has_an_end() -> Result<()> {
    let data = tempfile::tempdir()?;
    let server = Server::start(data.path(), JobSettings::default()).await?;
    let crowd: Vec<_> = (0..8)
        .map(|seed| {
            let jobs = server.jobs.clone();
            tokio::spawn(async move {
                let mut taken = Vec::new();
                while let Ok(listener) = jobs.submit(submission(2, seed)).await {
                    taken.push(listener);
                }
                taken
            })
        })
        .collect();
    tokio::time::sleep(Duration::from_millis(100)).await;
    server.jobs.drain(Duration::ZERO).await;
    for state in [JobState::Queued, JobState::Running] {
        let left = server.jobs.list(&alice(), Some(state), 9, None).await?;
        assert!(left.is_empty(), "the drain did not see {left:?}");
    }
    for taken in crowd {
        for listener in taken.await? {
            let events = hear(listener).await;
            let end = events.last().map(|event| &event.kind);
            assert!(matches!(end, Some(JobEventKind::Completed(_) | JobEventKind::Cancelled)), "{end:?}");
        }
    }
    server.idle().await;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_that_kills_every_server_is_given_up() -> Result<()> {
    let data = tempfile::tempdir()?;
    let Server { store, engine, jobs, metrics } = Server::start(data.path(), JobSettings::default()).await?;
    let id = jobs.submit(kept(ENDLESS, 3)).await?.id;
    // As killed: nothing more is written.
    store.close().await;
    let settings = JobSettings::default();
    for start in 1..=settings.max_attempts {
        let store = Server::store(data.path()).await?;
        let jobs = Jobs::open(store.clone(), engine.clone(), metrics.clone(), None, settings.clone()).await?;
        let state = jobs.view(&alice(), id).await?.state;
        assert!(!state.ended(), "start {start}: {state:?}");
        store.close().await;
    }
    let store = Server::store(data.path()).await?;
    let jobs = Jobs::open(store, engine, metrics, None, settings).await?;
    let view = jobs.view(&alice(), id).await?;
    assert_eq!(view.failure.map(|failure| failure.code).as_deref(), Some("attempts_exhausted"));
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn stops_in_good_order_are_no_attempts() -> Result<()> {
    let data = tempfile::tempdir()?;
    let settings = JobSettings { max_attempts: 1, ..JobSettings::default() };
    let server = Server::start(data.path(), settings.clone()).await?;
    let id = server.jobs.submit(kept(ENDLESS, 3)).await?.id;
    for _ in 0..2 {
        server.jobs.drain(Duration::ZERO).await;
        server.store.close().await;
        let again = Server::start(data.path(), settings.clone()).await?;
        assert!(!again.jobs.view(&alice(), id).await?.state.ended());
        again.jobs.drain(Duration::ZERO).await;
        again.store.close().await;
    }
    let again = Server::start(data.path(), settings).await?;
    assert!(!again.jobs.view(&alice(), id).await?.state.ended());
    Ok(())
}
