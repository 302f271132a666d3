//! An admitted order and its pictures.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use super::{Delivery, Event, Failure, Generator, Order, Stage, fairness::Flow};
use crate::pipeline::{denoise::Row, request::Plan};

/// An order inside the engine.
#[derive(Debug)]
pub(super) struct Job {
    /// What draws it, from the first step to the last.
    pub(super) generator: Arc<Generator>,
    pub(super) order: Order,
    pub(super) flow: Flow,
    pub(super) plan: Arc<Plan>,
    pub(super) delivery: Arc<Delivery>,
    pub(super) admitted: Instant,
    /// When it is to be denoised, by its deadline: no newcomer may delay it beyond.
    pub(super) due: Option<Instant>,
    pub(super) started: bool,
    pub(super) phase: Phase,
    pub(super) pictures: Vec<Picture>,
}

/// What a job waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Phase {
    /// Its text features and first latents.
    Unprepared,
    /// A thread makes them.
    Preparing,
    /// The denoiser.
    Ready,
}

/// One of a job's pictures.
#[derive(Debug)]
pub(super) struct Picture {
    /// When it is due, in virtual time.
    pub(super) tag: f64,
    /// Calls of the denoiser done.
    pub(super) done: usize,
    /// Its row; absent before it is prepared, while it is in a call, and when it is done.
    pub(super) row: Option<Row>,
}

impl Job {
    /// The virtual time at which its next picture is due.
    pub(super) fn tag(&self) -> f64 {
        self.unfinished().map(|picture| picture.tag).fold(f64::INFINITY, f64::min)
    }

    pub(super) fn unfinished(&self) -> impl Iterator<Item = &Picture> {
        self.pictures.iter().filter(|picture| picture.done < self.plan.calls())
    }

    /// Row-steps to come.
    pub(super) fn row_steps(&self) -> u64 {
        self.pictures.iter().map(|picture| self.plan.row_steps_after(picture.done)).sum()
    }

    pub(super) fn is_denoised(&self) -> bool {
        self.unfinished().next().is_none()
    }

    /// Why it should leave at once, if it should. `rate`: row-steps a second.
    pub(super) fn overdue(&self, now: Instant, rate: Option<f64>) -> Option<Failure> {
        let deadline = self.order.deadline?;
        // What has not begun must be able to end in time even if it had the denoiser for itself.
        let row_steps = self.plan.row_steps_after(0) * self.order.needed() as u64;
        let needed = rate.filter(|_| !self.started).map_or(0.0, |rate| row_steps as f64 / rate);
        let (done, total) = self.progress();
        (now + Duration::from_secs_f64(needed) > deadline).then_some(Failure::Deadline { done, total })
    }

    /// Picture-steps done, and in all.
    pub(super) fn progress(&self) -> (usize, usize) {
        (self.pictures.iter().map(|picture| picture.done).sum(), self.plan.calls() * self.pictures.len())
    }

    /// Its first row joins the denoiser.
    pub(super) fn start(&mut self, now: Instant) {
        if !std::mem::replace(&mut self.started, true) {
            let mut report = self.delivery.report();
            report.timings.end(Stage::Queue, self.admitted);
            report.started = Some(now);
            drop(report);
            self.delivery.tell(Event::Started { queued: now - self.admitted });
        }
    }

    /// Which of a picture's previews the next call makes, if any: they lie evenly between the first call and the last.
    pub(super) fn preview_at(&self, call: usize) -> Option<usize> {
        let (previews, calls) = (self.order.previews, self.plan.calls());
        (0..previews).find(|number| (number + 1) * calls / (previews + 1) == call + 1 && call + 1 < calls)
    }
}
