//! A body that nobody reads to its end takes its connection with it.
//!
//! actix reads on, without a time limit, when a chunked body is given up: a client that drips would keep its connection for as long as
//! it likes. It closes the connection instead where the body is still held when the answer goes out, so it is held that long.

use std::{
    cell::{Cell, RefCell},
    pin::Pin,
    rc::Rc,
    task::{Context, Poll},
};

use actix_web::{
    Error, HttpMessage,
    body::{BodySize, MessageBody},
    dev::{Payload, ServiceRequest, ServiceResponse},
    error::PayloadError,
    middleware::Next,
};
use bytes::Bytes;
use futures_util::Stream;

/// Lends the request's body to whoever reads it, and holds it until the answer has gone out if it was not read to its end.
pub(super) async fn hold(
    mut request: ServiceRequest,
    next: Next<impl MessageBody>,
) -> Result<ServiceResponse<impl MessageBody>, Error> {
    let payload = request.take_payload();
    let held = match payload {
        Payload::None => None,
        payload => {
            let body = Rc::new(Body { payload: RefCell::new(payload), ended: Cell::new(false) });
            request.set_payload(Payload::Stream { payload: Box::pin(Lent(body.clone())) });
            Some(body)
        }
    };
    let answer = next.call(request).await?;
    let held = held.filter(|body| !body.ended.get());
    Ok(answer.map_body(|_, answer| Answer { answer: Box::pin(answer), _held: held }))
}

/// An answer, with the request's body that nobody read.
struct Answer<B> {
    answer: Pin<Box<B>>,
    _held: Option<Rc<Body>>,
}

impl<B: MessageBody> MessageBody for Answer<B> {
    type Error = B::Error;

    fn size(&self) -> BodySize {
        self.answer.size()
    }

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Bytes, B::Error>>> {
        self.answer.as_mut().poll_next(context)
    }
}

struct Body {
    payload: RefCell<Payload>,
    ended: Cell<bool>,
}

struct Lent(Rc<Body>);

impl Stream for Lent {
    type Item = Result<Bytes, PayloadError>;

    fn poll_next(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let polled = Pin::new(&mut *self.0.payload.borrow_mut()).poll_next(context);
        self.0.ended.set(matches!(polled, Poll::Ready(None)));
        polled
    }
}
