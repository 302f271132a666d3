//! Jobs over the real engine, the bundled pack and a real disk: what a client sees of its job, whatever happens to
//! either.
#![allow(missing_docs)]

mod replicas;
mod restarts;
#[path = "../common/servers.rs"]
mod servers;

use std::{
    path::Path,
    sync::Arc,
    time::{Duration, Instant},
};

use anyhow::Result;
use bytes::Bytes;
use plaudit::{
    domain::{JobId, Owner},
    engine::{Class, Engine, EngineSettings, Order},
    jobs::{
        ImageFormat, JobError, JobEvent, JobEventKind, JobResult, JobSettings, JobState, Jobs, Listener, Submission,
        SubmitError,
    },
    metrics::Metrics,
    pack::Pack,
    pipeline::{Request, Start},
    runtime::Device,
    store::Store,
};

/// More steps than any test waits for.
const ENDLESS: usize = 900;
/// Longer than anything here takes on a busy machine.
const PATIENCE: Duration = Duration::from_secs(120);

struct Server {
    store: Store,
    engine: Arc<Engine>,
    jobs: Jobs,
    metrics: Metrics,
}

impl Server {
    async fn start(data: &Path, settings: JobSettings) -> Result<Self> {
        let pack = Pack::open(&Path::new(env!("CARGO_MANIFEST_DIR")).join("onnx/packs/miniature"))?;
        let metrics = Metrics::new();
        let (settings_of_engine, counted) = (EngineSettings::default(), metrics.clone());
        let start = move || Engine::start(&pack, Device::Cpu, &settings_of_engine, counted);
        let engine = Arc::new(tokio::task::spawn_blocking(start).await??);
        let store = Self::store(data).await?;
        let jobs = Jobs::open(store.clone(), engine.clone(), metrics.clone(), None, settings).await?;
        Ok(Self { store, engine, jobs, metrics })
    }

    /// A server that has just stopped may hold its lock for a moment.
    async fn store(data: &Path) -> Result<Store> {
        for _ in 0..50 {
            match Store::open(data).await {
                Err(error) if error.to_string().contains("in use") => {
                    tokio::time::sleep(Duration::from_millis(20)).await
                }
                opened => return opened,
            }
        }
        Store::open(data).await
    }

    fn cancelled(&self, cause: &str) -> u64 {
        self.metrics.cancelled_total.with_label_values(&[cause]).get()
    }

    fn rejected(&self, reason: &str) -> u64 {
        self.metrics.rejected_total.with_label_values(&[reason]).get()
    }

    /// Waits until the engine has nothing to do.
    async fn idle(&self) {
        let since = Instant::now();
        while self.engine.load().waiting + self.engine.load().running > 0 {
            assert!(since.elapsed() < PATIENCE, "the engine still works: {:?}", self.engine.load());
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }
}

fn alice() -> Owner {
    Owner::session("alice")
}

fn mallory() -> Owner {
    Owner::session("mallory")
}

fn submission(steps: usize, seed: u32) -> Submission {
    let request = Request { prompt: "two blue stars".into(), steps, seed, ..Request::default() };
    let order = Order {
        request,
        client: "alice".into(),
        class: Class::Interactive,
        deadline: None,
        previews: 0,
        optional: 0,
        deterministic: false,
    };
    Submission {
        owner: alice(),
        order,
        choosing: None,
        format: ImageFormat::Png,
        keep: false,
        rater: None,
        idempotency: None,
        model: "miniature".into(),
        warnings: vec![],
        request_id: None,
        traceparent: None,
    }
}

fn kept(steps: usize, seed: u32) -> Submission {
    Submission { keep: true, ..submission(steps, seed) }
}

fn keyed(submission: Submission, digest: u8) -> Submission {
    Submission { idempotency: Some(("retry-me".into(), [digest; 32])), ..submission }
}

async fn next(listener: &mut Listener) -> Option<JobEvent> {
    tokio::time::timeout(PATIENCE, listener.next()).await.expect("an event in time")
}

/// Everything up to the end.
async fn hear(mut listener: Listener) -> Vec<JobEvent> {
    let mut events = Vec::new();
    while let Some(event) = next(&mut listener).await {
        events.push(event);
    }
    events
}

async fn started(listener: &mut Listener) {
    while let Some(event) = next(listener).await {
        if matches!(event.kind, JobEventKind::Started) {
            return;
        }
    }
    panic!("it ended before it started");
}

fn result(events: &[JobEvent]) -> Arc<JobResult> {
    match events.last().map(|event| &event.kind) {
        Some(JobEventKind::Completed(result)) => result.clone(),
        other => panic!("not completed: {other:?}"),
    }
}

fn pictures(result: &JobResult) -> Vec<Bytes> {
    result.images.iter().filter_map(|image| image.bytes.clone()).collect()
}

fn sequences(events: &[JobEvent]) -> Vec<u64> {
    events.iter().map(|event| event.sequence).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_runs_to_its_end_and_leaves_pictures_and_an_event() -> Result<()> {
    let data = tempfile::tempdir()?;
    let server = Server::start(data.path(), JobSettings::default()).await?;
    let mut asked = submission(4, u32::MAX);
    (asked.order.request.count, asked.order.previews, asked.rater) = (2, 1, Some("r1".into()));
    asked.warnings = vec!["quality has no effect here".into()];
    let listener = server.jobs.submit(asked).await?;
    let id = listener.id;
    let events = hear(listener).await;

    let kinds = |wanted: fn(&JobEventKind) -> bool| events.iter().filter(|event| wanted(&event.kind)).count();
    assert!(matches!(events[0].kind, JobEventKind::Queued { .. }), "{:?}", events[0]);
    assert_eq!(kinds(|kind| matches!(kind, JobEventKind::Started)), 1);
    assert_eq!(kinds(|kind| matches!(kind, JobEventKind::Picture(_))), 2);
    assert!(sequences(&events).is_sorted_by(|a, b| a < b));
    let result = result(&events);
    assert_eq!(result.images.iter().map(|image| image.seed).collect::<Vec<_>>(), [u32::MAX, 0]);
    assert_eq!(
        (result.model.as_str(), result.model_version.as_str()),
        ("miniature", server.engine.model().version.as_str())
    );
    assert_eq!(result.warnings, ["quality has no effect here"]);

    for image in &result.images {
        assert_eq!(
            server.store.image_bytes(image.id).await?,
            image.bytes.clone().map(|bytes| (ImageFormat::Png, bytes))
        );
        let facts = server.store.image(&alice(), image.id).await?.expect("it is hers");
        assert_eq!(
            (facts.job, facts.seed, facts.parameters["seed"].as_u64()),
            (id, image.seed, Some(image.seed.into()))
        );
        assert_eq!((facts.parameters["prompt"].as_str(), facts.rater.as_deref()), (Some("two blue stars"), Some("r1")));
    }
    let log = server.store.events(0, 9).await?;
    let body = &log[0].body;
    assert_eq!((log.len(), log[0].kind.as_str(), log[0].job), (1, "candidates", Some(id)));
    let named: Vec<_> =
        body["candidates"].as_array().into_iter().flatten().map(|one| one["image_id"].as_str()).collect();
    let made: Vec<String> = result.images.iter().map(|image| image.id.to_string()).collect();
    assert_eq!(named, made.iter().map(|id| Some(id.as_str())).collect::<Vec<_>>());
    assert_eq!(
        (body["outcome"].as_str(), body["parameters"]["num_inference_steps"].as_u64()),
        (Some("completed"), Some(4))
    );

    let view = server.jobs.view(&alice(), id).await?;
    assert_eq!((view.state, view.prompt.as_str()), (JobState::Completed, "two blue stars"));
    let named = |result: &JobResult| result.images.iter().map(|image| (image.id, image.seed)).collect::<Vec<_>>();
    let seen = view.result.expect("what it made");
    assert_eq!((named(&seen), pictures(&seen).len()), (named(&result), 0), "a view names pictures and reads none");
    let count = |stage| server.metrics.stage_seconds.with_label_values(&[stage]).get_sample_count();
    assert_eq!(["text", "steps", "decode", "encode"].map(count), [1; 4]);
    assert_eq!(server.metrics.queue_seconds.get_sample_count(), 1);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_follower_goes_on_where_it_was_cut_off_during_the_job_and_after() -> Result<()> {
    let data = tempfile::tempdir()?;
    let server = Server::start(data.path(), JobSettings::default()).await?;
    let mut asked = kept(30, 1);
    asked.order.previews = 3;
    let mut first = server.jobs.submit(asked).await?;
    let id = first.id;
    let mut heard = Vec::new();
    for _ in 0..6 {
        heard.push(next(&mut first).await.expect("it goes on").sequence);
    }
    assert_eq!(heard, [1, 2, 3, 4, 5, 6]);
    drop(first);
    let rest = hear(server.jobs.follow(&alice(), id, 6).await?).await;
    let (first, last) = (rest[0].sequence, rest[rest.len() - 1].sequence);
    assert!(first >= 7 && sequences(&rest).is_sorted_by(|a, b| a < b), "{:?}", sequences(&rest));

    // From the store, which has what matters under the same numbers.
    let told = |events: &[JobEvent]| -> Vec<(u64, bool)> {
        let lasting = events.iter().filter(|e| matches!(e.kind, JobEventKind::Picture(_) | JobEventKind::Completed(_)));
        lasting.map(|e| (e.sequence, matches!(e.kind, JobEventKind::Completed(_)))).collect()
    };
    let replayed = hear(server.jobs.follow(&alice(), id, 6).await?).await;
    assert_eq!(told(&replayed), told(&rest));
    assert_eq!(result(&replayed), result(&rest));
    assert!(hear(server.jobs.follow(&alice(), id, last).await?).await.is_empty(), "nothing comes after the end");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_that_everybody_left_stops_and_a_kept_one_does_not() -> Result<()> {
    let data = tempfile::tempdir()?;
    let server = Server::start(data.path(), JobSettings::default()).await?;
    let mut first = server.jobs.submit(submission(ENDLESS, 1)).await?;
    let id = first.id;
    started(&mut first).await;
    let second = server.jobs.follow(&alice(), id, 0).await?;
    drop(first);
    tokio::time::sleep(Duration::from_millis(200)).await;
    assert_eq!(server.jobs.view(&alice(), id).await?.state, JobState::Running, "one still listens");
    drop(second);
    server.idle().await;
    let ended = hear(server.jobs.follow(&alice(), id, 0).await?).await;
    assert!(matches!(ended.last().map(|event| &event.kind), Some(JobEventKind::Cancelled)), "{ended:?}");
    assert_eq!((server.cancelled("disconnect"), server.cancelled("client")), (1, 0));

    let keeper = server.jobs.submit(kept(4, 2)).await?;
    let id = keeper.id;
    drop(keeper);
    let events = hear(server.jobs.follow(&alice(), id, 0).await?).await;
    assert_eq!(pictures(&result(&events)).len(), 1);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn an_owner_calls_a_job_off_and_nobody_else_can() -> Result<()> {
    let data = tempfile::tempdir()?;
    let server = Server::start(data.path(), JobSettings::default()).await?;
    let mut listener = server.jobs.submit(kept(ENDLESS, 1)).await?;
    let id = listener.id;
    started(&mut listener).await;
    for refused in [
        server.jobs.cancel(&mallory(), id).await.map(drop),
        server.jobs.view(&mallory(), id).await.map(drop),
        server.jobs.follow(&mallory(), id, 0).await.map(drop),
        server.jobs.view(&alice(), JobId::new()).await.map(drop),
    ] {
        assert!(matches!(refused, Err(JobError::NotFound(_))), "{refused:?}");
    }
    assert!(server.jobs.list(&mallory(), None, 9, None).await?.is_empty());

    let began = Instant::now();
    assert_eq!(server.jobs.cancel(&alice(), id).await?.state, JobState::Cancelled);
    server.idle().await;
    assert!(began.elapsed() < Duration::from_secs(5), "{:?}", began.elapsed());
    assert!(matches!(hear(listener).await.last().map(|e| e.kind.clone()), Some(JobEventKind::Cancelled)));
    assert_eq!((server.cancelled("client"), server.jobs.cancel(&alice(), id).await?.state), (1, JobState::Cancelled));

    let done = server.jobs.submit(kept(2, 1)).await?;
    let id = done.id;
    hear(done).await;
    assert_eq!(server.jobs.cancel(&alice(), id).await?.state, JobState::Completed, "an end is final");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn equal_requests_under_one_key_make_one_job() -> Result<()> {
    let data = tempfile::tempdir()?;
    let server = Server::start(data.path(), JobSettings::default()).await?;
    let tries: Vec<_> = (0..16)
        .map(|_| {
            let jobs = server.jobs.clone();
            tokio::spawn(async move { jobs.submit(keyed(submission(6, 1), 7)).await })
        })
        .collect();
    let mut listeners = Vec::new();
    for tried in tries {
        listeners.push(tried.await??);
    }
    assert_eq!(listeners.iter().filter(|listener| !listener.replayed).count(), 1);
    assert!(matches!(server.jobs.submit(keyed(submission(7, 1), 8)).await, Err(SubmitError::IdempotencyMismatch)));
    let mut results = Vec::new();
    for listener in listeners {
        results.push(result(&hear(listener).await));
    }
    let again = server.jobs.submit(keyed(submission(6, 1), 7)).await?;
    assert!(again.replayed);
    results.push(result(&hear(again).await));
    assert!(results.iter().all(|result| result == &results[0]), "the same pictures under the same names");
    assert_eq!(server.jobs.list(&alice(), None, 99, None).await?.len(), 1);

    let foreign = Submission { owner: mallory(), ..keyed(submission(2, 1), 9) };
    assert!(!server.jobs.submit(foreign).await?.replayed, "a key is its owner's own");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn who_tries_again_after_a_cancelled_job_gets_a_new_one() -> Result<()> {
    let data = tempfile::tempdir()?;
    let server = Server::start(data.path(), JobSettings::default()).await?;
    // The second comes at every moment of the first one's end.
    let mut first = server.jobs.submit(keyed(submission(ENDLESS, 1), 7)).await?;
    for moment in 0..100 {
        let id = first.id;
        started(&mut first).await;
        drop(first);
        tokio::time::sleep(Duration::from_micros(moment * 50)).await;
        first = server.jobs.submit(keyed(submission(ENDLESS, 1), 7)).await?;
        assert!(first.id != id && !first.replayed, "the job before was being called off");
        assert_eq!(server.jobs.view(&alice(), id).await?.state, JobState::Cancelled);
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deadline_fails_a_job_that_it_overtakes() -> Result<()> {
    let data = tempfile::tempdir()?;
    let server = Server::start(data.path(), JobSettings::default()).await?;
    // Twenty pictures at once make the engine slower than it knows itself to be when it admits the first.
    let mut asked = submission(60, 1);
    let (_, estimate) = server.engine.estimate(&asked.order);
    asked.order.deadline = Some(Instant::now() + estimate + Duration::from_millis(20));
    let hurried = server.jobs.submit(asked).await;
    let _crowd: Vec<_> = {
        let mut crowd = Vec::new();
        for seed in 0..20 {
            crowd.push(server.jobs.submit(submission(200, seed)).await?);
        }
        crowd
    };
    let hurried = hurried?;
    let id = hurried.id;
    let events = hear(hurried).await;
    match events.last().map(|event| &event.kind) {
        Some(JobEventKind::Failed(failure)) => assert_eq!(failure.code, "deadline_exceeded"),
        other => panic!("not failed: {other:?}"),
    }
    let view = server.jobs.view(&alice(), id).await?;
    assert_eq!(
        (view.state, view.failure.map(|failure| failure.code)),
        (JobState::Failed, Some("deadline_exceeded".into()))
    );
    assert_eq!(server.cancelled("deadline"), 1);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn an_expired_job_says_so() -> Result<()> {
    let data = tempfile::tempdir()?;
    let server = Server::start(data.path(), JobSettings { ttl: 0, ..JobSettings::default() }).await?;
    let listener = server.jobs.submit(submission(2, 1)).await?;
    let id = listener.id;
    assert_eq!(pictures(&result(&hear(listener).await)).len(), 1, "who waited still gets it");
    assert!(matches!(server.jobs.view(&alice(), id).await, Err(JobError::Expired(_))));
    assert!(matches!(server.jobs.follow(&alice(), id, 0).await, Err(JobError::Expired(_))));
    assert!(matches!(server.jobs.view(&mallory(), id).await, Err(JobError::NotFound(_))));
    assert!(server.jobs.list(&alice(), None, 9, None).await?.is_empty());
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_drawn_that_could_not_be_kept() -> Result<()> {
    for settings in [
        JobSettings { quota: 0, ..JobSettings::default() },
        JobSettings { min_free: u64::MAX, ..JobSettings::default() },
    ] {
        let data = tempfile::tempdir()?;
        let server = Server::start(data.path(), settings).await?;
        let refused = server.jobs.submit(submission(2, 1)).await;
        assert!(matches!(refused, Err(SubmitError::DiskFull(_))), "{refused:?}");
        assert_eq!(server.rejected("disk_full"), 1);
        assert!(server.engine.load().row_steps == 0 && server.jobs.list(&alice(), None, 9, None).await?.is_empty());
    }
    // Room for less than a picture: known only once it is drawn.
    let data = tempfile::tempdir()?;
    let server = Server::start(data.path(), JobSettings { quota: 10, ..JobSettings::default() }).await?;
    let events = hear(server.jobs.submit(submission(2, 1)).await?).await;
    assert!(
        matches!(&events[events.len() - 1].kind, JobEventKind::Failed(failure) if failure.code == "disk_full"),
        "{events:?}"
    );
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn lists_show_what_runs_and_what_has_ended() -> Result<()> {
    let data = tempfile::tempdir()?;
    let server = Server::start(data.path(), JobSettings::default()).await?;
    let done = server.jobs.submit(submission(2, 1)).await?;
    let done_id = done.id;
    hear(done).await;
    let mut running = server.jobs.submit(submission(ENDLESS, 2)).await?;
    started(&mut running).await;
    let listed = async |state, limit, before| -> Result<Vec<(JobId, JobState)>> {
        let views = server.jobs.list(&alice(), state, limit, before).await?;
        Ok(views.into_iter().map(|view| (view.id, view.state)).collect())
    };
    let (first, second) = ((running.id, JobState::Running), (done_id, JobState::Completed));
    assert_eq!(listed(None, 9, None).await?, [first, second]);
    assert_eq!(listed(None, 1, None).await?, [first]);
    assert_eq!(listed(None, 9, Some(running.id)).await?, [second]);
    assert_eq!(listed(Some(JobState::Running), 9, None).await?, [first]);
    assert_eq!(listed(Some(JobState::Completed), 9, None).await?, [second]);
    assert_eq!(listed(Some(JobState::Queued), 9, None).await?, []);
    let view = server.jobs.view(&alice(), running.id).await?;
    assert!(
        view.progress.1 >= ENDLESS && view.queue_position.is_none() && view.estimated_seconds.is_some(),
        "{view:?}"
    );
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_view_needs_none_of_the_pictures() -> Result<()> {
    let data = tempfile::tempdir()?;
    let server = Server::start(data.path(), JobSettings::default()).await?;
    let listener = server.jobs.submit(submission(2, 1)).await?;
    let id = listener.id;
    hear(listener).await;
    std::fs::remove_dir_all(data.path().join("blobs"))?;
    let view = server.jobs.view(&alice(), id).await?;
    assert_eq!(view.result.map(|result| result.images.len()), Some(1));
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_slow_commit_delays_no_other_idempotency_key() -> Result<()> {
    use sqlx::Connection;
    let data = tempfile::tempdir()?;
    let server = Server::start(data.path(), JobSettings::default()).await?;
    hear(server.jobs.submit(keyed(submission(2, 1), 7)).await?).await;
    let database = format!("sqlite://{}", data.path().join("plaudit.db").display());
    let mut slow = sqlx::SqliteConnection::connect(&database).await?;
    sqlx::query("BEGIN IMMEDIATE").execute(&mut slow).await?;
    let jobs = server.jobs.clone();
    let other = Submission { idempotency: Some(("another".into(), [9; 32])), ..submission(2, 2) };
    let waiting = tokio::spawn(async move { jobs.submit(other).await });
    tokio::time::sleep(Duration::from_millis(200)).await;
    let again = server.jobs.submit(keyed(submission(2, 1), 7));
    let again = tokio::time::timeout(Duration::from_secs(1), again).await.expect("its job is there already")?;
    assert!(again.replayed && !waiting.is_finished());
    sqlx::query("ROLLBACK").execute(&mut slow).await?;
    assert!(!waiting.await??.replayed);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn failures_inside_are_told_without_their_detail() -> Result<()> {
    let data = tempfile::tempdir()?;
    let server = Server::start(data.path(), JobSettings::default()).await?;
    let done = server.jobs.submit(kept(2, 1)).await?;
    hear(done).await;
    let template = server.store.list_jobs(&alice(), None, 1, None).await?.remove(0);
    let (stored, unreadable) = (JobId::new(), JobId::new());
    let mut broken = template.request.clone();
    broken["scheduler"] = "secret-scheduler".into();
    for (id, request) in [(stored, template.request), (unreadable, broken)] {
        let (owner, created) = (alice(), template.created);
        let row = plaudit::store::NewJob { id, owner, keep: true, request, start: None, idempotency: None, created };
        server.store.insert_job(row, u64::MAX).await?;
    }
    // As an earlier version wrote it.
    let failure = plaudit::jobs::JobFailure {
        code: "internal_error".into(),
        message: "secret: /srv/packs/unet.onnx node 7".into(),
    };
    let ending = plaudit::store::Ending {
        state: JobState::Failed,
        result: None,
        failure: Some(failure),
        last_sequence: 3,
        finished: template.created,
        expires: i64::MAX,
        event: None,
    };
    server.store.finish_job(stored, &ending).await?;
    server.store.close().await;
    drop(server);

    let server = Server::start(data.path(), JobSettings::default()).await?;
    for id in [stored, unreadable] {
        let viewed = server.jobs.view(&alice(), id).await?.failure.expect("it failed");
        let events = hear(server.jobs.follow(&alice(), id, 0).await?).await;
        let Some(JobEventKind::Failed(told)) = events.last().map(|event| &event.kind) else { panic!("{events:?}") };
        assert_eq!(&viewed, told);
        assert!(told.code == "internal_error" && told.message.contains(&id.to_string()), "{told:?}");
        assert!(!told.message.contains("secret"), "{told:?}");
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn pictures_that_kept_jobs_start_from_take_room() -> Result<()> {
    let from_picture = || {
        let noise = image::RgbImage::from_fn(64, 64, |x, y| image::Rgb([(x * y) as u8, (x * 7) as u8, y as u8]));
        let mut asked = kept(ENDLESS, 1);
        asked.order.request.start = Some(Start { image: Arc::new(noise), strength: 1.0 });
        asked
    };
    let data = tempfile::tempdir()?;
    let server = Server::start(data.path(), JobSettings::default()).await?;
    let listener = server.jobs.submit(from_picture()).await?;
    let taken = server.store.used_bytes().await?;
    assert!(taken > 0 && server.store.pinned_bytes().await? == taken, "{taken}");
    server.jobs.cancel(&alice(), listener.id).await?;
    assert_eq!(server.store.pinned_bytes().await?, 0, "now it can leave");
    server.store.sweep(0, 0).await?;
    assert_eq!(server.store.used_bytes().await?, 0);

    let data = tempfile::tempdir()?;
    let server = Server::start(data.path(), JobSettings { quota: taken - 1, ..JobSettings::default() }).await?;
    let refused = server.jobs.submit(from_picture()).await;
    assert!(matches!(refused, Err(SubmitError::DiskFull(_))), "{refused:?}");
    assert_eq!(server.rejected("disk_full"), 1);
    server.idle().await;
    Ok(())
}
