//! The only wiring: settings in, a server out.

use std::{
    net::{SocketAddr, TcpListener},
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use actix_web::{
    HttpServer,
    dev::{Server, ServerHandle},
    http::KeepAlive,
    web,
};
use anyhow::{Context, ensure};

use crate::{
    api::{self, Decoders, Keys, Rates, Rules},
    engine::Engine,
    feedback::{self, Tokens},
    jobs::Jobs,
    metrics::Metrics,
    pack::Pack,
    registry::{Kind, Registry},
    runtime::Device,
    scoring::{RewardManifest, Scorer, ScoringSettings},
    settings::{ServerSettings, Settings},
    store::Store,
    swap::{self, Start, Swapper},
    trainer::Trainer,
    trial::Trials,
};

/// What every handler shares.
#[derive(Debug)]
pub struct State {
    /// As the server was started.
    pub settings: Settings,
    /// What draws.
    pub engine: Arc<Engine>,
    /// What scores pictures; a pack without a CLIP has none.
    pub scorer: Option<Scorer>,
    /// What was asked for.
    pub jobs: Jobs,
    /// What is kept.
    pub store: Store,
    /// What can be served, and what was.
    pub registry: Registry,
    /// What makes a version serve here.
    pub swapper: Swapper,
    /// What is tried beside the champion.
    pub trials: Trials,
    /// What is counted.
    pub metrics: Metrics,
    /// What lets people vote.
    pub tokens: Tokens,
    /// How often clients may ask.
    pub rates: Rates,
    /// Whether there are keys.
    pub keys: Keys,
    /// Where it computes.
    pub device: Device,
    /// Where jobs run.
    pub(crate) runtime: tokio::runtime::Handle,
    /// Unix seconds.
    pub started: i64,
    pub(crate) rules: Rules,
    pub(crate) decoders: Decoders,
    draining: AtomicBool,
}

impl State {
    /// Whether the server stops: it takes no new work.
    pub fn is_draining(&self) -> bool {
        self.draining.load(Ordering::Relaxed)
    }
}

/// Unix seconds.
pub(crate) fn now() -> i64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs() as i64)
}

/// A server that listens.
pub struct Application {
    state: web::Data<State>,
    server: Server,
    address: SocketAddr,
    trainer: Option<Trainer>,
}

impl std::fmt::Debug for Starting {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Starting").field("listener", &self.listener).finish_non_exhaustive()
    }
}

impl std::fmt::Debug for Application {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Application").field("address", &self.address).finish_non_exhaustive()
    }
}

/// A server that listens and has no engine yet: probes are answered, everything else is `not_ready`.
pub struct Starting {
    settings: Settings,
    store: Store,
    keys: Keys,
    listener: TcpListener,
    meanwhile: ServerHandle,
}

impl Starting {
    /// Opens the store and listens.
    ///
    /// # Errors
    /// Whatever keeps it from that, with what to do about it.
    pub async fn listen(settings: Settings) -> anyhow::Result<Self> {
        let store = Store::open_with(&settings.server.data, &settings.store).await?;
        let keys = Keys::default();
        let address = settings.server.listen;
        let safe = address.ip().is_loopback() || settings.server.allow_anonymous || keys.any(&store).await?;
        ensure!(
            safe,
            "{address} can be reached from outside and there is no key: anybody could draw. Make a key with \
             `plaudit keys create NAME --data {}`, or serve everybody with --allow-anonymous",
            settings.server.data.display()
        );
        let listener = TcpListener::bind(address).with_context(|| {
            format!("cannot listen on {address}; is another server there? Choose another with --listen ADDRESS:PORT")
        })?;
        bound_writing(&listener, &settings.server)?;
        let meanwhile = meanwhile(listener.try_clone()?)?;
        Ok(Self { settings, store, keys, listener, meanwhile })
    }

    /// Where it listens; the port is the system's choice if it was 0.
    ///
    /// # Errors
    /// If the system does not tell.
    pub fn address(&self) -> std::io::Result<SocketAddr> {
        self.listener.local_addr()
    }

    /// Starts the engine over the pack, and serves. Connections that come between wait in the system's queue.
    ///
    /// # Errors
    /// A pack that cannot be used, with what to do about it.
    pub async fn load(self, pack: &Path) -> anyhow::Result<Application> {
        let Self { settings, store, keys, listener, meanwhile } = self;
        let state = state(settings, store, keys, pack).await;
        meanwhile.stop(true).await;
        let (state, address) = (web::Data::new(state?), listener.local_addr()?);
        let server = serve(state.clone(), listener)?;
        let trains = state.settings.training.with_training;
        let trainer = trains.then(|| Trainer::start(&state.settings)).transpose()?;
        Ok(Application { state, server, address, trainer })
    }
}

/// Connections whose other end takes nothing for so long are cut by the system; actix would keep them, and their answers, for ever.
/// And the system takes no more of an answer than it may leave unsent. They inherit both from the listener.
fn bound_writing(listener: &TcpListener, settings: &ServerSettings) -> std::io::Result<()> {
    #[cfg(target_os = "linux")]
    {
        let socket = socket2::SockRef::from(listener);
        socket.set_tcp_user_timeout(Some(Duration::from_secs(settings.write_timeout)))?;
        socket.set_tcp_notsent_lowat(settings.unsent)?;
    }
    #[cfg(not(target_os = "linux"))]
    let _ = (listener, settings);
    Ok(())
}

/// The server until there is an engine. Its connections close after an answer, so that none is left with it.
fn meanwhile(listener: TcpListener) -> anyhow::Result<ServerHandle> {
    /// Seconds for the answers that are on their way.
    const GRACE: u64 = 1;
    let server = HttpServer::new(api::starting)
        .workers(1)
        .keep_alive(KeepAlive::Disabled)
        .shutdown_timeout(GRACE)
        .disable_signals()
        .listen(listener)?
        .run();
    let handle = server.handle();
    tokio::spawn(server);
    Ok(handle)
}

impl Application {
    /// Listens, loads and serves. Signals are the caller's concern.
    ///
    /// # Errors
    /// Whatever keeps it from serving, with what to do about it.
    pub async fn start(settings: Settings, pack: &Path) -> anyhow::Result<Self> {
        Starting::listen(settings).await?.load(pack).await
    }

    /// Where it listens; the port is the system's choice if it was 0.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// What its handlers share.
    pub fn state(&self) -> &State {
        &self.state
    }

    /// Serves until `stop` is ready, then drains: readiness falls, new work is refused, what is in flight is finished within
    /// the grace, queued kept jobs stay for the next start.
    ///
    /// # Errors
    /// If the server fails, or the engine broke down: then it has drained too.
    pub async fn run_until(self, stop: impl Future<Output = ()>) -> anyhow::Result<()> {
        let handle = self.server.handle();
        let serving = tokio::spawn(self.server);
        let forgetting = tokio::spawn(forget_idle_clients(self.state.clone()));
        let reviewing = tokio::spawn(review_votes(self.state.clone()));
        let broken = tokio::select! {
            () = stop => false,
            () = breakdown(&self.state.engine) => true,
        };
        let trainer = self.trainer;
        let ending = tokio::task::spawn_blocking(move || drop(trainer));
        drain(&self.state, &handle).await;
        ending.await?;
        forgetting.abort();
        reviewing.abort();
        serving.await??;
        ensure!(!broken, "the engine broke down, see the log; kept jobs go on at the next start");
        Ok(())
    }
}

async fn state(settings: Settings, store: Store, keys: Keys, pack: &Path) -> anyhow::Result<State> {
    let device = settings.server.device.resolve()?;
    store.set_ballast(settings.jobs.ballast)?;
    let metrics = Metrics::new();
    let registry = Registry::open(store.clone(), settings.registry.clone()).await?;
    let first = swap::start(&registry, pack).await?;
    let (engine, scorer) = {
        let (settings, metrics) = (settings.clone(), metrics.clone());
        tokio::task::spawn_blocking(move || load(first, device, &settings, &metrics)).await??
    };
    let swapper = follow(&registry, &engine, scorer.as_ref(), &metrics, &settings, pack).await?;
    let jobs =
        Jobs::open(store.clone(), engine.clone(), metrics.clone(), scorer.clone(), settings.jobs.clone()).await?;
    let trials = Trials::follow(
        store.clone(),
        registry.clone(),
        swapper.clone(),
        jobs.watch(),
        settings.trial.clone(),
        metrics.clone(),
    );
    Ok(State {
        tokens: Tokens::new(store.feedback_secret(), settings.feedback.token_ttl),
        rates: Rates::new(&settings.limits, &settings.feedback),
        rules: Rules::new(&engine.model(), &settings.limits, scorer.as_ref(), &settings.best_of),
        decoders: Decoders::new(settings.server.decoders),
        draining: AtomicBool::new(false),
        runtime: tokio::runtime::Handle::current(),
        started: now(),
        settings,
        engine,
        scorer,
        jobs,
        store,
        registry,
        trials,
        swapper,
        metrics,
        keys,
        device,
    })
}

/// The engine over the first generator, and what scores. A champion that cannot serve leaves its place to what was given.
fn load(
    first: Start,
    device: Device,
    settings: &Settings,
    metrics: &Metrics,
) -> anyhow::Result<(Arc<Engine>, Option<Scorer>)> {
    let Start { pack, given, reward } = first;
    // The engine first: it sets up the threads that both share.
    let start = |pack: &Pack| Engine::start(pack, device, &settings.engine, metrics.clone());
    let (engine, pack) = match (start(&pack), given) {
        (Err(error), Some(given)) => {
            tracing::error!("{} cannot serve, {} does: {error:#}", pack.version(), given.version());
            (start(&given)?, given)
        }
        (started, _) => (started?, pack),
    };
    let score = |reward: Option<PathBuf>| {
        let reward = reward.or_else(|| settings.scoring.reward.clone());
        Scorer::start(&pack, device, &ScoringSettings { reward, ..settings.scoring.clone() }, metrics.clone())
    };
    let scorer = match (score(reward.clone()), reward) {
        (Err(error), Some(reward)) => {
            tracing::error!("{} cannot score: {error:#}", reward.display());
            score(None)
        }
        (scorer, _) => scorer,
    };
    Ok((Arc::new(engine), scorer?))
}

/// From now on what serves is what the registry says.
async fn follow(
    registry: &Registry,
    engine: &Arc<Engine>,
    scorer: Option<&Scorer>,
    metrics: &Metrics,
    settings: &Settings,
    pack: &Path,
) -> anyhow::Result<Swapper> {
    let given = Pack::open(pack)?.version();
    tell_served(registry, Kind::Generator, &engine.model().version).await?;
    let reward = scorer.and_then(Scorer::reward);
    if let (Some(given), Some(reward)) = (&settings.scoring.reward, &reward)
        && RewardManifest::of(given).is_some_and(|given| given.version() != reward.version())
    {
        tracing::warn!(
            "--scoring-reward is {}, but {} is champion and serves; \
             `plaudit registry publish` and `promote` change that (docs/registry.md)",
            given.display(),
            reward.version()
        );
    }
    if let Some(reward) = &reward {
        metrics.model_info.with_label_values(&["reward", reward.version()]).set(1);
        tell_served(registry, Kind::Reward, reward.version()).await?;
    }
    let (into, folder) = (registry.clone(), pack.to_owned());
    let adopt = async move {
        swap::adopt(into.clone(), Kind::Generator, folder, given).await;
        if let Some(reward) = reward {
            swap::adopt(into, Kind::Reward, reward.folder().to_owned(), reward.version().to_owned()).await;
        }
    };
    let (registry, engine, scorer) = (registry.clone(), engine.clone(), scorer.cloned());
    Ok(Swapper::follow(registry, engine, scorer, metrics.clone(), settings.swap.clone(), adopt))
}

/// Writes down what this server serves. A pack may have a name that no version has: it is served all the same.
async fn tell_served(registry: &Registry, kind: Kind, version: &str) -> anyhow::Result<()> {
    match version.parse() {
        Ok(version) => registry.began_serving(kind, &version).await?,
        Err(error) => tracing::warn!("what is served cannot be written down: {error}"),
    }
    Ok(())
}

fn serve(state: web::Data<State>, listener: TcpListener) -> anyhow::Result<Server> {
    let settings = state.settings.server.clone();
    let document = api::openapi(&state.rules)?;
    let seconds = Duration::from_secs;
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let server = HttpServer::new(move || api::application(state.clone(), &document))
        .workers(if settings.workers == 0 { cores } else { settings.workers })
        .max_connections(settings.max_connections)
        .client_request_timeout(seconds(settings.header_timeout))
        .keep_alive(seconds(settings.keep_alive))
        // A client that goes away takes its handler with it, and its job unless that is kept (see api::submit).
        .h1_allow_half_closed(false)
        .shutdown_timeout(settings.grace)
        .disable_signals()
        .listen(listener)?;
    Ok(server.run())
}

async fn drain(state: &State, handle: &ServerHandle) {
    state.draining.store(true, Ordering::Relaxed);
    tracing::info!("stopping: no new work is taken, {} s for what is in flight", state.settings.server.grace);
    state.jobs.drain(state.settings.server.grace()).await;
    handle.stop(true).await;
    state.store.close().await;
}

/// Waits until the engine cannot draw any more. Who supervises the process starts it anew.
async fn breakdown(engine: &Engine) {
    const EVERY: Duration = Duration::from_secs(1);
    while !engine.is_broken() {
        tokio::time::sleep(EVERY).await;
    }
}

/// Raters are judged, votes are counted, old answers are forgotten.
async fn review_votes(state: web::Data<State>) {
    let settings = &state.settings.feedback;
    let mut ticks = tokio::time::interval(Duration::from_secs(settings.review_interval));
    let mut seen = 0;
    loop {
        ticks.tick().await;
        match feedback::review(&state.store, settings, seen).await {
            Ok(place) => seen = place,
            Err(error) => tracing::warn!("raters cannot be reviewed: {error:#}"),
        }
        if let Err(error) = keep_votes_tidy(&state).await {
            tracing::warn!("votes cannot be counted: {error:#}");
        }
    }
}

async fn keep_votes_tidy(state: &State) -> anyhow::Result<()> {
    state.metrics.votes_untrained.set(state.store.votes_to_learn().await?);
    state.store.recount_voted().await?;
    let window = state.settings.feedback.retry_window.try_into().unwrap_or(i64::MAX);
    state.store.forget_casts(now().saturating_sub(window)).await
}

/// Buckets of clients that are full again tell nothing.
async fn forget_idle_clients(state: web::Data<State>) {
    const EVERY: Duration = Duration::from_secs(60);
    let mut ticks = tokio::time::interval(EVERY);
    loop {
        ticks.tick().await;
        state.rates.forget();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[actix_web::test]
    async fn a_server_whose_engine_broke_down_ends_with_an_error() {
        let data = tempfile::tempdir().expect("a folder");
        let folder = data.path().to_str().expect("a path");
        let flags = ["--listen", "127.0.0.1:0", "--device", "cpu", "--jobs-ballast", "0", "--data", folder];
        let settings = Settings::from_flags(flags).expect("settings");
        let pack = Path::new(env!("CARGO_MANIFEST_DIR")).join("onnx/packs/miniature");
        let application = Application::start(settings, &pack).await.expect("a server");
        application.state().engine.break_down();
        const PATIENCE: Duration = Duration::from_secs(60);
        let ended = tokio::time::timeout(PATIENCE, application.run_until(std::future::pending())).await;
        let error = ended.expect("it ends").expect_err("not as if it had been told to");
        assert!(error.to_string().contains("broke down"), "{error}");
    }
}
