//! ONNX Runtime's process-wide state, made on first use.

use std::sync::{Mutex, PoisonError};

use ort::{environment::Environment, logging::LogLevel};

use super::{RuntimeError, library, trim};

/// ONNX Runtime allows one environment a process, so it lives until the process ends.
static ENVIRONMENT: Mutex<Option<Environment>> = Mutex::new(None);

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
    let built = builder.with_name("plaudit").with_telemetry(false).build();
    let environment = built.map_err(|error| unusable(error.to_string()))?;
    // Below this ONNX Runtime reports every initializer that its optimiser removes.
    environment.set_log_level(LogLevel::Error);
    trim::return_large_blocks_at_once();
    tracing::debug!(library = %path.display(), "ONNX Runtime is loaded");
    Ok(environment)
}

/// ONNX Runtime's own description of its build.
///
/// # Errors
/// If the library is not found or cannot be loaded.
pub fn library_version() -> Result<String, RuntimeError> {
    environment()?;
    Ok(ort::info().to_owned())
}
