//! Threads of the engine. None may end alone: what waits for it would wait for ever behind a server that looks ready.

use std::{
    sync::Arc,
    thread::{self, JoinHandle},
};

use super::shared::Shared;

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
