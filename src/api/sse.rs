//! Server-sent events.

use std::{convert::Infallible, time::Duration};

use actix_web::{HttpResponse, http::header};
use bytes::Bytes;
use futures_util::{Stream, StreamExt, stream};
use serde_json::Value;
use utoipa::ToSchema;

/// An event of a stream, as its readers see it.
#[derive(Debug, serde::Serialize, ToSchema)]
#[allow(dead_code)] // documents Frame
pub(crate) struct ServerEvent {
    /// What happened
    event: String,
    /// Facts of it, as JSON
    #[schema(content_media_type = "application/json")]
    data: String,
    /// Where to go on after, for `Last-Event-ID`
    #[schema(pattern = "^[0-9]+$", nullable = false)]
    id: Option<String>,
}

/// One event.
#[derive(Debug)]
pub(super) struct Frame {
    /// Where a listener that was cut off goes on after.
    pub(super) id: Option<u64>,
    pub(super) event: &'static str,
    pub(super) data: Value,
}

impl Frame {
    fn bytes(&self) -> Bytes {
        let id = self.id.map_or_else(String::new, |id| format!("id: {id}\n"));
        // JSON has no line breaks of its own.
        format!("{id}event: {}\ndata: {}\n\n", self.event, self.data).into()
    }
}

/// An answer that streams events, with a comment as a sign of life where none comes for a while.
///
/// The stream is dropped when its reader goes away.
pub(super) fn answer(job: &str, frames: impl Stream<Item = Frame> + 'static, heartbeat: Duration) -> HttpResponse {
    let alive = stream::unfold(Box::pin(frames), move |mut frames| async move {
        let bytes = match tokio::time::timeout(heartbeat, frames.next()).await {
            Ok(frame) => frame?.bytes(),
            Err(_) => Bytes::from_static(b": alive\n\n"),
        };
        Some((Ok::<_, Infallible>(bytes), frames))
    });
    HttpResponse::Ok()
        .content_type("text/event-stream")
        .insert_header((header::CACHE_CONTROL, "no-store"))
        // nginx would hold events back.
        .insert_header(("x-accel-buffering", "no"))
        .insert_header(("x-plaudit-job-id", job))
        .streaming(alive)
}
