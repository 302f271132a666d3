//! Promise 16: a full disk is survivable.

use std::{
    fs,
    io::Write,
    path::PathBuf,
    time::{Duration, Instant},
};

use super::*;

/// A directory on a disk of its own. scripts/test.sh leaves the test out, and says so, where the system lets nobody
/// mount one.
const SMALL_DISK: &str = "PLAUDIT_TEST_SMALL_DISK";
/// Bytes that are left when voting begins, and bytes of ballast.
const FILL_POINTS: [(u64, u64); 4] = [(0, 0), (0, 1 << 20), (64 << 10, 0), (1 << 20, 1 << 20)];
/// Votes after which a disk of that size is surely full.
const MANY: usize = 20_000;
/// From the moment that there is room again.
const RECOVERY: Duration = Duration::from_secs(10);

#[test]
fn on_a_full_disk_no_acknowledged_vote_is_lost() {
    let folder = tempfile::tempdir().expect("a folder");
    let mount = "mount -t tmpfs -o size=16m tmpfs \"$0\" && exec \"$@\"";
    let mut command = std::process::Command::new("unshare");
    command.args(["--user", "--map-root-user", "--mount", "sh", "-c", mount]).arg(folder.path());
    command.arg(std::env::current_exe().expect("this program"));
    command.args(["--exact", "disk::inside_a_small_disk", "--ignored", "--nocapture"]);
    let done = command.env(SMALL_DISK, folder.path()).output().expect("unshare");
    let said = String::from_utf8_lossy(&done.stdout) + String::from_utf8_lossy(&done.stderr);
    assert!(done.status.success() && said.contains("1 passed"), "{said}");
}

/// Writes until no more than this is free.
fn fill(path: &Path, left: u64) {
    let mut file = fs::File::create(path).expect("a file");
    let block = vec![1; 4096];
    while plaudit::store::free_bytes(path).expect("known") > left && file.write_all(&block).is_ok() {}
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "run by on_a_full_disk_no_acknowledged_vote_is_lost"]
async fn inside_a_small_disk() {
    let disk = PathBuf::from(std::env::var(SMALL_DISK).expect("set by the test that runs this one"));
    for (left, ballast) in FILL_POINTS {
        let data = tempfile::tempdir_in(&disk).expect("a folder");
        let store = attached(data.path()).await;
        let key = key(&store, Role::Client).await;
        let image = pictures(&store, &key.owner, 1).await.remove(0);
        let app = TestApp::over(data, &["--feedback-rate", "0"]).await;
        // Whoever made the file: the server gives it back.
        store.set_ballast(ballast).expect("there is room yet");
        let scene = Scene { store, app, key, images: vec![image] };
        let filler = disk.join("filler");
        fill(&filler, left);
        let (acknowledged, refusal) = vote_until_full(&scene).await;
        assert_eq!((refusal.0, refusal.1.as_str()), (507, "disk_full"), "{left} bytes left, {ballast} of ballast");
        assert_eq!(scene.app.get("/livez").await.status(), 200);
        assert!(scene.standing().await.len() <= 1, "it still reads");

        fs::remove_file(&filler).expect("room again");
        let since = Instant::now();
        while scene.vote(json!({"image_id": image, "rating": "up", "rater": "late"})).await.status() != 201 {
            assert!(since.elapsed() < RECOVERY, "{left} bytes left, {ballast} of ballast: no vote is taken again");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        let log = events(&scene.store, "vote").await;
        let written: Vec<i64> = log.iter().map(|event| event.sequence).collect();
        assert!(acknowledged.iter().all(|sequence| written.contains(sequence)), "lost on {left}, {ballast}");
        eprintln!("{left} bytes left, {ballast} of ballast: {} votes, then 507, then again", acknowledged.len());
    }
}

/// Places of those that were acknowledged, and what the first other one was told.
async fn vote_until_full(scene: &Scene) -> (Vec<i64>, (u16, String, Option<String>)) {
    let comment = "x".repeat(2000);
    let mut acknowledged = Vec::new();
    for number in 0..MANY {
        let rating = if number % 2 == 0 { "up" } else { "down" };
        let body = json!({"image_id": scene.images[0], "rating": rating, "rater": "u", "comment": comment});
        let answer = scene.vote(body).await;
        if answer.status() != 201 {
            return (acknowledged, refused(answer).await);
        }
        acknowledged.push(counted(answer).await["sequence"].as_i64().expect("a place"));
    }
    panic!("{MANY} votes found room");
}
