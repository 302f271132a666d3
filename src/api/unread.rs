//! A body that nobody reads to its end takes its connection with it.
//!
//! actix reads on, without a time limit, when a chunked body is given up: a client that drips would keep its connection for as long as
//! it likes. It closes the connection instead where the body is still held when the answer goes out, so it is held that long.

use std::{
    cell::{Cell, RefCell},
    pin::Pin,
    rc::Rc,
    task::{Context, Poll},
    time::Duration,
};

use actix_web::{
    Error, HttpMessage,
    body::MessageBody,
    dev::{Payload, ServiceRequest, ServiceResponse},
    error::PayloadError,
    middleware::Next,
    rt,
};
use bytes::Bytes;
use futures_util::Stream;

/// How long an unread body is held: an answer's head is on its way in less.
const HELD: Duration = Duration::from_secs(1);

/// Lends the request's body to whoever reads it, and holds it for a moment if it was not read to its end.
pub(super) async fn hold(
    mut request: ServiceRequest,
    next: Next<impl MessageBody>,
) -> Result<ServiceResponse<impl MessageBody>, Error> {
    let payload = request.take_payload();
    if matches!(payload, Payload::None) {
        return next.call(request).await;
    }
    let body = Rc::new(Body { payload: RefCell::new(payload), ended: Cell::new(false) });
    request.set_payload(Payload::Stream { payload: Box::pin(Lent(body.clone())) });
    let answer = next.call(request).await;
    if !body.ended.get() {
        rt::spawn(async move {
            rt::time::sleep(HELD).await;
            drop(body);
        });
    }
    answer
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
