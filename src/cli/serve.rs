//! `plaudit serve`: the pack over HTTP.

use std::path::PathBuf;

use clap::Args;
use plaudit::{
    app::Application,
    settings::{LogFormat, LogSettings, Settings},
    traces::Traces,
};
use tokio::signal::unix::{SignalKind, signal};
use tracing_subscriber::EnvFilter;

use super::generate::locate;

/// What `plaudit serve` is told.
#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// A file of settings; by default plaudit.toml where it is there
    #[arg(long, env = "PLAUDIT_CONFIG", value_name = "FILE")]
    config: Option<PathBuf>,

    /// Print every setting with its value, unit, default and origin, and leave
    #[arg(long)]
    print_settings: bool,

    #[command(flatten)]
    settings: Settings,
}

/// Serves until it is told to stop.
pub(crate) fn run(arguments: Arguments) -> anyhow::Result<()> {
    log(&arguments.settings.log)?;
    // Its client must not be made inside a runtime.
    let traces = arguments.settings.log.traces.as_deref().map(Traces::start).transpose()?;
    let served = tokio::runtime::Builder::new_multi_thread().enable_all().build()?.block_on(serve(arguments.settings));
    traces.iter().for_each(Traces::stop);
    served
}

async fn serve(settings: Settings) -> anyhow::Result<()> {
    let pack = settings.server.pack.clone().map_or_else(locate::bundled_pack, Ok)?;
    // Before anything listens: a signal in between must not be lost.
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let application = Application::start(settings, &pack).await?;
    greet(&application);
    let stop = async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
    };
    application.run_until(stop).await
}

/// What is served, where, and what to do next.
fn greet(application: &Application) {
    let (state, address) = (application.state(), application.address());
    let model = state.engine.model();
    let (width, height) = model.size;
    eprintln!("plaudit serves {} ({width}x{height}) on {}", model.version, state.device);
    eprintln!("  page       http://{address}/");
    eprintln!("  API        http://{address}/docs/");
    eprintln!("  data       {}", state.store.data().display());
    eprintln!("Try:");
    eprintln!("  curl http://{address}/v1/images/generations -H 'Content-Type: application/json' \\");
    eprintln!("    -d '{{\"prompt\": \"two blue stars on the beach\", \"response_format\": \"url\"}}'");
}

fn log(settings: &LogSettings) -> anyhow::Result<()> {
    let filter = EnvFilter::try_new(&settings.level)
        .map_err(|error| anyhow::anyhow!("--log-level {:?} cannot be read: {error}", settings.level))?;
    let lines =
        tracing_subscriber::fmt().with_env_filter(filter).with_ansi(super::colours()).with_writer(std::io::stderr);
    match settings.format {
        LogFormat::Text => lines.init(),
        LogFormat::Json => lines.json().flatten_event(true).init(),
    }
    Ok(())
}
