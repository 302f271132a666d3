//! Errors that operations document, from the one table.

use std::collections::BTreeMap;

use utoipa::{
    IntoResponses,
    openapi::{ContentBuilder, Header, Ref, RefOr, ResponseBuilder, response::Response},
};

use super::Code;

macro_rules! refusals {
    ($($(#[$doc:meta])* $name:ident: $($code:ident)*;)*) => {
        $(
            $(#[$doc])*
            pub(crate) struct $name;

            impl $name {
                pub(crate) const CODES: &[Code] = &[$(Code::$code),*];
            }

            impl IntoResponses for $name {
                fn responses() -> BTreeMap<String, RefOr<Response>> {
                    responses(Self::CODES)
                }
            }
        )*
    };
}

refusals! {
    /// Of operations that make a job.
    SubmitErrors: InvalidValue UnknownField SizeNotSupported InvalidApiKey Forbidden ModelNotFound RequestTimeout
        JobCancelled JobExpired TooLarge UnsupportedMediaType IdempotencyMismatch RateLimited Internal Overloaded Draining
        NotReady DeadlineExceeded DiskFull;
    /// Of operations on a thing of the caller's own.
    OwnErrors: InvalidValue InvalidApiKey Forbidden NotFound JobExpired RateLimited Internal NotReady;
    /// Of operations that score or embed.
    ScoringErrors: InvalidValue UnknownField InvalidApiKey NotFound ModelNotFound RequestTimeout TooLarge UnsupportedMediaType
        RateLimited Internal Overloaded Draining NotReady;
    /// Of operations that write down what people say.
    FeedbackErrors: InvalidValue UnknownField InvalidApiKey Forbidden TokenInvalid TokenRaterMismatch NotFound
        RequestTimeout TokenExpired TooLarge UnsupportedMediaType IdempotencyMismatch RateLimited Internal NotReady DiskFull;
    /// Of operations that administrators do on versions.
    RegistryErrors: InvalidValue UnknownField InvalidApiKey Forbidden NotFound RequestTimeout VersionConflict
        InsufficientMemory VersionRetired TooLarge UnsupportedMediaType VersionRefused Internal NotReady;
    /// Of what administrators read of versions.
    RegistryListErrors: InvalidValue InvalidApiKey Forbidden NotFound RateLimited Internal NotReady;
    /// Of lists.
    ListErrors: InvalidValue InvalidApiKey RateLimited Internal NotReady;
    /// Of operations that anybody may do on something that may not be there.
    OpenErrors: NotFound ModelNotFound Internal NotReady;
    /// Of probes.
    ProbeErrors: NotReady Draining;
}

/// One response a status: its codes with their meanings.
pub(super) fn responses(codes: &[Code]) -> BTreeMap<String, RefOr<Response>> {
    let mut by_status: BTreeMap<u16, Vec<Code>> = BTreeMap::new();
    for code in codes {
        by_status.entry(code.status().as_u16()).or_default().push(*code);
    }
    by_status.into_iter().map(|(status, codes)| (status.to_string(), response(status, &codes).into())).collect()
}

fn response(status: u16, codes: &[Code]) -> Response {
    let lines: Vec<String> = codes.iter().map(|code| format!("`{}`: {}", code.name(), code.meaning())).collect();
    let content = ContentBuilder::new().schema(Some(Ref::from_schema_name("ErrorEnvelope"))).build();
    let response = ResponseBuilder::new().description(lines.join("\n\n")).content("application/json", content);
    match status {
        429 | 503 => response.header("Retry-After", Header::default()).build(),
        _ => response.build(),
    }
}
