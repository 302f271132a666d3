//! ONNX Runtime's process-wide state, made on first use.

use std::{
    sync::{Mutex, OnceLock, PoisonError},
    thread::available_parallelism,
};

use ort::{
    environment::{Environment, GlobalThreadPoolOptions},
    logging::LogLevel,
};

use super::{RuntimeError, library, trim};

/// ONNX Runtime allows one environment a process, so it lives until the process ends.
static ENVIRONMENT: Mutex<Option<Environment>> = Mutex::new(None);

/// What sessions that share threads get: the number, and whether idle ones wait busily.
static SHARED: OnceLock<(usize, bool)> = OnceLock::new();

/// Sets how many threads the sessions that share threads get (0: one for each core), and whether idle ones wait busily.
/// Holds for the process; `false` when it was set before, or the library is in use already.
pub fn share_threads(threads: usize, spinning: bool) -> bool {
    let slot = ENVIRONMENT.lock().unwrap_or_else(PoisonError::into_inner);
    slot.is_none() && SHARED.set((threads, spinning)).is_ok()
}

/// The process's environment; a failure is not remembered, so a caller may put the library right and try again.
pub(super) fn environment() -> Result<Environment, RuntimeError> {
    let mut slot = ENVIRONMENT.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(environment) = &*slot {
        return Ok(environment.clone());
    }
    let environment = create()?;
    *slot = Some(environment.clone());
    Ok(environment)
}

fn create() -> Result<Environment, RuntimeError> {
    let path = library::locate()?;
    let unusable = |reason: String| RuntimeError::LibraryUnusable { path: path.clone(), reason };
    let builder = ort::init_from(&path).map_err(|error| unusable(error.to_string()))?;
    let mut builder = builder.with_name("plaudit").with_telemetry(false);
    if let Some(&(threads, spinning)) = SHARED.get() {
        let pool = pool(threads, spinning).map_err(|error| unusable(error.to_string()))?;
        builder = builder.with_global_thread_pool(pool);
    }
    let built = builder.build();
    let environment = built.map_err(|error| unusable(error.to_string()))?;
    // Below this ONNX Runtime reports every initializer that its optimiser removes.
    environment.set_log_level(LogLevel::Error);
    trim::return_large_blocks_at_once();
    tracing::debug!(library = %path.display(), "ONNX Runtime is loaded");
    Ok(environment)
}

fn pool(threads: usize, spinning: bool) -> Result<GlobalThreadPoolOptions, ort::Error> {
    let cores = available_parallelism().map_or(1, usize::from);
    let threads = if threads == 0 { cores } else { threads };
    GlobalThreadPoolOptions::default().with_intra_threads(threads)?.with_spin_control(spinning)
}

/// ONNX Runtime's own description of its build.
///
/// # Errors
/// If the library is not found or cannot be loaded.
pub fn library_version() -> Result<String, RuntimeError> {
    environment()?;
    Ok(ort::info().to_owned())
}
