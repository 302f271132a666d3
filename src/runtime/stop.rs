//! Ending a run from another thread.

use ort::session::RunOptions;

use super::RuntimeError;

/// Ends the runs that were given it, at their next operator. It stays told, so each run needs a fresh one.
pub struct Stop(pub(super) RunOptions);

impl std::fmt::Debug for Stop {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Stop")
    }
}

impl Stop {
    /// One that is not told yet.
    ///
    /// # Errors
    /// If the runtime refuses; it must have been used before, by a session.
    pub fn new() -> Result<Self, RuntimeError> {
        RunOptions::new().map(Self).map_err(RuntimeError::run)
    }

    /// Ends its runs.
    ///
    /// # Errors
    /// If the runtime refuses.
    pub fn now(&self) -> Result<(), RuntimeError> {
        self.0.terminate().map_err(RuntimeError::run)
    }
}
