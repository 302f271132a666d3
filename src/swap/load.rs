//! A version becomes ready to serve, on a thread of its own that stands back behind what serves.

use std::{
    path::Path,
    sync::Arc,
    time::{Duration, Instant},
};

use plaudit_onnx::Model;
use tokio::sync::oneshot;

use super::{SwapError, SwapSettings, memory};
use crate::{
    engine::{Engine, Generator},
    metrics::Metrics,
    pack::{Component, Pack, verify_components},
    runtime::SessionSettings,
    scoring::{Scorer, ServedReward},
};

/// Runs `work` behind what serves.
pub(super) async fn behind<T: Send + 'static>(
    niceness: u8,
    work: impl FnOnce() -> Result<T, SwapError> + Send + 'static,
) -> Result<T, SwapError> {
    let (told, heard) = oneshot::channel();
    let run = move || {
        stand_back(niceness);
        let _ = told.send(work());
    };
    std::thread::Builder::new().name("swap".into()).spawn(run).map_err(|_| SwapError::Thread)?;
    heard.await.map_err(|_| SwapError::Thread)?
}

/// Makes the calling thread, and threads that it starts, give way to others.
fn stand_back(niceness: u8) {
    #[cfg(target_os = "linux")]
    // SAFETY: changes the scheduling of this thread only.
    unsafe {
        // Who may not is as quick as the others.
        libc::setpriority(libc::PRIO_PROCESS, 0, niceness.into());
    }
    #[cfg(not(target_os = "linux"))]
    let _ = niceness;
}

/// A session's settings for a single check.
fn checking() -> SessionSettings {
    SessionSettings { threads: 1, spinning: false, ..SessionSettings::default() }
}

/// Verifies a generator, hashes and golden outputs, as far as the engine has not loaded the same files already; then opens it.
/// With `drain` what serves is taken out of memory before, and the new version serves when this returns.
pub(super) fn generator(
    folder: &Path,
    engine: &Engine,
    settings: &SwapSettings,
    metrics: &Metrics,
    drain: bool,
) -> Result<Arc<Generator>, SwapError> {
    let pack = Pack::open(folder)?;
    let missing = engine.missing(&pack);
    // What scores is the pack's of the start.
    let drawn = |component: &Component| !matches!(component, Component::ClipText | Component::ClipVision);
    let weights = missing.iter().filter(|(component, _)| drawn(component)).map(|(_, model)| weights(model)).sum();
    if !drain {
        memory::admit(weights, settings)?;
    }
    let began = Instant::now();
    let missing: Vec<Component> = missing.into_iter().map(|(component, _)| component).collect();
    verify_components(&pack, &missing, &checking(), |_| ())?;
    observe(metrics, "verify", began);
    match drain {
        false => Ok(engine.open(&pack)?),
        true => Ok(engine.replace(&pack, Duration::from_secs(settings.drain_timeout))?),
    }
}

/// Bytes of a graph's weights.
fn weights(model: &Model) -> u64 {
    model.graph.initializers.values().map(|tensor| tensor.data.len() as u64).sum()
}

/// Verifies and opens a reward.
pub(super) fn reward(folder: &Path, scorer: &Scorer, metrics: &Metrics) -> Result<Arc<ServedReward>, SwapError> {
    let began = Instant::now();
    let opened = scorer.open_reward(folder).map_err(SwapError::Reward)?;
    observe(metrics, "load", began);
    Ok(opened)
}

pub(super) fn observe(metrics: &Metrics, phase: &str, began: Instant) {
    metrics.swap_seconds.with_label_values(&[phase]).observe(began.elapsed().as_secs_f64());
}
