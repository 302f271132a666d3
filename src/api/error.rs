//! One table of everything that can be wrong, and the envelope that tells it.

use std::{fmt, time::Duration};

use actix_web::{
    HttpResponse, ResponseError,
    http::{StatusCode, header},
};
use serde_json::json;

use crate::{
    engine::Refusal,
    feedback::TokenError,
    jobs::{JobError, JobFailure, SubmitError},
    pipeline::{PipelineError, schedule::ScheduleError},
    registry::RegistryError,
    store::{CastError, is_full},
    swap::SwapError,
    trial::TrialError,
};

macro_rules! codes {
    ($($(#[doc = $doc:literal])* $code:ident $name:literal $status:ident $kind:literal;)*) => {
        /// What can be wrong. The name is the contract with callers, the rest follows from it.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum Code {
            $($(#[doc = $doc])* $code,)*
        }

        impl Code {
            /// All of them.
            pub const ALL: &'static [Self] = &[$(Self::$code,)*];

            /// The name that callers see.
            pub fn name(self) -> &'static str {
                match self { $(Self::$code => $name,)* }
            }

            /// The HTTP status.
            pub fn status(self) -> StatusCode {
                match self { $(Self::$code => StatusCode::$status,)* }
            }

            /// OpenAI's `type`.
            pub fn kind(self) -> &'static str {
                match self { $(Self::$code => $kind,)* }
            }

            /// What it means.
            pub fn meaning(self) -> &'static str {
                match self { $(Self::$code => concat!($($doc),*).trim_ascii(),)* }
            }
        }
    };
}

codes! {
    /// A field has a value that cannot be used.
    InvalidValue "invalid_value" BAD_REQUEST "invalid_request_error";
    /// A field does not exist.
    UnknownField "unknown_field" BAD_REQUEST "invalid_request_error";
    /// The pack cannot draw this size.
    SizeNotSupported "size_not_supported" BAD_REQUEST "invalid_request_error";
    /// The pack's safety checker withheld every picture; change the prompt or the seed.
    ContentPolicyViolation "content_policy_violation" BAD_REQUEST "invalid_request_error";
    /// There is no key, or it is unknown or revoked.
    InvalidApiKey "invalid_api_key" UNAUTHORIZED "authentication_error";
    /// The caller may not do this.
    Forbidden "forbidden" FORBIDDEN "permission_error";
    /// This server did not make this token for this picture.
    TokenInvalid "token_invalid" FORBIDDEN "permission_error";
    /// The token is another rater's.
    TokenRaterMismatch "token_rater_mismatch" FORBIDDEN "permission_error";
    /// There is none of this name, or it is somebody else's.
    NotFound "not_found" NOT_FOUND "invalid_request_error";
    /// No model of this name is served.
    ModelNotFound "model_not_found" NOT_FOUND "invalid_request_error";
    /// The path has no such method; `Allow` names those it has.
    MethodNotAllowed "method_not_allowed" METHOD_NOT_ALLOWED "invalid_request_error";
    /// The body did not come in time.
    RequestTimeout "request_timeout" REQUEST_TIMEOUT "invalid_request_error";
    /// Somebody else changed it meanwhile: look at it, and ask again.
    VersionConflict "version_conflict" CONFLICT "invalid_request_error";
    /// There is no room for the version beside what serves.
    InsufficientMemory "insufficient_memory" CONFLICT "invalid_request_error";
    /// The job was called off while its caller waited.
    JobCancelled "job_cancelled" GONE "invalid_request_error";
    /// The job's time to live is over.
    JobExpired "job_expired" GONE "invalid_request_error";
    /// The token's time is over; the picture's job gives a new one.
    TokenExpired "token_expired" GONE "invalid_request_error";
    /// The version's files were removed to make room.
    VersionRetired "version_retired" GONE "invalid_request_error";
    /// The body, or the picture in it, is larger than this server takes.
    TooLarge "too_large" PAYLOAD_TOO_LARGE "invalid_request_error";
    /// The body has another type than the one that is read here.
    UnsupportedMediaType "unsupported_media_type" UNSUPPORTED_MEDIA_TYPE "invalid_request_error";
    /// The same `Idempotency-Key` came with another request.
    IdempotencyMismatch "idempotency_mismatch" UNPROCESSABLE_ENTITY "invalid_request_error";
    /// The version's files are damaged, compute something else than when it was made, or do not fit what serves.
    VersionRefused "version_refused" UNPROCESSABLE_ENTITY "invalid_request_error";
    /// This caller asks too often, or has too much waiting.
    RateLimited "rate_limited" TOO_MANY_REQUESTS "rate_limit_error";
    /// The server failed; its log says more, under the request's id.
    Internal "internal_error" INTERNAL_SERVER_ERROR "server_error";
    /// The server stopped unexpectedly each time it drew the job, as often as it may try.
    AttemptsExhausted "attempts_exhausted" INTERNAL_SERVER_ERROR "server_error";
    /// The queue is full.
    Overloaded "overloaded" SERVICE_UNAVAILABLE "server_error";
    /// The server is shutting down.
    Draining "draining" SERVICE_UNAVAILABLE "server_error";
    /// The server is not ready yet.
    NotReady "not_ready" SERVICE_UNAVAILABLE "server_error";
    /// The deadline passed, or cannot be met.
    DeadlineExceeded "deadline_exceeded" GATEWAY_TIMEOUT "server_error";
    /// The disk, or the quota of pictures, is full.
    DiskFull "disk_full" INSUFFICIENT_STORAGE "server_error";
}

impl Code {
    /// The code for an answer that came without one, by its status.
    pub(super) fn of_status(status: StatusCode) -> Self {
        let same = |code: &&Self| code.status() == status;
        let fallback = if status.is_server_error() { Self::Internal } else { Self::InvalidValue };
        // 404, 410 and 503 have several codes; the table lists the most general first but for 503.
        match status {
            StatusCode::SERVICE_UNAVAILABLE => Self::NotReady,
            _ => Self::ALL.iter().find(same).copied().unwrap_or(fallback),
        }
    }
}

/// What callers are told when something is wrong.
#[derive(Debug, Clone)]
pub struct ApiError {
    code: Code,
    message: String,
    param: Option<String>,
    retry_after: Option<Duration>,
    allow: Option<String>,
}

impl ApiError {
    /// An error with a message for people.
    pub fn new(code: Code, message: impl Into<String>) -> Self {
        Self { code, message: message.into(), param: None, retry_after: None, allow: None }
    }

    /// A value that cannot be used in a field.
    pub fn invalid(param: &str, message: impl fmt::Display) -> Self {
        Self::new(Code::InvalidValue, format!("{param}: {message}")).at(param)
    }

    /// A failure inside, whose cause goes to the log and not to the caller.
    pub fn internal(cause: impl fmt::Display) -> Self {
        tracing::error!(%cause, "a request failed");
        Self::new(Code::Internal, "the server failed; its log says more, under the id in x-request-id")
    }

    /// Names the field at fault.
    #[must_use]
    pub fn at(mut self, param: &str) -> Self {
        self.param = Some(param.to_owned());
        self
    }

    /// Says in which part of the request the field at fault is.
    #[must_use]
    pub(super) fn within(mut self, part: &str) -> Self {
        self.param = Some(self.param.map_or_else(|| part.to_owned(), |param| format!("{part}.{param}")));
        self
    }

    /// Says when to come back.
    #[must_use]
    pub fn retry_after(mut self, wait: Duration) -> Self {
        self.retry_after = Some(wait);
        self
    }

    /// Says which methods the path has.
    #[must_use]
    pub(super) fn allow(mut self, methods: String) -> Self {
        self.allow = Some(methods);
        self
    }

    /// What is wrong.
    pub fn code(&self) -> Code {
        self.code
    }

    /// For people.
    pub fn message(&self) -> &str {
        &self.message
    }

    /// OpenAI's envelope.
    pub fn envelope(&self) -> serde_json::Value {
        let Self { code, message, param, .. } = self;
        json!({"error": {"message": message, "type": code.kind(), "param": param, "code": code.name()}})
    }

    /// Whole seconds, at least one; 429 and 503 always carry it.
    fn wait(&self) -> Option<u64> {
        let always = matches!(self.code.status(), StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE);
        let wait = self.retry_after.or(always.then_some(Duration::ZERO))?;
        Some(wait.as_secs_f64().ceil().max(1.0) as u64)
    }
}

impl fmt::Display for ApiError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for ApiError {}

impl ResponseError for ApiError {
    fn status_code(&self) -> StatusCode {
        self.code.status()
    }

    fn error_response(&self) -> HttpResponse {
        let mut answer = HttpResponse::build(self.status_code());
        if let Some(wait) = self.wait() {
            answer.insert_header((header::RETRY_AFTER, wait));
        }
        if let Some(methods) = &self.allow {
            answer.insert_header((header::ALLOW, methods.as_str()));
        }
        if self.code == Code::InvalidApiKey {
            answer.insert_header((header::WWW_AUTHENTICATE, "Bearer"));
        }
        answer.json(self.envelope())
    }
}

impl From<PipelineError> for ApiError {
    fn from(error: PipelineError) -> Self {
        let message = error.to_string();
        match error {
            PipelineError::Size { .. } => Self::new(Code::SizeNotSupported, message).at("size"),
            PipelineError::Count { .. } => Self::invalid("n", message),
            PipelineError::Interval(..) => Self::invalid("guidance_interval", message),
            PipelineError::Strength(_) => Self::invalid("strength", message),
            PipelineError::Guidance(_) => Self::invalid("guidance_scale", message),
            PipelineError::Schedule(ScheduleError::Steps { .. }) => Self::invalid("num_inference_steps", message),
            PipelineError::Schedule(_) => Self::invalid("scheduler", message),
            PipelineError::Tokenize(_) => Self::invalid("prompt", message),
            PipelineError::Missing(_) => Self::invalid("image", message),
            _ => Self::internal(message),
        }
    }
}

impl From<Refusal> for ApiError {
    fn from(refusal: Refusal) -> Self {
        let message = refusal.to_string();
        match refusal {
            Refusal::Invalid(error) => error.into(),
            Refusal::ClientFull { retry_after, .. } => Self::new(Code::RateLimited, message).retry_after(retry_after),
            Refusal::Full { retry_after, .. } | Refusal::Swapping { retry_after } => {
                Self::new(Code::Overloaded, message).retry_after(retry_after)
            }
            Refusal::Late { retry_after: Some(wait), .. } => Self::new(Code::Overloaded, message).retry_after(wait),
            Refusal::Late { retry_after: None, .. } => Self::new(Code::DeadlineExceeded, message),
            Refusal::Draining => Self::draining(),
            Refusal::Broken => Self::new(Code::Internal, message),
        }
    }
}

impl ApiError {
    /// The server takes no new work.
    pub(crate) fn draining() -> Self {
        Self::new(Code::Draining, "the server is shutting down; ask again, another one may answer")
    }
}

impl From<SubmitError> for ApiError {
    fn from(error: SubmitError) -> Self {
        match error {
            SubmitError::Refused(refusal) => refusal.into(),
            SubmitError::UnknownModel(_) => Self::new(Code::ModelNotFound, error.to_string()).at("model"),
            SubmitError::IdempotencyMismatch => Self::new(Code::IdempotencyMismatch, error.to_string()),
            SubmitError::DiskFull(_) => Self::new(Code::DiskFull, error.to_string()),
            SubmitError::Store(error) => error.into(),
        }
    }
}

impl From<TokenError> for ApiError {
    fn from(error: TokenError) -> Self {
        let code = match error {
            TokenError::Invalid => Code::TokenInvalid,
            TokenError::Expired => Code::TokenExpired,
        };
        Self::new(code, error.to_string()).at("token")
    }
}

impl From<CastError> for ApiError {
    fn from(error: CastError) -> Self {
        match error {
            CastError::Gone(_) => Self::new(Code::NotFound, error.to_string()).at("image_id"),
            CastError::KeyReused => Self::new(Code::IdempotencyMismatch, error.to_string()),
            CastError::Store(error) if is_full(&error) => {
                Self::new(Code::DiskFull, "the disk is full: the vote is not counted; send it again later")
            }
            CastError::Store(error) => error.into(),
        }
    }
}

impl From<RegistryError> for ApiError {
    fn from(error: RegistryError) -> Self {
        let message = error.to_string();
        match error {
            RegistryError::NotFound { .. } => Self::new(Code::NotFound, message).at("version"),
            RegistryError::Retired { .. } => Self::new(Code::VersionRetired, message).at("version"),
            RegistryError::Conflict { .. } => Self::new(Code::VersionConflict, message).at("expected"),
            RegistryError::IsChampion { .. } | RegistryError::NoEarlier { .. } | RegistryError::NoCandidate { .. } => {
                Self::new(Code::VersionConflict, message)
            }
            RegistryError::NeverChampion { .. } => Self::invalid("to", message),
            RegistryError::Said { field, .. } => Self::new(Code::InvalidValue, message).at(field),
            RegistryError::Signature { .. } => Self::new(Code::Forbidden, message).at("version"),
            _ => Self::internal(message),
        }
    }
}

impl From<SwapError> for ApiError {
    fn from(error: SwapError) -> Self {
        match error {
            SwapError::Registry(error) => error.into(),
            SwapError::NoRoom(_) => Self::new(Code::InsufficientMemory, error.to_string()).at("drain"),
            SwapError::Thread => Self::internal(error),
            SwapError::Pack(_)
            | SwapError::Load(_)
            | SwapError::Reward(_)
            | SwapError::NoClip
            | SwapError::OtherClip(_)
            | SwapError::Refused { .. } => Self::new(Code::VersionRefused, error.to_string()).at("version"),
        }
    }
}

impl From<TrialError> for ApiError {
    fn from(error: TrialError) -> Self {
        match error {
            TrialError::GoesOn(_) | TrialError::None => Self::new(Code::VersionConflict, error.to_string()),
            TrialError::Swap(error) => error.into(),
            TrialError::Registry(error) => error.into(),
            TrialError::Store(error) => error.into(),
        }
    }
}

impl From<JobError> for ApiError {
    fn from(error: JobError) -> Self {
        match error {
            JobError::NotFound(_) => Self::new(Code::NotFound, error.to_string()),
            JobError::Expired(_) => Self::new(Code::JobExpired, error.to_string()),
            JobError::Store(error) => error.into(),
        }
    }
}

impl From<&JobFailure> for ApiError {
    fn from(failure: &JobFailure) -> Self {
        let code = Code::ALL.iter().find(|code| code.name() == failure.code).copied().unwrap_or(Code::Internal);
        Self::new(code, failure.message.clone())
    }
}

impl From<anyhow::Error> for ApiError {
    fn from(error: anyhow::Error) -> Self {
        Self::internal(format!("{error:#}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_distinct_and_every_code_says_what_it_means() {
        let mut names: Vec<_> = Code::ALL.iter().map(|code| code.name()).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), Code::ALL.len());
        assert!(Code::ALL.iter().all(|code| code.meaning().ends_with('.')));
    }

    #[test]
    fn whoever_should_come_back_is_told_when_in_whole_seconds() {
        let wait = |code, seconds: f64| ApiError::new(code, "").retry_after(Duration::from_secs_f64(seconds)).wait();
        assert_eq!(wait(Code::RateLimited, 0.02), Some(1));
        assert_eq!(wait(Code::Overloaded, 4.2), Some(5));
        assert_eq!(ApiError::draining().wait(), Some(1));
        assert_eq!(ApiError::invalid("n", "").wait(), None);
    }
}
