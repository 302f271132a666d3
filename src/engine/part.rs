//! Sessions that versions share, and where they go when no version needs them any more.

use std::{
    sync::{
        Arc, Mutex, PoisonError, Weak,
        mpsc::{self, Sender},
    },
    thread::{self, JoinHandle},
};

use crate::pipeline::PipelineError;

/// Something that owns sessions, called by one thread at a time.
#[derive(Debug)]
pub(super) struct Part<T: Send + 'static> {
    /// Names its files by their content: versions with equal keys share a part.
    pub(super) key: String,
    inner: Mutex<Option<T>>,
    release: Weak<Sender<Box<dyn Send>>>,
}

impl<T: Send + 'static> Part<T> {
    pub(super) fn new(key: String, inner: T, releaser: &Releaser) -> Arc<Self> {
        Arc::new(Self { key, inner: Mutex::new(Some(inner)), release: Arc::downgrade(&releaser.sender) })
    }

    /// Calls it.
    ///
    /// # Errors
    /// The call's own, and [`PipelineError::Unloaded`].
    pub(super) fn run<R>(&self, call: impl FnOnce(&mut T) -> Result<R, PipelineError>) -> Result<R, PipelineError> {
        // What a panicked call leaves behind in a session is a call that did not happen.
        let mut inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        inner.as_mut().map_or(Err(PipelineError::Unloaded), call)
    }

    pub(super) fn is_loaded(&self) -> bool {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner).is_some()
    }

    /// Lets go of the sessions; later calls fail.
    pub(super) fn unload(&self) {
        let Some(inner) = self.inner.lock().unwrap_or_else(PoisonError::into_inner).take() else { return };
        if let Some(sender) = self.release.upgrade() {
            // Without a thread behind it the sessions are dropped here.
            let _ = sender.send(Box::new(inner));
        }
    }
}

impl<T: Send + 'static> Drop for Part<T> {
    fn drop(&mut self) {
        self.unload();
    }
}

/// A thread that drops sessions: that takes time, which those who serve do not have.
#[derive(Debug)]
pub(super) struct Releaser {
    sender: Arc<Sender<Box<dyn Send>>>,
    thread: Option<JoinHandle<()>>,
}

impl Releaser {
    pub(super) fn start() -> Self {
        let (sender, dropped) = mpsc::channel::<Box<dyn Send>>();
        let release = move || dropped.into_iter().for_each(drop);
        let thread = thread::Builder::new().name("engine-release".into()).spawn(release);
        // Without a thread parts are dropped where they are.
        Self { sender: Arc::new(sender), thread: thread.ok() }
    }

    /// Waits until what was dropped before is gone.
    pub(super) fn wait(&self) {
        struct Told(Sender<()>);
        impl Drop for Told {
            fn drop(&mut self) {
                let _ = self.0.send(());
            }
        }
        let (told, heard) = mpsc::channel();
        if self.sender.send(Box::new(Told(told))).is_ok() {
            let _ = heard.recv();
        }
    }
}

impl Drop for Releaser {
    fn drop(&mut self) {
        self.sender = Arc::new(mpsc::channel().0);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}
