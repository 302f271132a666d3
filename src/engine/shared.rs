//! What the engine's threads share.

use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

use super::{EngineSettings, book::Book};
use crate::metrics::Metrics;

/// The book, and who waits for it to change.
#[derive(Debug)]
pub(super) struct Shared {
    book: Mutex<Book>,
    changed: Condvar,
    pub(super) settings: EngineSettings,
    pub(super) metrics: Metrics,
}

impl Shared {
    pub(super) fn new(settings: EngineSettings, metrics: Metrics) -> Self {
        Self { book: Mutex::default(), changed: Condvar::new(), settings, metrics }
    }

    /// The book, to be read or changed; see [`Shared::announce`].
    pub(super) fn book(&self) -> MutexGuard<'_, Book> {
        self.book.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Wakes the threads that wait for a change.
    pub(super) fn announce(&self) {
        self.changed.notify_all();
    }

    /// Waits until `look` finds something in the book; `None` when the engine stops.
    pub(super) fn wait_for<T>(&self, mut look: impl FnMut(&mut Book) -> Option<T>) -> Option<T> {
        let mut book = self.book();
        loop {
            if book.stopped {
                return None;
            }
            if let Some(found) = look(&mut book) {
                return Some(found);
            }
            book = self.changed.wait(book).unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// Shows operators how busy the engine is.
    pub(super) fn gauge(&self) {
        let load = self.book().load();
        self.metrics.requests_waiting.set(load.waiting as i64);
        self.metrics.requests_running.set(load.running as i64);
        self.metrics.queue_oldest_seconds.set(load.oldest.unwrap_or_default().as_secs_f64());
    }
}
