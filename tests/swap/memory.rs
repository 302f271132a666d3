//! What swaps take and give back. Linux only: elsewhere nobody tells how much memory a process has.
#![cfg(target_os = "linux")]

use std::{
    fs,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::Duration,
};

use plaudit_onnx::Tensor;

use super::*;

const MIB: f64 = 1024.0;
/// Memory that is no page of a file.
const OWN: &str = "RssAnon:";

/// MiB of a line of the process's status.
fn status(name: &str) -> f64 {
    let text = fs::read_to_string("/proc/self/status").expect("the process's status");
    let line = text.lines().find_map(|line| line.strip_prefix(name)).expect("the line");
    line.split_whitespace().next().and_then(|word| word.parse::<f64>().ok()).expect("a number") / MIB
}

/// The most that the process had since [`forget_peak`].
fn peak() -> f64 {
    status("VmHWM:")
}

fn forget_peak() {
    /// Of clear_refs: resets the high-water mark.
    const PEAK: &str = "5";
    fs::write("/proc/self/clear_refs", PEAK).expect("the mark is reset");
}

/// The most memory of its own, in MiB, that the process has while `work` goes on. Pages of files that are mapped are not among it: the system
/// takes them back when it needs them, so that they end no process.
async fn own_peak<T>(work: impl Future<Output = T>) -> (T, f64) {
    const EVERY: Duration = Duration::from_millis(2);
    let going = Arc::new(AtomicBool::new(true));
    let watched = Arc::clone(&going);
    let watcher = thread::spawn(move || {
        let mut most = 0.0_f64;
        while watched.load(Ordering::Relaxed) {
            most = most.max(status(OWN));
            thread::sleep(EVERY);
        }
        most
    });
    let done = work.await;
    going.store(false, Ordering::Relaxed);
    (done, watcher.join().expect("the watcher"))
}

/// A version that no server takes.
async fn broken(scene: &Scene) -> VersionId {
    let folder = tempfile::tempdir().expect("a folder");
    packs::tuned(folder.path(), 0.3);
    packs::edit(folder.path(), plaudit::pack::Component::Unet, |model| {
        let bias = model.graph.initializers.iter_mut().find(|(name, _)| name.ends_with("conv_out.bias"));
        let (_, bias) = bias.expect("a last bias");
        let shape = bias.shape.clone();
        *bias = Tensor::f32(&shape, &vec![f32::NAN; shape.iter().product()]);
    });
    packs::recompute(folder.path());
    scene.publish(folder.path()).await
}

/// Swaps to and fro, a refused one between two; MiB a swap that the process has more at the end.
async fn leak(versions: [VersionId; 2], scene: &Scene, swaps: usize, warm_up: usize) -> f64 {
    let broken = broken(scene).await;
    let [mut other, mut serving] = versions;
    let mut before = 0.0;
    for swap in 0..warm_up + swaps {
        if swap == warm_up {
            before = status("VmRSS:");
        }
        assert_eq!(scene.promote(Kind::Generator, &other, &serving).await.status(), 200, "swap {swap}");
        std::mem::swap(&mut other, &mut serving);
        assert_eq!(scene.promote(Kind::Generator, &broken, &serving).await.status(), 422, "swap {swap}");
        assert_eq!(scene.drawn_by().await, serving.as_str());
    }
    let after = status("VmRSS:");
    println!("{swaps} swaps and {swaps} refusals: {before:.1} MiB before, {after:.1} MiB after");
    (after - before) / swaps as f64
}

const COLD: &[&str] = &["--swap-keep-warm", "0", "--limits-rate", "0", "--limits-sessions", "1000000"];

#[tokio::test(flavor = "multi_thread")]
async fn swaps_and_refusals_give_their_memory_back() {
    let scene = Scene::with(COLD).await;
    let tuned = scene.tuned(0.1).await;
    let each = leak([tuned, scene.first.clone()], &scene, 6, 4).await;
    // A session of the denoiser is 12 MiB and more.
    assert!(each < 4.0, "{each} MiB a swap");
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "some minutes: 200 swaps and 200 refusals"]
async fn two_hundred_swaps_and_refusals_leak_nothing() {
    let scene = Scene::with(COLD).await;
    let tuned = scene.tuned(0.1).await;
    let each = leak([tuned, scene.first.clone()], &scene, 200, 20).await;
    println!("{each:.4} MiB a swap");
    assert!(each <= 0.05, "{each} MiB a swap");
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "some minutes: versions of 500 MiB, 20 swaps and 20 refusals, or PLAUDIT_SWAPS of each"]
async fn large_versions_are_admitted_by_what_they_take_and_leak_nothing() {
    const MEBIBYTES: usize = 512;
    let scene = Scene::with(COLD).await;
    let mut heavy = Vec::new();
    for seed in [1, 2] {
        let folder = tempfile::tempdir().expect("a folder");
        packs::heavy(folder.path(), MEBIBYTES, seed);
        heavy.push(scene.publish(folder.path()).await);
    }
    assert_eq!(scene.promote(Kind::Generator, &heavy[0], &scene.first).await.status(), 200);
    scene.drawn_by().await;
    let (old, old_own) = (status("VmRSS:"), status(OWN));
    forget_peak();
    let (answer, own) = own_peak(scene.promote(Kind::Generator, &heavy[1], &heavy[0])).await;
    assert_eq!(answer.status(), 200);
    scene.drawn_by().await;
    let (most, new) = (peak(), MEBIBYTES as f64);
    println!("{old:.0} MiB before, {most:.0} MiB at most: old + {:.2} × new", (most - old) / new);
    println!(
        "without mapped files {old_own:.0} MiB before, {own:.0} MiB at most: old + {:.2} × new",
        (own - old_own) / new
    );
    let factor = plaudit::swap::SwapSettings::default().memory_factor;
    assert!(own <= old_own + factor * new, "{own} MiB at most, {old_own} MiB before");
    for phase in ["verify", "load", "warm", "flip"] {
        let sum = scene.app.metric(&format!("plaudit_swap_seconds_sum{{phase=\"{phase}\"}}")).await;
        let count = scene.app.metric(&format!("plaudit_swap_seconds_count{{phase=\"{phase}\"}}")).await;
        println!("{phase}: {:.3} s", sum / count);
    }
    let swaps = std::env::var("PLAUDIT_SWAPS").ok().and_then(|text| text.parse().ok()).unwrap_or(20);
    let each = leak([heavy[0].clone(), heavy[1].clone()], &scene, swaps, 4).await;
    println!("{each:.4} MiB a swap");
    assert!(each <= 0.05, "{each} MiB a swap");
}
