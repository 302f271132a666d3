//! Many requests, one denoiser: rows of different requests share each call of the UNet.
//!
//! An [`Order`] passes four files: [`Engine::submit`] writes it into the `book` (by `admission`: limits, fairness, deadlines);
//! `prepare` makes its text features and first latents; `steps` batches the rows that are due, whatever their timesteps,
//! schedulers, guidance scales and step counts, and steps each by its own schedule; `finish` decodes beside the loop.
//! Each of the last three is a thread that owns its sessions. Whoever ordered hears [`Event`]s through a [`Ticket`]; dropping it
//! takes the order's rows out before the next call.

mod admission;
mod book;
mod delivery;
mod fairness;
mod finish;
mod forecast;
mod guard;
mod job;
mod order;
mod prepare;
mod preview;
mod rate;
mod settings;
mod shared;
mod steps;
#[cfg(test)]
mod tests;
mod warm;

use std::{
    sync::{Arc, mpsc},
    thread::JoinHandle,
    time::{Duration, Instant},
};

use delivery::Delivery;
use guard::named;
pub use order::{Class, Event, Failure, Order, Refusal, Stage, Stretch, Ticket, Timings};
use prepare::Preparer;
pub use settings::EngineSettings;
use shared::Shared;

use crate::{
    metrics::Metrics,
    pack::{Component, Pack},
    pipeline::{
        PipelineError,
        lanes::is_small,
        parts::{Parts, Planner},
        schedule::SchedulerKind,
    },
    runtime::{Device, SessionSettings},
};

/// How busy the engine is.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Load {
    /// Orders that wait.
    pub waiting: usize,
    /// Orders with a row in the denoiser.
    pub running: usize,
    /// Row-steps that wait or are under way.
    pub row_steps: u64,
    /// Row-steps a second, measured; `None` before the first calls.
    pub rate: Option<f64>,
    /// Age of the oldest order that waits.
    pub oldest: Option<Duration>,
}

/// What the engine serves, as others need to know it.
#[derive(Debug, Clone, PartialEq)]
pub struct ModelFacts {
    /// `name@hash` of the pack.
    pub version: String,
    /// The pack's name.
    pub name: String,
    /// Width and height in pixels where a request names none.
    pub size: (usize, usize),
    /// Width and height must be multiples of it.
    pub size_multiple: usize,
    /// The scheduler where a request names none.
    pub scheduler: SchedulerKind,
    /// The guidance scale where a request names none.
    pub guidance: f32,
    /// Whether it can start from a picture (has a VAE encoder).
    pub image_to_image: bool,
}

/// The step engine over one pack. Dropping it stops its threads; orders in flight end as failed.
#[derive(Debug)]
pub struct Engine {
    shared: Arc<Shared>,
    planner: Planner,
    model: ModelFacts,
    threads: Vec<JoinHandle<()>>,
}

impl Engine {
    /// Opens a session for each component, warms the denoiser at every bucket, and starts the threads.
    ///
    /// # Errors
    /// A pack that cannot be used, a missing library or device.
    pub fn start(
        pack: &Pack,
        device: Device,
        settings: &EngineSettings,
        metrics: Metrics,
    ) -> Result<Self, PipelineError> {
        crate::runtime::share_threads(settings.threads, settings.spinning);
        let threads = settings.threads;
        let sessions = SessionSettings { device, threads, shared_threads: true, ..SessionSettings::default() };
        // A picture a call: it must not depend on what else is decoded.
        const ONE_PICTURE: usize = 1;
        let mut parts = Parts::open(pack, &sessions, settings.lanes, ONE_PICTURE)?;
        let model = model_facts(pack, &parts.planner)?;
        let large = pack.model(Component::Unet).is_some_and(|unet| !is_small(unet));
        let settings = settings.clone().resolved(large && device == Device::Cpu);
        warm::denoiser(&mut parts, &settings)?;
        let palette = preview::Palette::fit(&mut parts.decoder, parts.planner.limits.channels())?;
        metrics.model_info.with_label_values(&["generator", &model.version]).set(1);
        let shared = Arc::new(Shared::new(settings, metrics));
        let planner = parts.planner.clone();
        let threads = start_threads(&shared, parts, palette);
        let engine = Self { shared, planner, model, threads };
        engine.warm_up()?;
        Ok(engine)
    }

    /// What it serves.
    pub fn model(&self) -> &ModelFacts {
        &self.model
    }

    /// Orders that wait before a new one, and how long it would take if all that is in the engine were done first.
    ///
    /// A request that the pack cannot do takes no time.
    pub fn estimate(&self, order: &Order) -> (usize, Duration) {
        let each = self.planner.plan(&order.request).map_or(0, |plan| plan.row_steps_after(0));
        self.shared.book().estimate(each * order.request.count as u64)
    }

    /// Admits an order, or says why not. Costs no model call.
    ///
    /// # Errors
    /// A request that the pack cannot do, or no room for it.
    pub fn submit(&self, order: Order) -> Result<Ticket, Refusal> {
        let plan = Arc::new(self.planner.plan(&order.request)?);
        let admitted = self.shared.book().admit(order, plan, &self.shared.settings, Instant::now());
        if let Err(refusal) = &admitted
            && let Some(reason) = refusal.reason()
        {
            self.shared.metrics.rejected_total.with_label_values(&[reason]).inc();
        }
        self.shared.announce();
        self.shared.gauge();
        admitted
    }

    /// How busy it is.
    pub fn load(&self) -> Load {
        self.shared.gauge();
        self.shared.book().load()
    }

    /// Whether a thread of it panicked: it draws nothing any more, and only a restart helps.
    pub fn is_broken(&self) -> bool {
        self.shared.book().is_broken()
    }

    #[cfg(test)]
    pub(crate) fn break_down(&self) {
        self.shared.break_down();
    }

    /// Takes no more orders; those that were taken are drawn.
    pub fn drain(&self) {
        self.shared.book().drain();
    }

    /// Draws a picture, so that the first request finds every component used once and the rate known. The denoiser is warm
    /// already: a rate with its first calls in it would refuse what can be done in time.
    fn warm_up(&self) -> Result<(), PipelineError> {
        use crate::pipeline::Request;
        let request = Request { steps: 2, ..Request::default() };
        let order = Order {
            request,
            client: "warm-up".into(),
            class: Class::Interactive,
            deadline: None,
            previews: 0,
            optional: 0,
            deterministic: false,
        };
        let mut ticket = self.submit(order).map_err(|refusal| PipelineError::WarmUp(refusal.to_string()))?;
        // A thread of its own: the caller's may be driving a runtime, which must not be blocked this way.
        let failure = std::thread::scope(|scope| scope.spawn(move || ticket.failure()).join());
        match failure {
            Ok(Some(failure)) => Err(PipelineError::WarmUp(failure.to_string())),
            Ok(None) => Ok(()),
            Err(_) => Err(PipelineError::WarmUp("a thread panicked".to_owned())),
        }
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        self.shared.book().stopped = true;
        self.shared.announce();
        for thread in self.threads.drain(..) {
            if thread.join().is_err() {
                tracing::error!("a thread of the engine had panicked");
            }
        }
    }
}

fn model_facts(pack: &Pack, planner: &Planner) -> Result<ModelFacts, PipelineError> {
    let version = pack.version();
    Ok(ModelFacts {
        name: version.split('@').next().unwrap_or_default().to_owned(),
        version,
        size: planner.limits.size,
        size_multiple: planner.limits.multiple(),
        scheduler: planner.default_scheduler()?,
        guidance: planner.guidance,
        image_to_image: planner.limits.image_to_image,
    })
}

fn start_threads(shared: &Arc<Shared>, parts: Parts, palette: preview::Palette) -> Vec<JoinHandle<()>> {
    let Parts { text_encoder, denoiser, decoder, image_encoder, safety, planner, tokenizer } = parts;
    let features = moka::sync::Cache::new(shared.settings.prompt_cache);
    let preparer = Preparer { tokenizer, text_encoder, image_encoder, planner, features };
    let finisher = finish::Finisher { decoder, safety, palette };
    let (finish, work) = mpsc::sync_channel(shared.settings.max_undecoded);
    let [for_steps, for_preparing, for_finishing] = std::array::from_fn(|_| shared.clone());
    vec![
        named(shared, "steps", move || steps::run(&for_steps, denoiser, &finish)),
        named(shared, "prepare", move || prepare::run(&for_preparing, preparer)),
        named(shared, "finish", move || finish::run(&for_finishing, &work, finisher)),
    ]
}
