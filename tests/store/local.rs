//! What is true of a directory: locks, files, a disk that is full.

use std::{
    fs,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
};

use super::*;

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
    let arguments = ["--exact", "local::inside_a_small_disk", "--ignored", "--nocapture"];
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
