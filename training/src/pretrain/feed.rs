//! Batches made ahead by a thread of their own, so that the trainer never waits for the painter.

use std::sync::mpsc::{Receiver, sync_channel};

/// Batches that may wait.
const AHEAD: usize = 4;

/// Batches in order; batch `n` is a function of `n`, so a resumed run sees what an unbroken one would.
pub(crate) struct Feed<T> {
    batches: Receiver<T>,
}

impl<T: Send + 'static> Feed<T> {
    /// Begins with batch number `first`.
    pub(crate) fn start(first: u64, mut make: impl FnMut(u64) -> T + Send + 'static) -> Self {
        let (sender, batches) = sync_channel(AHEAD);
        std::thread::spawn(move || {
            let mut number = first;
            // The other end is dropped when the leg ends.
            while sender.send(make(number)).is_ok() {
                number += 1;
            }
        });
        Self { batches }
    }

    /// The next batch.
    ///
    /// # Panics
    /// If making it panicked.
    pub(crate) fn next(&self) -> T {
        self.batches.recv().expect("the thread that makes batches is alive")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn batches_come_in_order_from_where_a_run_stands() {
        let feed = Feed::start(7, |number| number * number);
        let batches: Vec<u64> = (0..20).map(|_| feed.next()).collect();
        assert_eq!(batches, (7..27).map(|number| number * number).collect::<Vec<u64>>());
    }
}
