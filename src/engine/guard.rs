//! Threads of the engine. None may end alone: what waits for it would wait for ever behind a server that looks ready.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    sync::Arc,
    thread::{self, JoinHandle},
};

use super::{Failure, shared::Shared};

/// Does one order's work; if that panics, the order fails and the thread goes on: a request that no code foresaw must not take
/// the others' engine with it. What the work leaves behind in a session is a call that did not happen.
pub(super) fn alone<T>(work: impl FnOnce() -> Result<T, Failure>) -> Result<T, Failure> {
    // The panic's message and place are in the log already: the hook writes them.
    catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(|_| {
        tracing::error!("an order's work panicked; the order fails");
        Err(Failure::Runtime("the server failed at this request; its log says more".to_owned()))
    })
}

/// Starts a thread of the engine; if it ends before the engine stops, by a panic or otherwise, the engine breaks down.
pub(super) fn named(shared: &Arc<Shared>, name: &'static str, run: impl FnOnce() + Send + 'static) -> JoinHandle<()> {
    let guard = Guard { shared: shared.clone(), name };
    let guarded = move || {
        let _guard = guard;
        run();
    };
    // The system refuses a thread only when it is out of memory, and then nothing can be served.
    thread::Builder::new().name(format!("engine-{name}")).spawn(guarded).expect("a thread can be started")
}

struct Guard {
    shared: Arc<Shared>,
    name: &'static str,
}

impl Drop for Guard {
    fn drop(&mut self) {
        if thread::panicking() {
            tracing::error!(thread = self.name, "a thread of the engine panicked");
        }
        if self.shared.break_down() {
            tracing::error!(thread = self.name, "the engine broke down and draws nothing more: restart the server");
        }
    }
}
