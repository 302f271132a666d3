//! Votes over HTTP at a constant rate against a server in a process of its own (promise 17).
//!
//! `cargo bench --bench votes -- [--rate VOTES/S] [--seconds S] [--batch VOTES] [--data DIR] [--database URL]`
//!
//! The load is open: requests are due at fixed times, whatever became of those before, and a request's latency counts from
//! the time it was due. Every vote has an `Idempotency-Key` of its own. At the end the votes in the database are counted.
#![allow(missing_docs)]

mod client;
mod server;

use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use anyhow::{Context, Result, ensure};
use tokio::time::Instant;

use client::Client;
use server::Scene;

/// Connections that are open at a time; a request that is due waits for a free one, and its latency counts the wait.
const CONNECTIONS: usize = 128;
/// Seconds at the beginning that are not measured.
const WARM_UP: f64 = 3.0;

struct Arguments {
    rate: f64,
    seconds: f64,
    batch: usize,
    data: Option<String>,
    database: Option<String>,
}

fn arguments() -> Result<Arguments> {
    let mut found = Arguments { rate: 2000.0, seconds: 30.0, batch: 1, data: None, database: None };
    let mut given = std::env::args().skip(1).filter(|argument| argument != "--bench");
    while let Some(name) = given.next() {
        let value = given.next().with_context(|| format!("{name} has no value"))?;
        match name.as_str() {
            "--rate" => found.rate = value.parse()?,
            "--seconds" => found.seconds = value.parse()?,
            "--batch" => found.batch = value.parse()?,
            "--data" => found.data = Some(value),
            "--database" => found.database = Some(value),
            other => anyhow::bail!("there is no argument {other}"),
        }
    }
    ensure!(found.rate > 0.0 && found.seconds > 0.0 && found.batch > 0, "rate, seconds and batch are above 0");
    Ok(found)
}

/// One request: when it was due, how long it took, its status.
struct Sample {
    due: f64,
    seconds: f64,
    status: u16,
}

#[tokio::main]
async fn main() -> Result<()> {
    let arguments = arguments()?;
    let scene = Arc::new(Scene::start(arguments.data.as_deref(), arguments.database.as_deref()).await?);
    let rate = arguments.rate / arguments.batch as f64;
    let requests = (rate * (WARM_UP + arguments.seconds)) as u64;
    let (next, began) = (Arc::new(AtomicU64::new(0)), Instant::now());
    let workers = (0..CONNECTIONS).map(|_| {
        let (scene, next, batch) = (scene.clone(), next.clone(), arguments.batch);
        tokio::spawn(async move { work(&scene, &next, requests, rate, batch, began).await })
    });
    let mut samples = Vec::new();
    for worker in workers.collect::<Vec<_>>() {
        samples.extend(worker.await??);
    }
    let elapsed = began.elapsed().as_secs_f64();
    report(&arguments, &samples, elapsed);
    let accepted = samples.iter().filter(|sample| sample.status == 201).count() * arguments.batch;
    let written = Arc::into_inner(scene).context("workers have ended")?.count().await?;
    println!("acknowledged {accepted}, in the database {written}");
    ensure!(accepted == written, "votes were lost or doubled");
    Ok(())
}

async fn work(
    scene: &Scene,
    next: &AtomicU64,
    requests: u64,
    rate: f64,
    batch: usize,
    began: Instant,
) -> Result<Vec<Sample>> {
    let mut client = Client::connect(scene.address).await?;
    let mut samples = Vec::new();
    loop {
        let number = next.fetch_add(1, Ordering::Relaxed);
        if number >= requests {
            return Ok(samples);
        }
        let due = number as f64 / rate;
        let moment = began + Duration::from_secs_f64(due);
        let request = scene.request(number, batch);
        tokio::time::sleep_until(moment).await;
        let status = client.send(&request).await?;
        samples.push(Sample { due, seconds: moment.elapsed().as_secs_f64(), status });
    }
}

fn report(arguments: &Arguments, samples: &[Sample], elapsed: f64) {
    let mut measured: Vec<f64> =
        samples.iter().filter(|sample| sample.due >= WARM_UP).map(|sample| sample.seconds * 1e3).collect();
    measured.sort_by(f64::total_cmp);
    let quantile = |q: f64| measured.get(((measured.len() as f64 - 1.0) * q) as usize).copied().unwrap_or(f64::NAN);
    let mut statuses: BTreeMap<u16, usize> = BTreeMap::new();
    for sample in samples {
        *statuses.entry(sample.status).or_default() += 1;
    }
    let votes = samples.len() * arguments.batch;
    println!("offered {:.0} votes/s in requests of {} for {:.0} s", arguments.rate, arguments.batch, arguments.seconds);
    println!("served {:.0} votes/s; statuses {statuses:?}", votes as f64 / elapsed);
    let [half, most, nearly_all, worst] = [0.5, 0.99, 0.999, 1.0].map(quantile);
    println!("latency in ms: p50 {half:.2}, p99 {most:.2}, p99.9 {nearly_all:.2}, worst {worst:.2}");
}
