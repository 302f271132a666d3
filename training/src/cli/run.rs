//! `plaudit-train run`.

use std::process::ExitCode;

use plaudit_training::daemon::{Daemon, DaemonError, DaemonSettings};
use tokio::signal::unix::{SignalKind, signal};

/// What an error exits with, beside the codes of `Done::exit_code`.
const ERROR: u8 = 2;

/// Watch the votes of a server and learn from them: reward, gate, tuning, gate, publication, trial.
///
/// Whatever is done is written down before: run again after a kill, it goes on. Of several on one database one acts. docs/daemon.md says
/// when a round begins, which votes are refused, and what a round leaves.
///
/// Exit codes with --once: 0 a round went through, 1 a gate refused its version, 2 an error, 3 nothing to do yet, 4 the votes are not fit to
/// learn from, 5 no round may begin now, 6 another daemon acts, 7 what the round began with is gone.
#[derive(clap::Args)]
pub(crate) struct Run {
    /// Look once, do what there is to do, and leave: for cron and Kubernetes
    #[arg(long)]
    once: bool,
    #[command(flatten)]
    settings: DaemonSettings,
}

impl Run {
    /// Does it until it is told to stop; with `--once` the exit code says what came of it.
    pub(crate) fn run(self) -> ExitCode {
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
        let ended = match runtime {
            // A step in another thread is not waited for: what it has done is on the disk, and the next process goes on from there.
            Ok(runtime) => {
                let ended = runtime.block_on(self.act());
                runtime.shutdown_background();
                ended
            }
            Err(error) => Err(DaemonError::Store(error.into())),
        };
        ended.unwrap_or_else(|error| {
            eprintln!("Error: {error:#}");
            ExitCode::from(ERROR)
        })
    }

    async fn act(self) -> Result<ExitCode, DaemonError> {
        let daemon = Daemon::open(self.settings).await?;
        let ended = tokio::select! {
            ended = work(&daemon, self.once) => ended,
            stopped = told_to_stop() => stopped.map(|()| {
                tracing::info!("stops; a round that goes on is gone on with at the next start");
                ExitCode::SUCCESS
            }),
        };
        daemon.resign().await?;
        ended
    }
}

async fn work(daemon: &Daemon, once: bool) -> Result<ExitCode, DaemonError> {
    if once {
        let done = daemon.once().await?;
        println!("{done}");
        return Ok(ExitCode::from(done.exit_code()));
    }
    let address = daemon.listen()?;
    tracing::info!("metrics and probes on http://{address}/metrics, /health/live, /health/ready");
    daemon.follow().await.map(|()| ExitCode::SUCCESS)
}

async fn told_to_stop() -> Result<(), DaemonError> {
    let listen = |kind| signal(kind).map_err(|error| DaemonError::Store(error.into()));
    let (mut terminate, mut interrupt) = (listen(SignalKind::terminate())?, listen(SignalKind::interrupt())?);
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
    Ok(())
}
