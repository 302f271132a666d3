//! The way back to whoever ordered.

use std::{
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::Instant,
};

use tokio::sync::mpsc;

use super::{Event, Failure, Ticket, Timings};
use crate::pipeline::Warning;

/// Shared by all threads that work for an order. Sends its end once, and nothing after it.
#[derive(Debug)]
pub(super) struct Delivery {
    sender: mpsc::UnboundedSender<Event>,
    ended: AtomicBool,
    /// Pictures that are not decoded yet.
    pictures_left: AtomicUsize,
    deadline: Option<Instant>,
    report: Mutex<Report>,
}

/// What is told at the end.
#[derive(Debug, Default)]
pub(super) struct Report {
    pub(super) warnings: Vec<Warning>,
    pub(super) timings: Timings,
    pub(super) started: Option<Instant>,
    /// Picture-steps done, and in all.
    pub(super) progress: (usize, usize),
}

impl Delivery {
    /// For so many pictures of so many calls of the denoiser each.
    pub(super) fn new(pictures: usize, calls: usize, deadline: Option<Instant>) -> (Self, Ticket) {
        let (sender, events) = mpsc::unbounded_channel();
        let report = Report { progress: (0, pictures * calls), ..Report::default() };
        let delivery = Self {
            sender,
            ended: AtomicBool::new(false),
            pictures_left: AtomicUsize::new(pictures),
            deadline,
            report: Mutex::new(report),
        };
        (delivery, Ticket { events })
    }

    /// Whether nobody wants the pictures any more: the ticket was dropped, or the end was told.
    pub(super) fn is_over(&self) -> bool {
        self.sender.is_closed() || self.ended.load(Ordering::Acquire)
    }

    /// Why nothing more should be made for it, if its deadline has passed.
    pub(super) fn overdue(&self, now: Instant) -> Option<Failure> {
        self.deadline.filter(|&deadline| now > deadline)?;
        let (done, total) = self.report().progress;
        Some(Failure::Deadline { done, total })
    }

    pub(super) fn report(&self) -> MutexGuard<'_, Report> {
        self.report.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Tells; a listener that has left is no error.
    pub(super) fn tell(&self, event: Event) {
        if !self.ended.load(Ordering::Acquire) {
            let _ = self.sender.send(event);
        }
    }

    pub(super) fn fail(&self, failure: Failure) {
        self.end(Event::Failed(failure));
    }

    /// Hands a picture over, and after the last one the end.
    pub(super) fn picture(&self, picture: Event) {
        self.tell(picture);
        if self.pictures_left.fetch_sub(1, Ordering::AcqRel) == 1 {
            let report = std::mem::take(&mut *self.report());
            self.end(Event::Finished { warnings: report.warnings, timings: report.timings });
        }
    }

    fn end(&self, event: Event) {
        if !self.ended.swap(true, Ordering::AcqRel) {
            let _ = self.sender.send(event);
        }
    }
}

/// Whoever let go of it without an end cannot make its pictures any more: a thread panicked, or the engine stopped.
impl Drop for Delivery {
    fn drop(&mut self) {
        self.fail(Failure::Runtime("the engine stopped before all pictures were drawn".to_owned()));
    }
}
