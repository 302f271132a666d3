//! A version becomes ready to serve, on a thread of its own that stands back behind what serves.

use std::{
    path::Path,
    sync::Arc,
    time::{Duration, Instant},
};

use plaudit_onnx::Model;
use tokio::sync::oneshot;

use super::{Moment, SwapError, SwapSettings, memory, pass};
use crate::{
    engine::{Engine, Generator},
    metrics::Metrics,
    pack::{Component, Pack, verify_files, verify_golden},
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
/// With `drain` what serves is taken out of memory before the golden outputs are computed, and the new version serves when this
/// returns. CLIP is not among it: the scorer's own stays, so another one is refused.
pub(super) fn generator(
    folder: &Path,
    engine: &Engine,
    scorer: Option<&Scorer>,
    settings: &SwapSettings,
    metrics: &Metrics,
    drain: bool,
) -> Result<Arc<Generator>, SwapError> {
    let pack = Pack::open(folder)?;
    if let Some(scorer) = scorer.filter(|scorer| !scorer.is_of(&pack)) {
        return Err(SwapError::OtherClip(scorer.clip_version().to_owned()));
    }
    // What left is not counted as taken.
    engine.release();
    let drawn = |component: &Component| !matches!(component, Component::ClipText | Component::ClipVision);
    let missing: Vec<_> = engine.missing(&pack).into_iter().filter(|(component, _)| drawn(component)).collect();
    if !drain {
        memory::admit(missing.iter().map(|(_, model)| weights(model)).sum(), settings)?;
    }
    let missing: Vec<Component> = missing.into_iter().map(|(component, _)| component).collect();
    let began = Instant::now();
    verify_files(&pack, &missing, |_| ())?;
    let hashed = began.elapsed();
    let verify = || {
        let began = Instant::now();
        verify_golden(&pack, &missing, &checking(), |_| ())?;
        metrics.swap_seconds.with_label_values(&["verify"]).observe((hashed + began.elapsed()).as_secs_f64());
        pass(Moment::Verified);
        Ok(())
    };
    if drain {
        let verify = || {
            pass(Moment::Drained);
            verify()
        };
        return Ok(engine.replace(&pack, Duration::from_secs(settings.drain_timeout), verify)?);
    }
    verify()?;
    let opened = engine.open(&pack)?;
    pass(Moment::Opened);
    Ok(opened)
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
