//! Many requests, one denoiser: rows of different requests share each call of the UNet.
//!
//! An [`Order`] passes four files: [`Engine::submit`] writes it into the `book` (by `admission`: limits, fairness, deadlines);
//! `prepare` makes its text features and first latents; `steps` batches the rows that are due, whatever their timesteps,
//! schedulers, guidance scales and step counts, and steps each by its own schedule; `finish` decodes beside the loop.
//! Each of the last three is a thread, the only one that calls those sessions. Whoever ordered hears [`Event`]s through a [`Ticket`];
//! dropping it takes the order's rows out before the next call.
//!
//! Versions of the generator come and go beside each other: an order is drawn by one [`Generator`] from its first step to its
//! last, [`Routes`] say which, and [`Engine::open`] opens another one while the engine draws.

mod admission;
mod book;
mod delivery;
mod fairness;
mod finish;
mod forecast;
mod generator;
mod guard;
mod job;
mod order;
mod part;
mod prepare;
mod preview;
mod rate;
mod route;
mod settings;
mod shared;
mod steps;
#[cfg(test)]
mod tests;
mod warm;

use std::{
    sync::{Arc, Mutex, PoisonError, Weak, mpsc},
    thread::JoinHandle,
    time::{Duration, Instant},
};

use arc_swap::ArcSwap;
use delivery::Delivery;
pub use generator::Generator;
use guard::named;
pub use order::{Class, Event, Failure, Order, Refusal, Stage, Stretch, Ticket, Timings};
use part::Releaser;
use plaudit_onnx::Model;
pub use route::{Routes, Trial, UnknownModel};
pub use settings::EngineSettings;
use shared::Shared;

use crate::{
    metrics::Metrics,
    pack::{Component, Pack, PackError},
    pipeline::{PipelineError, lanes::is_small, schedule::SchedulerKind},
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

/// The step engine. Dropping it stops its threads; orders in flight end as failed.
#[derive(Debug)]
pub struct Engine {
    shared: Arc<Shared>,
    routes: ArcSwap<Routes>,
    sessions: SessionSettings,
    /// Every version that was opened and that somebody may hold. Locked while one is opened.
    opened: Mutex<Vec<Weak<Generator>>>,
    threads: Vec<JoinHandle<()>>,
    // After the routes and the threads: what they hold is released by it.
    releaser: Releaser,
}

/// Why a version cannot draw beside the one that serves.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// Its sessions cannot be opened, or its first calls failed.
    #[error(transparent)]
    Pipeline(#[from] PipelineError),
    /// It computes something else than when it was made.
    #[error(transparent)]
    Pack(#[from] PackError),
    /// Clients were told otherwise of what is served here.
    #[error("it is another model, not another version: {}; serve it with --pack after a restart", .0.join("; "))]
    Differs(Vec<String>),
    /// What serves could not be drained.
    #[error("{0}")]
    Busy(&'static str),
    /// Neither the new version nor the one before could be opened.
    #[error("neither this version nor the one before could be opened; restart the server")]
    Lost,
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
        let large = pack.model(Component::Unet).is_some_and(|unet| !is_small(unet));
        let settings = settings.clone().resolved(large && device == Device::Cpu);
        let releaser = Releaser::start();
        let first = Arc::new(Generator::open(pack, &sessions, &settings, &[], &releaser)?);
        warm::denoiser(&first, &settings)?;
        metrics.model_info.with_label_values(&["generator", first.version()]).set(1);
        let shared = Arc::new(Shared::new(settings, metrics));
        let threads = start_threads(&shared);
        let opened = Mutex::new(vec![Arc::downgrade(&first)]);
        let routes = ArcSwap::from_pointee(Routes { champion: first, candidate: None });
        let engine = Self { shared, routes, sessions, opened, threads, releaser };
        engine.warm_up()?;
        Ok(engine)
    }

    /// Opens a version beside what serves, and warms it. Sessions of equal files are shared. It draws nothing until it is in the
    /// [`Routes`].
    ///
    /// # Errors
    /// See [`LoadError`]. What serves is as before.
    pub fn open(&self, pack: &Pack) -> Result<Arc<Generator>, LoadError> {
        let mut opened = self.opened.lock().unwrap_or_else(PoisonError::into_inner);
        let others: Vec<Arc<Generator>> = opened.iter().filter_map(Weak::upgrade).collect();
        if let Some(known) = others.iter().find(|other| other.version() == pack.version() && other.is_loaded()) {
            return Ok(known.clone());
        }
        let (settings, began) = (&self.shared.settings, Instant::now());
        let observe = |phase: &str, began: Instant| {
            self.shared.metrics.swap_seconds.with_label_values(&[phase]).observe(began.elapsed().as_secs_f64());
        };
        let made = Generator::open(pack, &self.sessions, settings, &others, &self.releaser)?;
        let differences = made.facts().differences(&self.model());
        if !differences.is_empty() {
            return Err(LoadError::Differs(differences));
        }
        observe("load", began);
        let began = Instant::now();
        if others.iter().all(|other| other.denoiser_id() != made.denoiser_id()) {
            warm::denoiser(&made, settings)?;
        }
        warm::picture(&made)?;
        observe("warm", began);
        let made = Arc::new(made);
        opened.retain(|other| other.strong_count() > 0);
        opened.push(Arc::downgrade(&made));
        Ok(made)
    }

    /// Serves a version for which there is no room beside what serves: takes no orders, waits until those that were taken are
    /// drawn, lets go of the sessions that differ, calls `verify`, which now has their room, opens the new ones, and goes on. If
    /// that fails, with what served before.
    ///
    /// # Errors
    /// See [`LoadError`]; [`LoadError::Busy`] if orders are not drawn within `patience`, or a trial goes on.
    pub fn replace(
        &self,
        pack: &Pack,
        patience: Duration,
        verify: impl FnOnce() -> Result<(), PackError>,
    ) -> Result<Arc<Generator>, LoadError> {
        let _paused = Paused::begin(&self.shared);
        let routes = self.routes();
        if routes.candidate.is_some() {
            return Err(LoadError::Busy("a trial goes on; end it first"));
        }
        let before = routes.champion.clone();
        drop(routes);
        // The routes' own, and this one.
        const OURS: usize = 2;
        const LOOK_EVERY: Duration = Duration::from_millis(20);
        let began = Instant::now();
        while Arc::strong_count(&before) > OURS {
            if began.elapsed() > patience {
                return Err(LoadError::Busy("what is being drawn did not end in time"));
            }
            std::thread::sleep(LOOK_EVERY);
        }
        before.unload_for(pack);
        self.release();
        let opened = verify().map_err(LoadError::Pack).and_then(|()| self.open(pack)).or_else(|error| {
            let before = Pack::open(before.folder()).map_err(|_| LoadError::Lost)?;
            let again = self.open(&before).map_err(|_| LoadError::Lost)?;
            self.serve(Routes { champion: again, candidate: None });
            Err(error)
        });
        if matches!(opened, Err(LoadError::Lost)) {
            self.shared.break_down();
        }
        let opened = opened?;
        self.serve(Routes { champion: opened.clone(), candidate: None });
        Ok(opened)
    }

    /// The components of a pack for which no session is open here.
    pub fn missing<'a>(&self, pack: &'a Pack) -> Vec<(Component, &'a Model)> {
        let opened = self.opened.lock().unwrap_or_else(PoisonError::into_inner);
        let others: Vec<Arc<Generator>> = opened.iter().filter_map(Weak::upgrade).collect();
        let is_open = |component| others.iter().any(|other| other.is_loaded() && other.has(pack, component));
        pack.components().filter(|(component, _)| !is_open(*component)).collect()
    }

    /// What draws.
    pub fn routes(&self) -> Arc<Routes> {
        self.routes.load_full()
    }

    /// From now on these draw. Orders that were taken before are drawn by what they began with.
    pub fn serve(&self, routes: Routes) {
        let before = self.routes.swap(Arc::new(routes));
        let now = self.routes();
        let served = |routes: &Routes| {
            let candidate = routes.candidate.as_ref().map(|trial| trial.generator.version().to_owned());
            std::iter::once(routes.champion.version().to_owned()).chain(candidate).collect::<Vec<_>>()
        };
        let (gone, here) = (served(&before), served(&now));
        let info = &self.shared.metrics.model_info;
        for version in gone.iter().filter(|version| !here.contains(version)) {
            let _ = info.remove_label_values(&["generator", version]);
        }
        here.iter().for_each(|version| info.with_label_values(&["generator", version]).set(1));
    }

    /// Versions that are in memory: those in the routes, and those that orders still hold.
    pub fn versions(&self) -> Vec<String> {
        let opened = self.opened.lock().unwrap_or_else(PoisonError::into_inner);
        opened.iter().filter_map(Weak::upgrade).map(|generator| generator.version().to_owned()).collect()
    }

    /// Waits until the memory of versions that nobody holds is given back.
    pub fn release(&self) {
        self.releaser.wait();
    }

    /// What it serves by default.
    pub fn model(&self) -> ModelFacts {
        self.routes.load().champion.facts().clone()
    }

    /// What a version is: the one that serves by default, unless the other is on trial.
    pub fn model_of(&self, version: &str) -> ModelFacts {
        let routes = self.routes.load();
        let candidate = routes.candidate.as_ref().map(|trial| &trial.generator);
        let found = candidate.filter(|generator| generator.version() == version).unwrap_or(&routes.champion);
        found.facts().clone()
    }

    /// Orders that wait before a new one, and how long it would take if all that is in the engine were done first.
    ///
    /// A request that the pack cannot do takes no time.
    pub fn estimate(&self, order: &Order) -> (usize, Duration) {
        let planner = &self.routes.load().champion.planner;
        let each = planner.plan(&order.request).map_or(0, |plan| plan.row_steps_after(0));
        self.shared.book().estimate(each * order.request.count as u64)
    }

    /// Admits an order that the champion draws, or says why not. Costs no model call.
    ///
    /// # Errors
    /// A request that the pack cannot do, or no room for it.
    pub fn submit(&self, order: Order) -> Result<Ticket, Refusal> {
        self.submit_to(&self.routes.load().champion, order)
    }

    /// Admits an order that a version draws, or says why not. Costs no model call.
    ///
    /// # Errors
    /// As [`Engine::submit`].
    pub fn submit_to(&self, generator: &Arc<Generator>, order: Order) -> Result<Ticket, Refusal> {
        let plan = Arc::new(generator.planner.plan(&order.request)?);
        let (generator, settings) = (generator.clone(), &self.shared.settings);
        let admitted = self.shared.book().admit(generator, order, plan, settings, Instant::now());
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

impl ModelFacts {
    /// In what clients would notice that it is another model than `other`, not another version of it. A version has a scheduler of its own: which
    /// one draws it best is learned with its weights, and a request that names none gets that of the version that draws.
    fn differences(&self, other: &Self) -> Vec<String> {
        let facts = |facts: &Self| {
            let Self { name, version: _, size, size_multiple, scheduler: _, guidance, image_to_image } = facts;
            [
                ("name", name.clone()),
                ("size", format!("{}x{}", size.0, size.1)),
                ("multiple of sizes", size_multiple.to_string()),
                ("guidance scale", guidance.to_string()),
                ("image to image", image_to_image.to_string()),
            ]
        };
        let pairs = facts(self).into_iter().zip(facts(other));
        let differ = pairs.filter(|((_, here), (_, there))| here != there);
        differ.map(|((fact, here), (_, there))| format!("its {fact} is {here}; {there} is served")).collect()
    }
}

/// No orders are taken as long as it lives.
struct Paused<'a>(&'a Shared);

impl<'a> Paused<'a> {
    fn begin(shared: &'a Shared) -> Self {
        shared.book().paused = true;
        Self(shared)
    }
}

impl Drop for Paused<'_> {
    fn drop(&mut self) {
        self.0.book().paused = false;
    }
}

fn start_threads(shared: &Arc<Shared>) -> Vec<JoinHandle<()>> {
    let (finish, work) = mpsc::sync_channel(shared.settings.max_undecoded);
    let [for_steps, for_preparing, for_finishing] = std::array::from_fn(|_| shared.clone());
    vec![
        named(shared, "steps", move || steps::run(&for_steps, &finish)),
        named(shared, "prepare", move || prepare::run(&for_preparing)),
        named(shared, "finish", move || finish::run(&for_finishing, &work)),
    ]
}
