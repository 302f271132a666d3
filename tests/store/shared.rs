//! The same over PostgreSQL and S3, and what only several servers can get wrong.

use futures_util::TryStreamExt;
use object_store::{ObjectStore, aws::AmazonS3Builder, path};
use sqlx::{Connection, Executor};

use super::{servers::Servers, *};

/// Long enough for a busy machine to write twenty jobs meanwhile.
const LEASE: u32 = 5;

#[test]
fn the_store_over_postgresql_and_s3() -> Result<()> {
    let servers = Servers::start()?;
    let url = servers.create("tests")?;
    let mut command = std::process::Command::new(std::env::current_exe()?);
    command.args(["--exact", "shared::inside_servers", "--ignored", "--nocapture"]);
    let done = command.env(DATABASE, url).envs(servers.environment()).output()?;
    let said = String::from_utf8_lossy(&done.stdout) + String::from_utf8_lossy(&done.stderr);
    assert!(done.status.success() && said.contains("1 passed"), "{said}");
    Ok(())
}

/// URL of a database on a running server: what [`inside_servers`] is told.
const DATABASE: &str = "PLAUDIT_TEST_DATABASE";

const OF_SEVERAL: &[(&str, Case)] = &[
    ("what_one_server_writes_the_other_reads", |place| Box::pin(what_one_server_writes_the_other_reads(place))),
    ("a_reader_of_events_misses_none", |place| Box::pin(a_reader_of_events_misses_none(place))),
    ("no_blob_leaves_under_a_new_row", |place| Box::pin(no_blob_leaves_under_a_new_row(place))),
    ("a_dead_servers_jobs_are_taken_over", |place| Box::pin(a_dead_servers_jobs_are_taken_over(place))),
    ("a_bucket_is_one_databases_own", |place| Box::pin(a_bucket_is_one_databases_own(place))),
    ("what_nobody_names_leaves_the_bucket", |place| Box::pin(what_nobody_names_leaves_the_bucket(place))),
    ("promotions_of_two_servers_are_a_serial_order", |place| {
        Box::pin(super::versions::promotions_of_two_servers_are_a_serial_order(place))
    }),
    ("no_message_tells_the_password", |place| Box::pin(no_message_tells_the_password(place))),
];

#[tokio::test(flavor = "multi_thread")]
#[ignore = "run by the_store_over_postgresql_and_s3"]
async fn inside_servers() -> Result<()> {
    let mut failures = Vec::new();
    for (number, (name, case)) in CASES.iter().chain(OF_SEVERAL).enumerate() {
        let place = Place::shared(&format!("case_{number}")).await?;
        let failed = match tokio::spawn(case(place)).await {
            Ok(Ok(())) => continue,
            Ok(Err(error)) => format!("{name}: {error:?}"),
            Err(panic) => format!("{name}: {panic}"),
        };
        failures.push(failed);
    }
    assert!(failures.is_empty(), "{} failed:\n{}", failures.len(), failures.join("\n"));
    Ok(())
}

impl Place {
    /// An empty database and an empty place in the bucket.
    async fn shared(name: &str) -> Result<Self> {
        let server = std::env::var(DATABASE)?;
        let mut connection = sqlx::PgConnection::connect(&server).await?;
        connection.execute(sqlx::AssertSqlSafe(format!("CREATE DATABASE {name}"))).await?;
        let settings = StoreSettings {
            database: Some(server.replace("/tests?", &format!("/{name}?")).parse().expect("any text is one")),
            blobs: Some(format!("s3://{}/{name}", servers::BUCKET)),
            lease: LEASE,
            ..StoreSettings::default()
        };
        Ok(Self { data: tempfile::tempdir()?, settings })
    }

    /// Another server on the same database and bucket.
    pub(crate) fn beside(&self) -> Result<Self> {
        Ok(Self { data: tempfile::tempdir()?, settings: self.settings.clone() })
    }
}

fn bucket() -> Result<impl ObjectStore> {
    Ok(AmazonS3Builder::from_env().with_bucket_name(servers::BUCKET).build()?)
}

/// How many blobs are in a place of the bucket.
pub(crate) async fn objects(url: &str) -> Result<usize> {
    let prefix = url.rsplit('/').next().expect("a prefix");
    let listed: Vec<_> = bucket()?.list(Some(&path::Path::from(prefix))).try_collect().await?;
    Ok(listed.iter().filter(|object| object.location.filename() != Some("STORE")).count())
}

async fn what_one_server_writes_the_other_reads(place: Place) -> Result<()> {
    let other = place.beside()?;
    let (one, two) = (place.open().await?, other.open().await?);
    assert_eq!((one.session_secret(), one.feedback_secret()), (two.session_secret(), two.feedback_secret()));
    let (key, text) = one.create_key("shared", Role::Client).await?;
    assert_eq!(two.find_key(&text).await?, Some(key.clone()));
    two.revoke_key(key.id).await?;
    assert_eq!(one.find_key(&text).await?, None);

    let content = Bytes::from_static(b"a picture");
    let (job, picture) = drawn(&one, &content, now(), now() + HOUR).await?;
    assert_eq!(two.image_bytes(picture).await?, Some((ImageFormat::Png, content)));
    assert_eq!(two.find_job(&alice(), job).await?, one.find_job(&alice(), job).await?);
    assert_eq!((two.used_bytes().await?, two.events(0, 9).await?.len()), (9, 1));
    two.sweep(now() + HOUR, ROOMY).await?;
    assert_eq!((one.image_bytes(picture).await?, one.used_bytes().await?, place.blobs().await?), (None, 0, 0));
    Ok(())
}

/// Writers on two servers, and a reader that goes on after the last number it saw.
async fn a_reader_of_events_misses_none(place: Place) -> Result<()> {
    const WRITERS: usize = 8;
    const EACH: usize = 12;
    let other = place.beside()?;
    let stores = [place.open().await?, other.open().await?];
    let writers: Vec<_> = (0..WRITERS)
        .map(|writer| {
            let store = stores[writer % 2].clone();
            tokio::spawn(async move {
                for _ in 0..EACH {
                    let job = new_job(&alice());
                    let id = job.id;
                    store.insert_job(job, ROOMY).await?;
                    store.finish_job(id, &ending(now(), now() + HOUR)).await?;
                }
                anyhow::Ok(())
            })
        })
        .collect();
    let (mut seen, mut last) = (0, 0);
    let reading = tokio::time::timeout(Duration::from_secs(60), async {
        while seen < WRITERS * EACH {
            for event in stores[0].events(last, 100).await? {
                assert!(event.sequence > last);
                (seen, last) = (seen + 1, event.sequence);
            }
        }
        anyhow::Ok(())
    });
    reading.await.unwrap_or_else(|_| panic!("a reader saw {seen} of {}", WRITERS * EACH))?;
    for writer in writers {
        writer.await??;
    }
    Ok(())
}

/// One server draws the same picture again and again while the other lets the one before expire.
async fn no_blob_leaves_under_a_new_row(place: Place) -> Result<()> {
    const ROUNDS: usize = 40;
    let other = place.beside()?;
    let (one, two) = (place.open().await?, other.open().await?);
    let content = Bytes::from_static(b"the same");
    let sweeping = tokio::spawn(async move {
        loop {
            two.sweep(now() + HOUR, ROOMY).await?;
        }
        #[allow(unreachable_code)]
        anyhow::Ok(())
    });
    for round in 0..ROUNDS {
        let job = new_job(&alice());
        let id = job.id;
        one.insert_job(job, ROOMY).await?;
        let picture = image(id, &content);
        one.add_image(&alice(), &picture, content.clone(), ROOMY).await?;
        // Its job has no end yet: it cannot leave.
        assert!(one.image_bytes(picture.id).await?.is_some(), "round {round}");
        one.finish_job(id, &ending(now(), now() + HOUR)).await?;
    }
    assert!(!sweeping.is_finished(), "{:?}", sweeping.await);
    sweeping.abort();
    Ok(())
}

async fn a_dead_servers_jobs_are_taken_over(place: Place) -> Result<()> {
    let (second, third) = (place.beside()?, place.beside()?);
    let (dying, two, three) = (place.open().await?, second.open().await?, third.open().await?);
    dying.claim_jobs().await?;
    let mut jobs = Vec::new();
    for _ in 0..20 {
        let job = new_job(&alice());
        jobs.push(job.id);
        dying.insert_job(job, ROOMY).await?;
    }
    assert!(two.claim_jobs().await?.is_empty(), "its server lives");
    assert!(two.is_elsewhere(jobs[0]).await? && !dying.is_elsewhere(jobs[0]).await?);
    // No sign of life for longer than a lease.
    tokio::time::sleep(Duration::from_secs(u64::from(LEASE) + 1)).await;
    let (by_two, by_three) = tokio::join!(two.claim_jobs(), three.claim_jobs());
    let mut claimed: Vec<JobId> = by_two?.into_iter().chain(by_three?).map(|job| job.id).collect();
    claimed.sort_by_key(ToString::to_string);
    assert_eq!(claimed, jobs, "each once");

    // It was not dead, only late.
    let late = Bytes::from_static(b"late");
    assert!(dying.add_image(&alice(), &image(jobs[0], &late), late, ROOMY).await.is_err());
    dying.finish_job(jobs[0], &ending(now(), now() + HOUR)).await?;
    let Found::Job(job) = two.find_job(&alice(), jobs[0]).await? else { panic!("it is hers") };
    assert!(!job.state.ended() && two.events(0, 9).await?.is_empty());
    assert!(dying.claim_jobs().await?.is_empty(), "theirs, as long as they live");

    // A stop in good order leaves its jobs at once.
    two.close().await;
    three.close().await;
    assert_eq!(dying.claim_jobs().await?.len(), jobs.len());
    Ok(())
}

async fn a_bucket_is_one_databases_own(place: Place) -> Result<()> {
    let (_, picture) = drawn(&place.open().await?, &Bytes::from_static(b"mine"), now(), now() + HOUR).await?;
    let blobs = place.settings.blobs.clone();
    let stranger = Place { settings: StoreSettings { blobs, ..StoreSettings::default() }, ..Place::local()? };
    let refused = stranger.open().await.expect_err("all its blobs would be orphans").to_string();
    assert!(refused.contains("another database") && refused.contains("--store-blobs"), "{refused}");
    let lost = Place { settings: StoreSettings { blobs: None, ..place.settings.clone() }, ..Place::local()? };
    let refused = lost.open().await.expect_err("no picture would be found").to_string();
    assert!(refused.contains("--store-blobs"), "{refused}");
    drop(lost);
    assert!(place.beside()?.open().await?.image_bytes(picture).await?.is_some());
    // SQLite with a bucket of its own.
    let mixed = StoreSettings { blobs: place.settings.blobs.map(|url| url + "_mixed"), ..StoreSettings::default() };
    let mixed = Place { settings: mixed, ..Place::local()? };
    let (_, picture) = drawn(&mixed.open().await?, &Bytes::from_static(b"mine"), now(), now() + HOUR).await?;
    assert!(mixed.open().await?.image_bytes(picture).await?.is_some());
    assert_eq!(mixed.blobs().await?, 1);
    Ok(())
}

async fn what_nobody_names_leaves_the_bucket(place: Place) -> Result<()> {
    use object_store::ObjectStoreExt;
    let store = place.open().await?;
    let (_, picture) = drawn(&store, &Bytes::from_static(b"whole"), now(), now() + HOUR).await?;
    let prefix = place.settings.blobs.as_deref().and_then(|url| url.rsplit('/').next()).expect("a prefix");
    let nameless = path::Path::from(format!("{prefix}/ab/{}", "c".repeat(62)));
    bucket()?.put(&nameless, "killed between a blob and its row".into()).await?;
    assert_eq!(place.blobs().await?, 2);
    let again = place.beside()?.open().await?;
    for _ in 0..200 {
        if place.blobs().await? == 1 {
            break;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert_eq!(place.blobs().await?, 1);
    assert!(again.image_bytes(picture).await?.is_some());

    // What a bucket gives back is compared with its name.
    let blob: Vec<_> = bucket()?.list(Some(&path::Path::from(prefix))).try_collect().await?;
    let blob = blob.iter().find(|object| object.location.filename() != Some("STORE")).expect("one");
    bucket()?.put(&blob.location, "whale".into()).await?;
    assert!(store.image_bytes(picture).await.expect_err("damaged").to_string().contains("damaged"));
    Ok(())
}

async fn no_message_tells_the_password(place: Place) -> Result<()> {
    let wrong = [
        "postgres://plaudit:hunter2@127.0.0.1:1/nowhere",
        "mysql://plaudit:hunter2@db/x",
        "postgres://plaudit:hunter2@db:port/x",
    ];
    for url in wrong {
        let settings =
            StoreSettings { database: Some(url.parse().expect("any text is one")), ..place.settings.clone() };
        assert!(!format!("{settings:?}").contains("hunter2"));
        let refused = Store::open_with(tempfile::tempdir()?.path(), &settings).await.expect_err("no such database");
        let said = format!("{refused:?} {refused:#}");
        assert!(said.contains("--store-database") && !said.contains("hunter2"), "{said}");
    }
    Ok(())
}
