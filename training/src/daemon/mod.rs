//! The daemon: votes become a reward, the reward a generator, the generator a trial, whenever there are enough new votes.
//!
//! [`Daemon::once`] is a look: it goes on with the round that was left, or begins one if there is reason to. What a round has done stands in the
//! database before the next step begins ([`plaudit::round`]), and its files under `DATA/runs`:
//!
//! ```text
//! DATA/runs/LOCK                  held by who works here
//! DATA/runs/round-7/votes/        the votes, as exported
//! DATA/runs/round-7/learned/      those that the generator may learn from, golden/ those that rewards are compared on
//! DATA/runs/round-7/reward/       a reward's training; reward/pack is the reward
//! DATA/runs/round-7/reward-gate/  evidence
//! DATA/runs/round-7/tune/         a generator's training; tune/pack is the generator
//! DATA/runs/round-7/generator-gate/
//! ```
//!
//! Every step can be done twice: what lies whole at its place is taken, what is half done goes on, publishing the same is one version. So a
//! process that is killed anywhere leaves a round that the next one goes on with. `lease` says who acts, `health` which votes are fit,
//! `begin` when a round begins, `steps` what is done, `crash` where tests kill.

mod begin;
mod crash;
mod done;
mod error;
#[cfg(test)]
mod fixture;
mod health;
#[cfg(test)]
mod kills;
mod lease;
mod probes;
mod sets;
mod settings;
mod steps;
#[cfg(test)]
mod tests;

use std::{net::SocketAddr, path::PathBuf, time::Duration};

use plaudit::{
    registry::Registry,
    round::{RoundOutcome, RoundRecord},
    store::Store,
};

pub use done::Done;
pub use error::DaemonError;
pub use health::{Health, Refusal};
pub use probes::Metrics;
pub use settings::{DaemonSettings, Learning, Passing, Release, Soundness, TuneObjective, Watermark};

use lease::Held;
use steps::{Next, Step};

/// Folder of runs, under the server's directory.
const RUNS: &str = "runs";
/// Who publishes and promotes.
const ACTOR: &str = "plaudit-train run";

/// What watches the votes of a database and learns from them.
#[derive(Debug)]
pub struct Daemon {
    store: Store,
    registry: Registry,
    settings: DaemonSettings,
    metrics: Metrics,
    holder: String,
    runs: PathBuf,
}

impl Daemon {
    /// Opens the store beside the server that may be running on it.
    ///
    /// # Errors
    /// A directory or database that cannot be used.
    pub async fn open(settings: DaemonSettings) -> Result<Self, DaemonError> {
        settings.learning.check()?;
        let store = Store::attach_with(&settings.data, &settings.store).await?;
        let registry = Registry::open(store.clone(), settings.registry.clone()).await?;
        let runs = settings.data.join(RUNS);
        Ok(Self { store, registry, settings, metrics: Metrics::new()?, holder: lease::holder(), runs })
    }

    /// What it counts.
    pub fn metrics(&self) -> &Metrics {
        &self.metrics
    }

    /// Serves metrics and probes until the process ends; where.
    ///
    /// # Errors
    /// An address that cannot be had.
    pub fn listen(&self) -> Result<SocketAddr, DaemonError> {
        probes::serve(&self.settings, &self.metrics)
    }

    /// Looks again and again. Ends by an error of the kind that another look does not mend.
    ///
    /// # Errors
    /// See [`DaemonError`].
    pub async fn follow(&self) -> Result<(), DaemonError> {
        let mut said = String::new();
        loop {
            match self.once().await {
                Ok(done) => {
                    // What does not change is said once.
                    let line = done.to_string();
                    if line != said {
                        tracing::info!(result = done.name(), "{line}");
                        said = line;
                    }
                }
                Err(error @ DaemonError::Panicked(_)) => return Err(error),
                Err(error) => tracing::warn!("the look failed: {error}"),
            }
            tokio::time::sleep(Duration::from_secs(self.settings.poll.into())).await;
        }
    }

    /// One look: goes on with the round that was left, or begins one, and does it to its end.
    ///
    /// # Errors
    /// A database that cannot be used, a directory that another daemon works in. What fails in a step ends the round: [`Done::Failed`].
    pub async fn once(&self) -> Result<Done, DaemonError> {
        let done = self.look().await;
        self.metrics.is_ready(done.is_ok());
        self.metrics.lease.set(0);
        if let Ok(done) = &done {
            self.metrics.looks.with_label_values(&[done.name()]).inc();
            if let Done::Unfit(refusal) = done {
                self.metrics.refusals.with_label_values(&[refusal.name()]).inc();
            }
        }
        done
    }

    async fn look(&self) -> Result<Done, DaemonError> {
        let Some(held) = Held::take(&self.store, &self.holder, self.settings.lease).await? else {
            let holder = self.store.training_lease().await?.map_or_else(String::new, |lease| lease.holder);
            return Ok(Done::Standby(format!("{holder} holds the lease")));
        };
        self.metrics.lease.set(1);
        self.metrics.is_ready(true);
        let done = self.act(&held).await;
        self.metrics.round.set(0);
        self.metrics.stage.reset();
        held.give_back(&self.store).await?;
        done
    }

    /// With the lease: the round that was left, or a new one.
    async fn act(&self, held: &Held) -> Result<Done, DaemonError> {
        let _alone = lease::hold(&self.runs)?;
        if let Some(left) = self.store.round().await? {
            tracing::info!(round = left.sequence, stage = left.stage.name(), "goes on with the round that was left");
            return self.go(held, left).await;
        }
        match begin::reason(self).await? {
            begin::Reason::Not(done) => Ok(done),
            begin::Reason::Begin(round) => {
                let begun = self.store.begin_round(&held.lease, &round).await?;
                self.go(held, begun.ok_or(DaemonError::Lost)?).await
            }
        }
    }

    /// Does the steps of a round from where it stands. Each is written down before it begins.
    async fn go(&self, held: &Held, mut round: RoundRecord) -> Result<Done, DaemonError> {
        crash::pass(crash::CrashPoint::Begun);
        self.metrics.round.set(round.sequence);
        loop {
            let began = std::time::Instant::now();
            let stage = round.stage.name();
            self.metrics.stage.reset();
            self.metrics.stage.with_label_values(&[stage]).set(1.0);
            tracing::info!(round = round.sequence, stage, "begins");
            let next = Step::new(self, &round).run().await;
            self.metrics.stage_seconds.with_label_values(&[stage]).observe(began.elapsed().as_secs_f64());
            if held.is_lost() {
                return Err(DaemonError::Lost);
            }
            let (outcome, reason, facts) = match next {
                Ok(Next::Stage(to, facts)) => {
                    let moved = self.store.move_round(&held.lease, &round, to, &facts).await?;
                    round = moved.ok_or(DaemonError::Lost)?;
                    continue;
                }
                Ok(Next::Over(outcome, reason, facts)) => (outcome, reason, facts),
                Err(error) => (RoundOutcome::Failed, error.to_string(), round.facts.clone()),
            };
            let ended = self.store.end_round(&held.lease, &round, outcome, &reason, &facts).await?;
            let RoundRecord { sequence: round, .. } = ended.ok_or(DaemonError::Lost)?;
            self.tidy(round);
            return Ok(match outcome {
                RoundOutcome::Released => {
                    self.metrics.success.set(unix_now());
                    Done::Released { round, said: reason }
                }
                RoundOutcome::Refused => Done::Refused { round, reason },
                RoundOutcome::Failed => Done::Failed { round, reason },
                RoundOutcome::Abandoned => Done::Abandoned { round, reason },
            });
        }
    }

    /// Removes files of old rounds. They are evidence for people only: what a version needs is in the registry.
    fn tidy(&self, last: i64) {
        let oldest = last - self.settings.keep_runs as i64;
        for entry in std::fs::read_dir(&self.runs).into_iter().flatten().flatten() {
            let number = entry.file_name().to_str().and_then(|name| name.strip_prefix("round-")?.parse::<i64>().ok());
            if number.is_some_and(|number| number <= oldest)
                && let Err(error) = std::fs::remove_dir_all(entry.path())
            {
                tracing::warn!("{} cannot be removed: {error}", entry.path().display());
            }
        }
    }

    /// Lets another daemon act at once, whatever this one was doing.
    ///
    /// # Errors
    /// If the database cannot be written.
    pub async fn resign(&self) -> Result<(), DaemonError> {
        let lease = self.store.training_lease().await?;
        if let Some(lease) = lease.filter(|lease| lease.holder == self.holder) {
            self.store.give_back_training_lease(&lease).await?;
        }
        Ok(())
    }
}

/// Unix seconds.
fn unix_now() -> f64 {
    std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).map_or(0.0, |since| since.as_secs_f64())
}
