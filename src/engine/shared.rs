//! What the engine's threads share.

use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

use super::{EngineSettings, book::Book};
use crate::metrics::Metrics;

/// Where a test makes a thread panic.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum CrashPoint {
    Prepare,
    Steps,
    Finish,
}

/// The book, and who waits for it to change.
#[derive(Debug)]
pub(super) struct Shared {
    book: Mutex<Book>,
    changed: Condvar,
    pub(super) settings: EngineSettings,
    pub(super) metrics: Metrics,
    #[cfg(test)]
    pub(super) crash: Mutex<Option<CrashPoint>>,
}

impl Shared {
    pub(super) fn new(settings: EngineSettings, metrics: Metrics) -> Self {
        Self {
            book: Mutex::default(),
            changed: Condvar::new(),
            settings,
            metrics,
            #[cfg(test)]
            crash: Mutex::default(),
        }
    }

    /// The book, to be read or changed; see [`Shared::announce`].
    pub(super) fn book(&self) -> MutexGuard<'_, Book> {
        self.book.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Wakes the threads that wait for a change.
    pub(super) fn announce(&self) {
        self.changed.notify_all();
    }

    /// Waits until `look` finds something in the book; `None` when the engine stops or has broken down.
    pub(super) fn wait_for<T>(&self, mut look: impl FnMut(&mut Book) -> Option<T>) -> Option<T> {
        let mut book = self.book();
        loop {
            if book.stopped || book.is_broken() {
                return None;
            }
            if let Some(found) = look(&mut book) {
                return Some(found);
            }
            book = self.changed.wait(book).unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// Fails all orders and takes no more, unless the engine stops anyway; whether it had not broken down before.
    pub(super) fn break_down(&self) -> bool {
        let mut book = self.book();
        let first = !book.stopped && book.break_down();
        drop(book);
        self.gauge();
        self.announce();
        first
    }

    /// Does nothing outside of tests.
    pub(super) fn pass(&self, _point: CrashPoint) {
        #[cfg(test)]
        {
            let planned = *self.crash.lock().unwrap_or_else(PoisonError::into_inner);
            assert_ne!(planned, Some(_point), "a planned panic");
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
