//! The store on a real disk: what survives, what nobody else sees, what leaves.
#![allow(missing_docs)]

use std::{
    fs,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    time::{SystemTime, UNIX_EPOCH},
};

use anyhow::Result;
use bytes::Bytes;
use plaudit::{
    domain::{ImageId, JobId, KeyId, Owner, Role},
    jobs::{ImageFormat, JobState},
    store::{Ending, Found, Full, ImageRecord, NewEvent, NewJob, Store, Swept, is_full},
};
use serde_json::json;

/// No test fills it.
const ROOMY: u64 = 1 << 40;
const HOUR: i64 = 3600;

fn now() -> i64 {
    SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970").as_secs() as i64
}

fn alice() -> Owner {
    Owner::session("alice")
}

fn mallory() -> Owner {
    Owner::session("mallory")
}

fn new_job(owner: &Owner) -> NewJob {
    let request = json!({"prompt": "two blue stars"});
    NewJob {
        id: JobId::new(),
        owner: owner.clone(),
        keep: true,
        request,
        start: None,
        idempotency: None,
        created: now(),
    }
}

fn image(job: JobId, bytes: &Bytes) -> ImageRecord {
    ImageRecord {
        id: ImageId::new(),
        job,
        index: 0,
        created: now(),
        expires: now() + HOUR,
        format: ImageFormat::Png,
        bytes: bytes.len() as u64,
        width: 64,
        height: 48,
        seed: u32::MAX,
        model_version: "tiny@0123".into(),
        rater: Some("r1".into()),
        parameters: json!({"prompt": "two blue stars", "guidance_scale": 5.1}),
    }
}

fn ending(finished: i64, expires: i64) -> Ending {
    let event = NewEvent {
        kind: "candidates",
        created: finished,
        job: None,
        owner: alice(),
        body: json!({"version": 1, "candidates": []}),
    };
    Ending {
        state: JobState::Completed,
        result: Some(json!({"images": []})),
        failure: None,
        last_sequence: 9,
        finished,
        expires,
        event: Some(event),
    }
}

/// A finished job with one picture.
async fn drawn(store: &Store, content: &Bytes, finished: i64, expires: i64) -> Result<(JobId, ImageId)> {
    let job = new_job(&alice());
    let id = job.id;
    store.insert_job(job, ROOMY).await?;
    let picture = image(id, content);
    store.add_image(&alice(), &picture, content.clone(), ROOMY).await?;
    store.finish_job(id, &ending(finished, expires)).await?;
    Ok((id, picture.id))
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path());
    entries.flat_map(|path| if path.is_dir() { files(&path) } else { vec![path] }).collect()
}

fn blobs(data: &Path) -> usize {
    files(&data.join("blobs")).len()
}

#[tokio::test]
async fn everything_survives_a_restart() -> Result<()> {
    let data = tempfile::tempdir()?;
    let content = Bytes::from_static(b"a picture");
    let store = Store::open(data.path()).await?;
    let secret = *store.session_secret();
    let (key, text) = store.create_key("ci", Role::Admin).await?;
    let (job, picture) = drawn(&store, &content, now(), now() + HOUR).await?;
    let record = store.image(&alice(), picture).await?.expect("it is hers");
    let before = (store.find_job(&alice(), job).await?, store.events(0, 10).await?, store.used_bytes());
    store.close().await;
    drop(store);

    let store = Store::open(data.path()).await?;
    assert_eq!(store.session_secret(), &secret);
    assert_eq!(store.find_key(&text).await?, Some(key));
    assert_eq!(store.image_bytes(picture).await?, Some((ImageFormat::Png, content)));
    assert_eq!(store.image(&alice(), picture).await?, Some(record));
    assert_eq!((store.find_job(&alice(), job).await?, store.events(0, 10).await?, store.used_bytes()), before);
    assert_eq!(before.1.len(), 1, "the end and its event are one");
    Ok(())
}

#[tokio::test]
async fn a_second_server_refuses_and_says_who_is_there() -> Result<()> {
    let data = tempfile::tempdir()?;
    let first = Store::open(data.path()).await?;
    let refusal = Store::open(data.path()).await.expect_err("one server a directory").to_string();
    assert!(refusal.contains(&format!("process {}", std::process::id())) && refusal.contains("--data"), "{refusal}");
    let beside = Store::attach(data.path()).await?;
    let (_, key) = beside.create_key("made beside a running server", Role::Client).await?;
    assert!(first.find_key(&key).await?.is_some());
    drop((first, beside));
    Store::open(data.path()).await.map(drop)
}

#[tokio::test]
async fn keys_open_until_they_are_revoked() -> Result<()> {
    let data = tempfile::tempdir()?;
    let store = Store::open(data.path()).await?;
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

#[tokio::test]
async fn a_key_is_nowhere_on_the_disk_and_secrets_are_private() -> Result<()> {
    let data = tempfile::tempdir()?;
    let store = Store::open(data.path()).await?;
    let (_, key) = store.create_key("ci", Role::Client).await?;
    store.close().await;
    let secret = key.strip_prefix("plaudit_").expect("the prefix").as_bytes();
    let all = files(data.path());
    assert!(all.iter().any(|path| path.ends_with("plaudit.db")));
    for path in all {
        let bytes = fs::read(&path)?;
        assert!(!bytes.windows(secret.len()).any(|window| window == secret), "{}", path.display());
    }
    let mode = |path: &str| Ok::<_, std::io::Error>(fs::metadata(data.path().join(path))?.permissions().mode() & 0o777);
    assert_eq!((mode("secrets")?, mode("secrets/session.key")?), (0o700, 0o600));
    Ok(())
}

#[tokio::test]
async fn what_has_expired_or_is_somebody_elses_cannot_be_seen() -> Result<()> {
    let data = tempfile::tempdir()?;
    let store = Store::open(data.path()).await?;
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

#[tokio::test]
async fn lists_go_from_the_newest_page_by_page() -> Result<()> {
    let data = tempfile::tempdir()?;
    let store = Store::open(data.path()).await?;
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

#[tokio::test]
async fn equal_pictures_share_a_file_until_the_last_one_leaves() -> Result<()> {
    let data = tempfile::tempdir()?;
    let store = Store::open(data.path()).await?;
    let content = Bytes::from_static(b"the same");
    drawn(&store, &content, now(), now() + HOUR).await?;
    let (_, second) = drawn(&store, &content, now(), now() + 2 * HOUR).await?;
    assert_eq!(blobs(data.path()), 1);
    store.sweep(now() + HOUR, ROOMY).await?;
    assert_eq!(store.image_bytes(second).await?, Some((ImageFormat::Png, content)));
    store.sweep(now() + 2 * HOUR, ROOMY).await?;
    assert_eq!((blobs(data.path()), store.used_bytes()), (0, 0));
    Ok(())
}

#[tokio::test]
async fn a_sweep_leaves_a_tombstone_and_the_log() -> Result<()> {
    let data = tempfile::tempdir()?;
    let store = Store::open(data.path()).await?;
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

#[tokio::test]
async fn the_oldest_finished_jobs_make_room_and_unfinished_ones_stay() -> Result<()> {
    const SIZE: usize = 100;
    const QUOTA: u64 = 3 * SIZE as u64;
    let data = tempfile::tempdir()?;
    let store = Store::open(data.path()).await?;
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
    assert_eq!((store.used_bytes(), store.pinned_bytes().await?, blobs(data.path())), (QUOTA, QUOTA, 3));
    Ok(())
}

#[tokio::test]
async fn a_killed_write_leaves_nothing_behind() -> Result<()> {
    let data = tempfile::tempdir()?;
    let store = Store::open(data.path()).await?;
    let (_, picture) = drawn(&store, &Bytes::from_static(b"whole"), now(), now() + HOUR).await?;
    drop(store);
    // Killed while it wrote a blob; killed between a blob and its row.
    fs::write(data.path().join("staging/.blob-x1y2z3"), b"hal")?;
    let nameless = data.path().join("blobs/ab");
    fs::create_dir_all(&nameless)?;
    fs::write(nameless.join("c".repeat(62)), b"nobody names me")?;

    let store = Store::open(data.path()).await?;
    assert_eq!(files(&data.path().join("staging")), Vec::<PathBuf>::new());
    assert_eq!(blobs(data.path()), 1);
    assert!(store.image_bytes(picture).await?.is_some());
    Ok(())
}

#[tokio::test]
async fn a_truncated_blob_is_never_served_and_is_healed_by_equal_content() -> Result<()> {
    let data = tempfile::tempdir()?;
    let store = Store::open(data.path()).await?;
    let content = Bytes::from_static(b"a picture of two blue stars");
    let (_, picture) = drawn(&store, &content, now(), now() + HOUR).await?;
    fs::write(&files(&data.path().join("blobs"))[0], b"a picture")?;
    assert!(store.image_bytes(picture).await.expect_err("damaged").to_string().contains("damaged"));
    drawn(&store, &content, now(), now() + HOUR).await?;
    assert_eq!(store.image_bytes(picture).await?, Some((ImageFormat::Png, content)));
    Ok(())
}

#[tokio::test]
async fn an_idempotency_key_is_the_owners_own_and_a_failed_job_lets_go_of_it() -> Result<()> {
    let data = tempfile::tempdir()?;
    let store = Store::open(data.path()).await?;
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

#[tokio::test]
async fn events_are_read_on_from_where_a_reader_was() -> Result<()> {
    let data = tempfile::tempdir()?;
    let store = Store::open(data.path()).await?;
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

#[tokio::test]
async fn the_ballast_takes_the_bytes_that_it_is_told_to() -> Result<()> {
    use std::os::unix::fs::MetadataExt;
    const SIZE: u64 = 1 << 20;
    let data = tempfile::tempdir()?;
    let store = Store::open(data.path()).await?;
    let path = data.path().join("ballast");
    assert!(!path.exists(), "none is wanted");
    store.set_ballast(SIZE)?;
    let taken = fs::metadata(&path)?;
    assert_eq!(taken.len(), SIZE);
    assert!(taken.blocks() * 512 >= SIZE, "not only its length: {} blocks", taken.blocks());
    store.set_ballast(0)?;
    assert!(!path.exists());
    Ok(())
}

/// A directory on a disk of its own. scripts/test.sh leaves the test out, and says so, where the system lets nobody mount one.
const SMALL_DISK: &str = "PLAUDIT_TEST_SMALL_DISK";

#[test]
fn on_a_full_disk_the_ballast_makes_room_for_the_end_of_a_job() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let own_mounts = ["--user", "--map-root-user", "--mount", "sh", "-c"];
    let mount = "mount -t tmpfs -o size=8m tmpfs \"$0\" && exec \"$@\"";
    let inside = |program: &Path, arguments: &[&str]| {
        let mut command = std::process::Command::new("unshare");
        command.args(own_mounts).arg(mount).arg(folder.path()).arg(program).args(arguments);
        command.env(SMALL_DISK, folder.path()).output()
    };
    let arguments = ["--exact", "inside_a_small_disk", "--ignored", "--nocapture"];
    let done = inside(&std::env::current_exe()?, &arguments)?;
    let said = String::from_utf8_lossy(&done.stdout) + String::from_utf8_lossy(&done.stderr);
    assert!(done.status.success() && said.contains("1 passed"), "{said}");
    Ok(())
}

/// Writes until nothing more finds room.
fn fill(path: &Path) -> Result<()> {
    let mut file = fs::File::create(path)?;
    while std::io::Write::write_all(&mut file, &[1; 512]).is_ok() {}
    Ok(())
}

#[tokio::test]
#[ignore = "run by on_a_full_disk_the_ballast_makes_room_for_the_end_of_a_job"]
async fn inside_a_small_disk() -> Result<()> {
    let disk = PathBuf::from(std::env::var(SMALL_DISK)?);
    let store = Store::open(&disk.join("data")).await?;
    store.set_ballast(1 << 20)?;
    let job = new_job(&alice());
    let id = job.id;
    store.insert_job(job, ROOMY).await?;
    let filler = disk.join("filler");
    fill(&filler)?;
    let content = Bytes::from(vec![7; 1 << 18]);
    let long = json!({"images": [], "note": "x".repeat(1 << 18)});
    store.finish_job(id, &Ending { result: Some(long), ..ending(now(), now() + HOUR) }).await?;
    assert!(!store.has_ballast(), "it made the room");
    let Found::Job(ended) = store.find_job(&alice(), id).await? else { panic!("it is hers") };
    assert_eq!(ended.state, JobState::Completed);

    store.sweep(now(), ROOMY).await?;
    assert!(!store.has_ballast(), "there is no room for it");
    fs::remove_file(&filler)?;
    store.sweep(now(), ROOMY).await?;
    assert!(store.has_ballast(), "there is room again");

    // A picture that finds no room gives it back too, and is not tried again: it would eat what ends need.
    fill(&filler)?;
    let job = new_job(&alice());
    let picture = image(job.id, &content);
    let full = store.add_image(&alice(), &picture, content, ROOMY).await.expect_err("no room");
    assert!(is_full(&full) && !store.has_ballast(), "{full:#}");
    store.insert_job(job, ROOMY).await
}
