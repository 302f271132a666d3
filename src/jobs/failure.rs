//! Why jobs fail, as their owners are told.

use super::JobFailure;
use crate::domain::JobId;

/// The code of what is nobody's concern but the operator's.
pub(super) const INTERNAL: &str = "internal_error";

impl JobFailure {
    /// A failure inside: its detail goes to the log, the owner gets what to quote.
    pub(super) fn internal(job: JobId, detail: impl std::fmt::Display) -> Self {
        tracing::error!(%job, "a job failed: {detail}");
        Self { code: INTERNAL.into(), message: String::new() }.shown(job)
    }

    /// As an owner may see it: earlier versions stored the detail of failures inside.
    pub(super) fn shown(self, job: JobId) -> Self {
        if self.code != INTERNAL {
            return self;
        }
        let message = format!("the server failed to draw this; its log says why, quote {job} to whoever runs it");
        Self { message, ..self }
    }

    /// The server died as often as it may while it drew this.
    pub(super) fn attempts_exhausted(attempts: u32) -> Self {
        let message = format!(
            "the server stopped unexpectedly each time it drew this; it was taken up again {attempts} times, no more \
             are tried"
        );
        Self { code: "attempts_exhausted".into(), message }
    }
}
