//! A generation as OpenAI's events.

use actix_web::{HttpResponse, web};
use base64::{Engine as _, prelude::BASE64_STANDARD};
use futures_util::{Stream, stream};
use serde_json::{Value, json};

use crate::{
    api::{
        ApiError,
        answer::{self, format_name},
        generation::{Delivery, Wanted},
        sse::{self, Frame},
        submit,
    },
    app::State,
    jobs::{ImageFormat, JobEventKind, Listener, MadeImage},
};

/// Names of an operation's events.
#[derive(Debug, Clone, Copy)]
pub(super) struct Names {
    partial: &'static str,
    completed: &'static str,
}

/// Of `POST /v1/images/generations`.
pub(super) const GENERATION: Names =
    Names { partial: "image_generation.partial_image", completed: "image_generation.completed" };
/// Of `POST /v1/images/edits`.
pub(super) const EDIT: Names = Names { partial: "image_edit.partial_image", completed: "image_edit.completed" };

/// How events are to look.
#[derive(Debug)]
pub(super) struct Form {
    names: Names,
    base: String,
    delivery: Delivery,
    format: ImageFormat,
    size: Option<(usize, usize)>,
}

impl Form {
    pub(super) fn of(wanted: &Wanted, names: Names, base: String) -> Self {
        Self { names, base, delivery: wanted.delivery, format: wanted.format, size: wanted.request.size }
    }
}

struct Reading {
    state: web::Data<State>,
    listener: Listener,
    form: Form,
    ended: bool,
}

/// Streams a job: previews, then each picture as it is ready. An error after the first byte is an `error` event.
pub(super) fn answer(state: web::Data<State>, listener: Listener, form: Form) -> HttpResponse {
    let heartbeat = state.settings.server.heartbeat();
    let id = listener.id.to_string();
    sse::answer(&id, frames(Reading { state, listener, form, ended: false }), heartbeat)
}

fn frames(reading: Reading) -> impl Stream<Item = Frame> {
    stream::unfold(reading, |mut reading| async move { reading.next().await.map(|frame| (frame, reading)) })
}

impl Reading {
    async fn next(&mut self) -> Option<Frame> {
        while !self.ended {
            let Some(event) = self.listener.next().await else { break };
            match event.kind {
                JobEventKind::Preview { picture, number, bytes } => return Some(self.partial(picture, number, &bytes)),
                JobEventKind::Picture(made) => return Some(self.completed(&made).await),
                JobEventKind::Completed(_) => self.ended = true,
                JobEventKind::Failed(failure) => return Some(self.failed(&(&failure).into())),
                JobEventKind::Cancelled => {
                    let error = submit::cancelled(&self.state);
                    return Some(self.failed(&error));
                }
                JobEventKind::Queued { .. } | JobEventKind::Started | JobEventKind::Progress { .. } => {}
            }
        }
        None
    }

    fn partial(&self, picture: usize, number: usize, bytes: &[u8]) -> Frame {
        let data = json!({
            "type": self.form.names.partial, "b64_json": BASE64_STANDARD.encode(bytes), "partial_image_index": number,
            "image_index": picture, "created_at": crate::app::now(), "output_format": format_name(self.form.format),
            "size": self.size(), "quality": "auto", "background": "opaque",
        });
        Frame { id: None, event: self.form.names.partial, data }
    }

    async fn completed(&mut self, made: &MadeImage) -> Frame {
        let image = match answer::image(&self.state, &self.form.base, made, self.form.delivery).await {
            Ok(image) => image,
            Err(error) => return self.failed(&error),
        };
        let facts = json!({
            "type": self.form.names.completed, "image_index": made.index, "created_at": crate::app::now(),
            "output_format": format_name(self.form.format), "size": format!("{}x{}", made.width, made.height),
            "quality": "auto", "background": "opaque", "id": self.listener.id.to_string(),
            "model_version": made.model_version,
            "warnings": answer::withheld(std::slice::from_ref(made)).into_iter().collect::<Vec<_>>(),
        });
        Frame { id: None, event: self.form.names.completed, data: merged(facts, json!(image)) }
    }

    fn failed(&mut self, error: &ApiError) -> Frame {
        self.ended = true;
        Frame { id: None, event: "error", data: error.envelope() }
    }

    fn size(&self) -> String {
        let (width, height) = self.form.size.unwrap_or(self.state.rules.model.size);
        format!("{width}x{height}")
    }
}

fn merged(mut into: Value, from: Value) -> Value {
    if let (Value::Object(into), Value::Object(from)) = (&mut into, from) {
        into.extend(from);
    }
    into
}
