//! `/metrics`, `/health/live` and `/health/ready` of the daemon, on a listener of its own.

use std::{
    net::{SocketAddr, TcpListener},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use actix_web::{App, HttpResponse, HttpServer, web};
use prometheus::{Gauge, GaugeVec, HistogramOpts, HistogramVec, IntCounterVec, IntGauge, Opts, Registry, TextEncoder};

use super::{DaemonError, DaemonSettings};

/// Stages take from seconds to hours.
const SECONDS: [f64; 8] = [1.0, 10.0, 60.0, 300.0, 900.0, 3600.0, 14400.0, 43200.0];

/// What the daemon counts; docs/daemon.md has the table. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Metrics {
    registry: Registry,
    /// Whether the last look at the database succeeded.
    ready: Arc<AtomicBool>,
    pub(super) looks: IntCounterVec,
    pub(super) refusals: IntCounterVec,
    pub(super) stage: GaugeVec,
    pub(super) stage_seconds: HistogramVec,
    pub(super) round: IntGauge,
    pub(super) waiting: IntGauge,
    pub(super) lease: IntGauge,
    pub(super) success: Gauge,
}

impl Metrics {
    /// All at zero.
    ///
    /// # Errors
    /// A name that is taken.
    pub fn new() -> Result<Self, DaemonError> {
        let made = Self {
            registry: Registry::new(),
            ready: Arc::default(),
            looks: IntCounterVec::new(
                Opts::new("plaudit_train_looks_total", "looks at the votes by what came of them"),
                &["result"],
            )?,
            refusals: IntCounterVec::new(
                Opts::new("plaudit_train_refusals_total", "votes that were not learned from, by reason"),
                &["reason"],
            )?,
            stage: GaugeVec::new(Opts::new("plaudit_train_stage", "1 for the stage that a round is in"), &["stage"])?,
            stage_seconds: HistogramVec::new(
                HistogramOpts::new("plaudit_train_stage_seconds", "how long a stage of a round took")
                    .buckets(SECONDS.to_vec()),
                &["stage"],
            )?,
            round: IntGauge::new("plaudit_train_round", "number of the round that goes on; 0: none")?,
            waiting: IntGauge::new(
                "plaudit_train_votes_waiting",
                "votes since the last round that could be learned from",
            )?,
            lease: IntGauge::new("plaudit_train_lease_held", "1 while this daemon is the one that acts")?,
            success: Gauge::new(
                "plaudit_train_last_success_timestamp_seconds",
                "when a round last went through; 0: not since the start",
            )?,
        };
        for collector in [
            Box::new(made.looks.clone()) as Box<dyn prometheus::core::Collector>,
            Box::new(made.refusals.clone()),
            Box::new(made.stage.clone()),
            Box::new(made.stage_seconds.clone()),
            Box::new(made.round.clone()),
            Box::new(made.waiting.clone()),
            Box::new(made.lease.clone()),
            Box::new(made.success.clone()),
        ] {
            made.registry.register(collector)?;
        }
        Ok(made)
    }

    /// Whether the daemon can do its work.
    pub(super) fn is_ready(&self, ready: bool) {
        self.ready.store(ready, Ordering::Relaxed);
    }

    /// The page of `/metrics`.
    pub fn text(&self) -> String {
        TextEncoder::new().encode_to_string(&self.registry.gather()).unwrap_or_default()
    }
}

/// Serves the three until the process ends; the address, whose port is the system's choice if it was 0.
pub(super) fn serve(settings: &DaemonSettings, metrics: &Metrics) -> Result<SocketAddr, DaemonError> {
    let address = settings.listen;
    let listen = |source| DaemonError::Listen { address, source };
    let listener = TcpListener::bind(address).map_err(listen)?;
    let bound = listener.local_addr().map_err(listen)?;
    let metrics = web::Data::new(metrics.clone());
    let app = move || {
        App::new()
            .app_data(metrics.clone())
            .route("/metrics", web::get().to(page))
            .route("/health/live", web::get().to(async || HttpResponse::Ok().body("ok\n")))
            .route("/health/ready", web::get().to(ready))
    };
    let server = HttpServer::new(app).workers(1).disable_signals().listen(listener).map_err(listen)?.run();
    tokio::spawn(server);
    Ok(bound)
}

async fn page(metrics: web::Data<Metrics>) -> HttpResponse {
    HttpResponse::Ok().content_type("text/plain; version=0.0.4").body(metrics.text())
}

async fn ready(metrics: web::Data<Metrics>) -> HttpResponse {
    match metrics.ready.load(Ordering::Relaxed) {
        true => HttpResponse::Ok().body("ok\n"),
        false => HttpResponse::ServiceUnavailable()
            .body("the last look at the database failed, or there was none yet; the log says more\n"),
    }
}
