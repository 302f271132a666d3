//! Whether an order is taken, and behind whom: queues are bounded, and what was promised is kept.

use std::{
    collections::HashMap,
    sync::Arc,
    time::{Duration, Instant},
};

use super::{
    Class, Delivery, EngineSettings, Generator, Order, Refusal, Ticket,
    book::Book,
    fairness::Flow,
    forecast::{self, Promise, Waiting},
    job::{Job, Phase, Picture},
    rate,
};
use crate::pipeline::request::Plan;

/// The part of a wait for others that is sure: the denoiser's speed varies from one second to the next, and who waits among many is
/// at its mercy longer than who is drawn at once.
const SURE: f64 = 0.75;

/// What clients are told that an exchange of versions takes, beside the drawing that goes on.
const EXCHANGE: Duration = Duration::from_secs(5);

/// The number by which a forecast knows an order that is not admitted yet.
const NEWCOMER: u64 = u64::MAX;

/// The number by which a forecast knows pictures of an order that nothing was promised about.
fn unpromised(order: u64) -> u64 {
    order ^ (1 << 63)
}

/// Where a new order stands.
#[derive(Debug, Default)]
struct Place {
    /// The virtual time from which its pictures count.
    from: f64,
    /// When it is to be denoised.
    due: Option<Instant>,
}

impl Book {
    /// Admits an order or says why not.
    pub(super) fn admit(
        &mut self,
        generator: Arc<Generator>,
        order: Order,
        plan: Arc<Plan>,
        settings: &EngineSettings,
        now: Instant,
    ) -> Result<Ticket, Refusal> {
        if self.is_broken() {
            return Err(Refusal::Broken);
        }
        if self.is_draining() {
            return Err(Refusal::Draining);
        }
        if self.paused {
            let retry_after = self.rate.time_for(self.load().row_steps) + EXCHANGE;
            return Err(Refusal::Swapping { retry_after });
        }
        let (each, count) = (plan.row_steps_after(0), order.request.count);
        let flow = (order.client.clone(), order.class);
        self.room(&order, &flow, each * count as u64, settings)?;
        let Place { from, due } = self.place(&generator, &order, &flow, &plan, settings.max_rows, now)?;
        let (delivery, ticket) = Delivery::new(count, plan.calls(), order.deadline);
        let picture = |_| Picture { tag: self.fairness.tag(&flow, each, from), done: 0, row: None };
        let pictures = (0..count).map(picture).collect();
        let delivery = Arc::new(delivery);
        let phase = Phase::Unprepared;
        self.enter(Job { generator, order, flow, plan, delivery, admitted: now, due, started: false, phase, pictures });
        Ok(ticket)
    }

    /// An order larger than a limit is taken when nothing else waits: the limits bound the wait, not the work.
    fn room(&self, order: &Order, flow: &Flow, own: u64, settings: &EngineSettings) -> Result<(), Refusal> {
        let sum = |wanted: &dyn Fn(&Job) -> bool| self.jobs().filter(|job| wanted(job)).map(Job::row_steps).sum();
        let over = |waiting: u64, limit: u64| {
            (waiting > 0 && waiting + own > limit).then(|| (waiting + own).saturating_sub(limit))
        };
        let (waiting, limit) = (sum(&|job| job.order.client == order.client), settings.max_queue_per_client);
        if let Some(excess) = over(waiting, limit) {
            // Its own work drains by its own share.
            let retry_after = self.rate.time_for(excess).div_f64(self.fairness.share(flow));
            return Err(Refusal::ClientFull { waiting, limit, retry_after });
        }
        let of_bulk = || (sum(&|job| job.order.class == Class::Bulk), settings.max_queue_bulk);
        let whole = (sum(&|_| true), settings.max_queue);
        for (waiting, limit) in (order.class == Class::Bulk).then(of_bulk).into_iter().chain([whole]) {
            if let Some(excess) = over(waiting, limit) {
                return Err(Refusal::Full { waiting, limit, retry_after: self.rate.time_for(excess) });
            }
        }
        Ok(())
    }

    /// Where an order's pictures stand: as early as is fair, unless that would make late what was admitted to be in time.
    /// Refuses what would be late there itself. An engine that took what it cannot finish would end with much begun and
    /// nothing done.
    fn place(
        &self,
        generator: &Generator,
        order: &Order,
        flow: &Flow,
        plan: &Plan,
        most: usize,
        now: Instant,
    ) -> Result<Place, Refusal> {
        let Some(pace) = self.pace() else { return Ok(Place::default()) };
        let promises = self.promises(flow, |due| due.saturating_duration_since(now).as_secs_f64() * pace);
        if promises.is_empty() && order.deadline.is_none() {
            return Ok(Place::default());
        }
        let kind = (plan.latent, generator.denoiser_id(), order.deterministic);
        let row_steps = plan.row_steps_after(0);
        let own = |from: f64| -> Vec<Waiting> {
            let tags = self.fairness.tags(flow, row_steps, from).take(order.request.count).enumerate();
            let job = |at: usize| if at < order.needed() { NEWCOMER } else { unpromised(NEWCOMER) };
            tags.map(|(at, tag)| Waiting { job: job(at), tag, calls: plan.calls(), row_steps, kind }).collect()
        };
        let waiting: Vec<Waiting> = self.waiting().collect();
        let (from, end) = forecast::place(&waiting, &promises, most, own);
        let Some(deadline) = order.deadline else { return Ok(Place { from, due: None }) };
        let finishing = self.finishing();
        let left = deadline.saturating_duration_since(now).saturating_sub(finishing);
        let alone = forecast::ends(&own(0.0), most).get(&NEWCOMER).copied().unwrap_or(0.0);
        let [alone, end] = [alone, end].map(|rows| rate::time_for(rows, Some(pace)));
        let waiting = end.saturating_sub(alone);
        let may_wait = left.saturating_sub(alone).mul_f64(SURE);
        if alone <= left && waiting <= may_wait {
            return Ok(Place { from, due: Some(now + alone + may_wait) });
        }
        let retry_after = (alone <= left).then(|| waiting.saturating_sub(may_wait));
        Err(Refusal::Late { estimated: alone + waiting.div_f64(SURE) + finishing, retry_after })
    }

    /// What was promised, as far as a flow's next order has to respect it: a client's second order may be passed by who has none
    /// yet, its third by who has one, and bulk work by who waits at a screen. So a backlog holds nobody up.
    fn promises(&self, newcomer: &Flow, within: impl Fn(Instant) -> f64) -> Vec<Promise> {
        let own = self.jobs().filter(|job| job.flow == *newcomer).count();
        let mut places: HashMap<&Flow, usize> = HashMap::new();
        let respected = self.numbered().filter(|(_, job)| {
            let place = places.entry(&job.flow).or_default();
            *place += 1;
            *place <= own + 1 && job.flow.1 <= newcomer.1
        });
        let promise = |(number, job): (u64, &Job)| {
            let needed = job.pictures[..job.order.needed()].iter().filter(|picture| picture.done < job.plan.calls());
            let tag = needed.map(|picture| picture.tag).max_by(f64::total_cmp)?;
            Some(Promise { job: number, tag, within: within(job.due?) })
        };
        respected.filter_map(promise).collect()
    }

    /// Pictures that are not denoised.
    fn waiting(&self) -> impl Iterator<Item = Waiting> {
        self.numbered().flat_map(|(number, job)| {
            let unfinished = job.pictures.iter().enumerate().filter(|(_, picture)| picture.done < job.plan.calls());
            unfinished.map(move |(at, picture)| Waiting {
                job: if at < job.order.needed() { number } else { unpromised(number) },
                tag: picture.tag,
                calls: job.plan.calls() - picture.done,
                row_steps: job.plan.row_steps_after(picture.done),
                kind: (job.plan.latent, job.generator.denoiser_id(), job.order.deterministic),
            })
        })
    }

    /// Row-steps a second by which deadlines are judged. While no order is being drawn nothing measures the denoiser, so one
    /// slow spell would refuse for ever what could be done in time: the fastest call tells then what cannot be done at all.
    pub(super) fn pace(&self) -> Option<f64> {
        match self.is_drawing() {
            true => self.rate.per_second(),
            false => self.rate.fastest(),
        }
    }

    /// How long a denoised picture takes to be handed over; of the quickest one while none is drawn, as [`Self::pace`].
    fn finishing(&self) -> Duration {
        match self.is_drawing() {
            true => self.finish.mean(),
            false => self.finish.least(),
        }
    }
}
