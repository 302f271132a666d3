//! Swaps while clients draw: none of them notices.

use std::{
    collections::HashMap,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::Instant,
};

use super::*;

const CLIENTS: u64 = 4;
/// Seeds that clients draw, so that each picture can be compared with the version's own.
const SEEDS: u64 = 4;

const UNLIMITED: &[&str] = &["--limits-rate", "0", "--limits-sessions", "1000000"];

/// A seed's picture, coded.
type Known = HashMap<(String, u64), String>;

async fn draw(scene: &Scene, seed: u64) -> (u16, Value) {
    let body = harness::with(json!({"seed": seed, "num_inference_steps": 1}));
    said(scene.app.post("/v1/images/generations", body).await).await
}

/// What each version draws of each seed, by asking for the version.
async fn known(scene: &Scene, version: &VersionId, known: &mut Known) {
    for seed in 0..SEEDS {
        let (status, made) = draw(scene, seed).await;
        assert_eq!((status, &made["model_version"]), (200, &json!(version)), "{made}");
        known.insert((version.to_string(), seed), picture(&made));
    }
}

fn picture(made: &Value) -> String {
    made["data"][0]["b64_json"].as_str().expect("a picture").to_owned()
}

/// Clients draw without a pause, first in calm, then while versions are promoted to and fro; the times of their requests, those during
/// a swap apart.
async fn swap_under_load(scene: Scene, swaps: usize, requests: usize, calm: usize) {
    let scene = Arc::new(scene);
    let (first, second) = (scene.first.clone(), scene.tuned(0.1).await);
    let mut pictures = Known::new();
    known(&scene, &first, &mut pictures).await;
    assert_eq!(scene.promote(Kind::Generator, &second, &first).await.status(), 200);
    known(&scene, &second, &mut pictures).await;
    let (pictures, over, done) = (Arc::new(pictures), Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
    let swapping = Arc::new(AtomicBool::new(false));
    let clients: Vec<_> = (0..CLIENTS)
        .map(|client| {
            let (scene, pictures) = (scene.clone(), pictures.clone());
            let (over, done, swapping) = (over.clone(), done.clone(), swapping.clone());
            tokio::spawn(async move {
                let (mut during, mut between) = (Vec::new(), Vec::new());
                let mut seed = client;
                while !over.load(Ordering::Relaxed) {
                    seed = (seed + 1) % SEEDS;
                    let (busy, began) = (swapping.load(Ordering::Relaxed), Instant::now());
                    let (status, made) = draw(&scene, seed).await;
                    let took = began.elapsed().as_secs_f64();
                    assert_eq!(status, 200, "{made}");
                    let version = made["model_version"].as_str().expect("a version").to_owned();
                    let expected = pictures.get(&(version.clone(), seed)).expect("one of the two");
                    assert!(*expected == picture(&made), "a picture of {version} that it does not draw");
                    if busy || swapping.load(Ordering::Relaxed) {
                        during.push(took)
                    } else {
                        between.push(took)
                    }
                    done.fetch_add(1, Ordering::Relaxed);
                }
                (during, between)
            })
        })
        .collect();
    let (mut serving, mut other) = (second, first);
    let each = requests / swaps.max(1);
    let mut stale = 0;
    for swap in 0..swaps {
        while done.load(Ordering::Relaxed) < calm + swap * each {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        swapping.store(true, Ordering::Relaxed);
        let answer = scene.promote(Kind::Generator, &other, &serving).await;
        swapping.store(false, Ordering::Relaxed);
        assert_eq!(answer.status(), 200, "swap {swap}");
        std::mem::swap(&mut serving, &mut other);
        // From here on no new request may be drawn by the version before.
        let (_, made) = draw(&scene, 0).await;
        stale += usize::from(made["model_version"] != serving.as_str());
    }
    while done.load(Ordering::Relaxed) < calm + requests {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    over.store(true, Ordering::Relaxed);
    let (mut during, mut between) = (Vec::new(), Vec::new());
    for client in clients {
        let (of_swaps, of_peace) = client.await.expect("no request failed, and each picture was one version's");
        during.extend(of_swaps);
        between.extend(of_peace);
    }
    assert_eq!(stale, 0);
    let p99 = |times: &mut Vec<f64>| {
        times.sort_by(f64::total_cmp);
        times.get(times.len() * 99 / 100).copied().unwrap_or(f64::NAN)
    };
    println!(
        "{swaps} swaps, {} requests: p99 {:.4} s during swaps ({}), {:.4} s between ({})",
        during.len() + between.len(),
        p99(&mut during),
        during.len(),
        p99(&mut between),
        between.len(),
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn no_request_fails_and_every_picture_is_one_versions_while_versions_are_swapped() {
    swap_under_load(Scene::with(UNLIMITED).await, 6, 120, 0).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "eight minutes: 100 swaps (PLAUDIT_SWAPS) under 10,000 requests and more, with the p99 that requests see"]
async fn a_hundred_swaps_under_load() {
    let swaps = std::env::var("PLAUDIT_SWAPS").map_or(100, |many| many.parse().expect("a number of swaps"));
    // Nothing is kept warm: each swap verifies, loads and warms.
    let scene = Scene::as_served(&[UNLIMITED, &["--swap-keep-warm", "0"]].concat()).await;
    swap_under_load(scene, swaps, 100 * swaps, 2_000).await;
}
