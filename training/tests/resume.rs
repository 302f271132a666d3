//! kill -9 at any moment, then resume: nothing is lost but time.

mod support;

use std::{
    fs,
    path::Path,
    process::{Child, Command, Stdio},
    time::{Duration, Instant, SystemTime},
};

use plaudit_training::{
    progress::{Run, RunSettings},
    random::Random,
    step::Which,
};

const STEPS: u64 = 1500;
const CHECKPOINT_EVERY: u64 = 7;
const KILLS: usize = 6;
/// Names the worker's run directory; only set in its process.
const DIRECTORY: &str = "PLAUDIT_TEST_RUN";
/// A worker that has not got to the next kill by then hangs.
const PATIENCE: Duration = Duration::from_secs(120);

/// Trains in `directory` to the end, from wherever it stands, and leaves the weights in `weights.json`.
fn train(directory: &Path) {
    let mut trainer = support::trainer(support::settings());
    let settings = RunSettings {
        checkpoint_every: CHECKPOINT_EVERY,
        show: false,
        ..RunSettings::new(directory, "regression", STEPS)
    };
    let mut run = Run::open(settings, &mut trainer).expect("a run");
    while !run.is_done(&trainer) {
        let report = trainer.step(support::fill).expect("a step");
        run.record(&trainer, &report).expect("a record");
    }
    run.finish(&trainer).expect("an end");
    let weights = [Which::Current, Which::Average].map(|which| {
        trainer
            .weights(which)
            .into_iter()
            .map(|(name, tensor)| (name, tensor.to_f32().expect("f32")))
            .collect::<Vec<_>>()
    });
    fs::write(directory.join("weights.json"), serde_json::to_vec(&weights).expect("JSON")).expect("weights");
}

/// Not a test: the process that the test below kills.
#[test]
#[ignore = "the worker of the test below"]
fn worker() {
    if let Some(directory) = std::env::var_os(DIRECTORY) {
        train(Path::new(&directory));
    }
}

fn start(directory: &Path) -> Child {
    let mut command = Command::new(std::env::current_exe().expect("this test's own file"));
    command.args(["--exact", "worker", "--ignored"]).env(DIRECTORY, directory);
    command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("a worker")
}

fn lines(directory: &Path) -> usize {
    fs::read(directory.join("metrics.jsonl")).map_or(0, |bytes| bytes.iter().filter(|&&byte| byte == b'\n').count())
}

/// Kills the worker once it has written `lines` lines, and a moment later.
fn kill_after(directory: &Path, target: usize, moment: Duration) {
    let (mut worker, began) = (start(directory), Instant::now());
    while lines(directory) < target {
        assert!(began.elapsed() < PATIENCE, "the worker hangs at line {}", lines(directory));
        assert!(worker.try_wait().expect("a state").is_none(), "the worker ended before line {target}");
        std::thread::sleep(Duration::from_millis(1));
    }
    std::thread::sleep(moment);
    worker.kill().expect("SIGKILL");
    worker.wait().expect("an end");
}

#[test]
fn killed_six_times_at_random_moments_a_run_ends_as_one_never_killed() {
    let (whole, killed) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    train(whole.path());
    let seed = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap().subsec_nanos();
    println!("seed of the kills: {seed}");
    let mut random = Random::new(u64::from(seed));
    for kill in 0..KILLS {
        let target = (STEPS as usize - 200) * (kill + 1) / (KILLS + 1) + random.below(100);
        kill_after(killed.path(), target, Duration::from_micros(random.below(3000) as u64));
    }
    assert!(start(killed.path()).wait().unwrap().success());
    let read = |folder: &Path, name: &str| fs::read_to_string(folder.join(name)).unwrap();
    let (expected, found) = (read(whole.path(), "metrics.jsonl"), read(killed.path(), "metrics.jsonl"));
    assert_eq!(expected.lines().count() as u64, STEPS);
    let differs = expected.lines().zip(found.lines()).find(|(expected, found)| expected != found);
    assert_eq!(differs, None);
    assert!(expected == found, "as many lines, the same bytes");
    assert!(read(whole.path(), "weights.json") == read(killed.path(), "weights.json"), "the same weights and averages");
}
