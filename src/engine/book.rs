//! The book of admitted orders: what waits, what is under way, and who is next.

use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
    time::{Duration, Instant},
};

use super::{
    Delivery, Failure, Generator, Load, Stage,
    fairness::Fairness,
    job::{Job, Phase},
    rate::{Finish, Rate},
};
use crate::pipeline::denoise::Row;

/// Everything that the engine's threads share, behind one lock.
#[derive(Debug, Default)]
pub(super) struct Book {
    jobs: BTreeMap<u64, Job>,
    next: u64,
    pub(super) fairness: Fairness,
    pub(super) rate: Rate,
    pub(super) finish: Finish,
    draining: bool,
    /// A version is being exchanged for one that has no room beside it.
    pub(super) paused: bool,
    /// A thread ended early: nothing will be drawn any more.
    broken: bool,
    /// Set when the engine is dropped.
    pub(super) stopped: bool,
}

/// A row taken for a call of the denoiser, with its place in the book.
#[derive(Debug)]
pub(super) struct Taken {
    pub(super) job: u64,
    pub(super) generator: Arc<Generator>,
    pub(super) picture: usize,
    pub(super) row: Row,
    /// Which preview this call makes, if any.
    pub(super) preview: Option<usize>,
}

impl Book {
    /// The job to prepare next, if the denoiser is likely to want it soon: fewer than `rows` prepared rows are due before.
    pub(super) fn next_unprepared(&mut self, rows: usize) -> Option<u64> {
        self.sweep(Instant::now());
        let waiting = self.jobs.iter().filter(|(_, job)| job.phase == Phase::Unprepared);
        let (&number, job) = waiting.min_by(|(_, a), (_, b)| a.tag().total_cmp(&b.tag()))?;
        let tag = job.tag();
        let prepared = self.jobs.values().filter(|job| job.phase != Phase::Unprepared);
        let earlier = prepared.flat_map(|job| job.unfinished().map(|picture| (picture, job.plan.most_rows())));
        let ahead: usize = earlier.filter(|(picture, _)| picture.tag <= tag).map(|(_, width)| width).sum();
        (ahead < rows).then(|| {
            if let Some(job) = self.jobs.get_mut(&number) {
                job.phase = Phase::Preparing;
            }
            number
        })
    }

    /// A new job comes last.
    pub(super) fn enter(&mut self, job: Job) {
        self.jobs.insert(self.next, job);
        self.next += 1;
    }

    pub(super) fn jobs(&self) -> impl Iterator<Item = &Job> {
        self.jobs.values()
    }

    /// Jobs by their numbers, those that came first first.
    pub(super) fn numbered(&self) -> impl Iterator<Item = (u64, &Job)> {
        self.jobs.iter().map(|(&number, job)| (number, job))
    }

    /// Whether an order has had a call of the denoiser.
    pub(super) fn is_drawing(&self) -> bool {
        self.jobs.values().any(|job| job.started)
    }

    pub(super) fn job(&self, number: u64) -> Option<&Job> {
        self.jobs.get(&number)
    }

    /// Gives a job its rows.
    pub(super) fn ready(&mut self, number: u64, rows: Vec<Row>) {
        if let Some(job) = self.jobs.get_mut(&number) {
            job.phase = Phase::Ready;
            for (picture, row) in job.pictures.iter_mut().zip(rows) {
                picture.row = Some(row);
            }
        }
    }

    /// Takes the rows of the next call: those due first, of one denoiser and one latent shape, at most `most` rows of the denoiser (one
    /// picture in any case). A deterministic order's picture is alone.
    pub(super) fn take(&mut self, most: usize) -> Vec<Taken> {
        let now = Instant::now();
        self.sweep(now);
        let mut due: Vec<(f64, u64, usize)> = Vec::new();
        for (&number, job) in &self.jobs {
            let ready = job.pictures.iter().enumerate().filter(|(_, picture)| picture.row.is_some());
            due.extend(ready.map(|(at, picture)| (picture.tag, number, at)));
        }
        due.sort_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)).then(a.2.cmp(&b.2)));
        let mut taken: Vec<Taken> = Vec::new();
        let mut width = 0;
        for (_, number, at) in due {
            let Some(job) = self.jobs.get_mut(&number) else { continue };
            let Some(row) = &job.pictures[at].row else { continue };
            let fits = taken.first().is_none_or(|first| {
                first.row.shape() == row.shape()
                    && first.generator.denoiser_id() == job.generator.denoiser_id()
                    && !job.order.deterministic
                    && width + row.width() <= most
            });
            if !fits {
                continue;
            }
            width += row.width();
            let preview = job.preview_at(row.done());
            job.start(now);
            let generator = &job.generator;
            let take = |row| Taken { job: number, generator: generator.clone(), picture: at, row, preview };
            taken.extend(job.pictures[at].row.take().map(take));
            if width >= most || job.order.deterministic {
                break;
            }
        }
        taken
    }

    /// Takes rows back after a call that served `width` rows; returns those that have had their last call.
    pub(super) fn give_back(&mut self, taken: Vec<Taken>, width: usize, took: Duration) -> Vec<(Taken, Arc<Delivery>)> {
        self.fairness.serve(width);
        self.rate.record(width, took);
        let mut done = Vec::new();
        let mut moved: HashMap<u64, ()> = HashMap::new();
        for taken in taken {
            let Some(job) = self.jobs.get_mut(&taken.job) else { continue };
            moved.insert(taken.job, ());
            let picture = &mut job.pictures[taken.picture];
            picture.done = taken.row.done();
            if taken.row.is_done() {
                self.fairness.leave(&job.flow);
                done.push((taken, job.delivery.clone()));
            } else {
                picture.row = Some(taken.row);
            }
        }
        for number in moved.into_keys() {
            self.told(number);
        }
        done
    }

    /// Tells a job's progress; one that is denoised leaves the book.
    fn told(&mut self, number: u64) {
        let Some(job) = self.jobs.get(&number) else { return };
        let (done, total) = job.progress();
        job.delivery.report().progress = (done, total);
        job.delivery.tell(super::Event::Progress { done, total });
        if job.is_denoised() {
            let mut report = job.delivery.report();
            if let Some(started) = report.started {
                report.timings.end(Stage::Steps, started);
            }
            drop(report);
            self.jobs.remove(&number);
        }
    }

    /// Ends jobs with a failure.
    pub(super) fn fail(&mut self, numbers: impl IntoIterator<Item = u64>, failure: &Failure) {
        for number in numbers {
            self.leave(number, Some(failure.clone()));
        }
    }

    fn leave(&mut self, number: u64, failure: Option<Failure>) {
        let Some(job) = self.jobs.remove(&number) else { return };
        for _ in job.unfinished() {
            self.fairness.leave(&job.flow);
        }
        if let Some(failure) = failure {
            job.delivery.fail(failure);
        }
    }

    /// Lets go of jobs that nobody wants or that are too late.
    fn sweep(&mut self, now: Instant) {
        let rate = self.pace();
        let leaving = |(&number, job): (&u64, &Job)| match job.delivery.is_over() {
            true => Some((number, None)),
            false => job.overdue(now, rate).map(|failure| (number, Some(failure))),
        };
        let leaving: Vec<_> = self.jobs.iter().filter_map(leaving).collect();
        for (number, failure) in leaving {
            self.leave(number, failure);
        }
    }

    pub(super) fn drain(&mut self) {
        self.draining = true;
    }

    pub(super) fn is_draining(&self) -> bool {
        self.draining
    }

    pub(super) fn is_broken(&self) -> bool {
        self.broken
    }

    /// Fails every job and admits none any more; whether it is the first time.
    pub(super) fn break_down(&mut self) -> bool {
        let failure = Failure::Runtime("the engine broke down; the server's log says more".to_owned());
        for job in std::mem::take(&mut self.jobs).into_values() {
            job.delivery.fail(failure.clone());
        }
        self.fairness = Fairness::default();
        !std::mem::replace(&mut self.broken, true)
    }

    pub(super) fn load(&self) -> Load {
        let waiting = || self.jobs.values().filter(|job| !job.started);
        Load {
            waiting: waiting().count(),
            running: self.jobs.len() - waiting().count(),
            row_steps: self.jobs.values().map(Job::row_steps).sum(),
            rate: self.rate.per_second(),
            oldest: waiting().map(|job| job.admitted.elapsed()).max(),
        }
    }

    /// Orders before a new one, and how long it would take with all of them done first.
    pub(super) fn estimate(&self, own: u64) -> (usize, Duration) {
        let load = self.load();
        (load.waiting, self.rate.time_for(load.row_steps + own))
    }
}
