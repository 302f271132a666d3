//! A version on trial beside the champion: first it serves nobody, then a share of those who ask, until it is shown to be as good,
//! or worse, or nothing is shown and somebody has to decide.
//!
//! | state | what happens | next |
//! |---|---|---|
//! | – | [`begin`], with requests to serve for nobody | shadow |
//! | –, shadow | none to serve, or all are served | canary |
//! | shadow, canary | it fails or is slow, a generator draws black or is flagged, more than the champion | rolled back |
//! | canary | people are shown to like it less | rolled back |
//! | canary | people are shown to like it as much, up to the margin | promoted |
//! | canary | too many votes or hours without either | paused |
//! | any | somebody promotes the candidate | promoted |
//! | any | somebody ends it, or promotes a third version | withdrawn |
//!
//! One trial goes on at a time, of a generator or of a reward. What differs between them: where the candidate stands
//! (`swap::beside`), what it does for nobody (`shadow`), what machines count (`seen`), whose a vote is (`store/trials`).
//!
//! The database has the state, so every server of it serves with the candidate, and each may find a fault: a change of state names the
//! state that it leaves, and only one server's is written. `race` is the statistics, `watch` what jobs tell, `verdict` the rules.

mod drift;
mod model;
pub mod race;
mod seen;
mod settings;
mod shadow;
mod verdict;
mod watch;

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError, Weak},
    time::Duration,
};

use drift::Drifting;
pub(crate) use drift::spread;
pub use model::{NewTrial, TrialRecord, TrialState, TrialVote, UnknownState};
pub use seen::{Outcome, Scoring, Seen, Served};
use serde_json::{Value, json};
pub use settings::{DriftSettings, TrialSettings};
use tokio::sync::Notify;
pub use verdict::Verdict;
pub use watch::Watch;
pub(crate) use watch::is_blank;

use crate::{
    domain::{Kind, VersionId},
    metrics::Metrics,
    registry::{Alias, Promotion, Registry, RegistryError},
    store::{self, Store},
    swap::{Ready, SwapError, Swapper},
};

/// Who promotes and rolls back when a trial does.
const ACTOR: &str = "trial";
/// Who pauses when what is drawn has changed.
const DRIFT: &str = "drift";
/// How often a trial is looked at.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// Why there is no trial.
#[derive(Debug, thiserror::Error)]
pub enum TrialError {
    /// One goes on.
    #[error("{0} is on trial already; end that first")]
    GoesOn(VersionId),
    /// There is none.
    #[error("no trial goes on")]
    None,
    /// The candidate cannot serve here.
    #[error(transparent)]
    Swap(#[from] SwapError),
    /// The registry refuses.
    #[error(transparent)]
    Registry(#[from] RegistryError),
    /// The database cannot be read or written.
    #[error(transparent)]
    Store(#[from] anyhow::Error),
}

impl TrialError {
    fn is_of_database(&self) -> bool {
        match self {
            Self::Store(_) => true,
            Self::Registry(error) | Self::Swap(SwapError::Registry(error)) => matches!(error, RegistryError::Store(_)),
            _ => false,
        }
    }
}

/// The trials of a server. Cheap to clone; what it does ends with the last clone.
#[derive(Debug, Clone)]
pub struct Trials {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    store: Store,
    registry: Registry,
    swapper: Swapper,
    watch: Watch,
    settings: TrialSettings,
    metrics: Metrics,
    look: Notify,
    /// The candidate that is written down as serving here.
    told: Mutex<Option<(Kind, VersionId)>>,
}

impl Trials {
    /// Takes part in trials from now on.
    pub fn follow(
        store: Store,
        registry: Registry,
        swapper: Swapper,
        watch: Watch,
        settings: TrialSettings,
        metrics: Metrics,
    ) -> Self {
        let (look, told) = (Notify::new(), Mutex::default());
        watch.set_drift(&settings.drift);
        let inner = Arc::new(Inner { store, registry, swapper, watch, settings, metrics, look, told });
        tokio::spawn(follow(Arc::downgrade(&inner)));
        Self { inner }
    }

    /// [`begin`], once this server has verified and loaded the version.
    ///
    /// # Errors
    /// See [`TrialError`].
    pub async fn begin(&self, trial: NewTrial) -> Result<TrialRecord, TrialError> {
        let inner = &self.inner;
        if let Some(other) = inner.store.trial().await? {
            return Err(TrialError::GoesOn(other.version));
        }
        let ready = inner.swapper.prepare(trial.kind, &trial.version).await?;
        let begun = begin(&inner.store, &inner.registry, trial).await;
        inner.look.notify_one();
        drop(ready);
        begun
    }

    /// [`end`], and this server looks at once.
    ///
    /// # Errors
    /// See [`TrialError`].
    pub async fn end(&self, actor: &str, reason: &str) -> Result<TrialRecord, TrialError> {
        let ended = end(&self.inner.store, &self.inner.registry, actor, reason).await;
        self.inner.look.notify_one();
        ended
    }

    /// Trials, the newest first: those before `before`, at most `limit`. One that goes on tells how it stands.
    ///
    /// # Errors
    /// If the database cannot be read.
    pub async fn list(&self, before: Option<i64>, limit: usize) -> anyhow::Result<Vec<TrialRecord>> {
        let mut trials = self.inner.store.trials(before, limit).await?;
        for trial in trials.iter_mut().filter(|trial| trial.state == TrialState::Canary) {
            trial.evidence = self.inner.look_at(trial).await?.2;
        }
        Ok(trials)
    }
}

/// Tries a version beside the champion: the servers of the database follow within a second.
///
/// # Errors
/// See [`TrialError`]. The version's files are not looked at.
pub async fn begin(store: &Store, registry: &Registry, trial: NewTrial) -> Result<TrialRecord, TrialError> {
    let (kind, current) = (trial.kind, registry.aliases(trial.kind).await?.champion);
    if current.as_ref() != Some(&trial.champion) {
        return Err(RegistryError::Conflict { kind, expected: Some(trial.champion), current }.into());
    }
    let version = trial.version.clone();
    if version == trial.champion {
        return Err(RegistryError::IsChampion { kind, version }.into());
    }
    if registry.version(kind, &version).await?.retired.is_some() {
        return Err(RegistryError::Retired { kind, version }.into());
    }
    // Of two that begin at once the database takes one; only that one's candidate is then named.
    let Some(begun) = store.begin_trial(&trial).await? else {
        let other = store.trial().await?.map_or(version, |other| other.version);
        return Err(TrialError::GoesOn(other));
    };
    if let Err(error) = registry.set_candidate(kind, Some(version), &trial.actor, &trial.reason).await {
        store
            .move_trial(&begun, TrialState::Withdrawn, &format!("it cannot be a candidate: {error}"), &Value::Null)
            .await?;
        return Err(error.into());
    }
    Ok(begun)
}

/// Ends the trial that goes on; the champion serves everybody again.
///
/// # Errors
/// See [`TrialError`].
pub async fn end(store: &Store, registry: &Registry, actor: &str, reason: &str) -> Result<TrialRecord, TrialError> {
    let trial = store.trial().await?.ok_or(TrialError::None)?;
    match registry.set_candidate(trial.kind, None, actor, reason).await {
        Ok(_) | Err(RegistryError::NoCandidate { .. }) => {}
        Err(error) => return Err(error.into()),
    }
    store.move_trial(&trial, TrialState::Withdrawn, &format!("{actor}: {reason}"), &trial.evidence).await?;
    store.trials(Some(trial.sequence + 1), 1).await?.pop().ok_or(TrialError::None)
}

/// Trials of a database, the newest first: those before `before`, at most `limit`.
///
/// # Errors
/// If the database cannot be read.
pub async fn list(store: &Store, before: Option<i64>, limit: usize) -> anyhow::Result<Vec<TrialRecord>> {
    store.trials(before, limit).await
}

/// Looks at the trial until nobody holds the trials any more.
async fn follow(inner: Weak<Inner>) {
    loop {
        let Some(strong) = inner.upgrade() else { return };
        if let Err(error) = strong.step().await {
            tracing::warn!("a trial cannot be looked at: {error:#}");
        }
        tokio::select! {
            () = strong.look.notified() => {}
            () = tokio::time::sleep(LOOK_EVERY) => {}
        }
    }
}

impl Inner {
    async fn step(&self) -> Result<(), TrialError> {
        // First: it may pause the trial that is looked at then.
        self.look_for_drift().await?;
        let trial = self.store.trial().await?;
        let Some(trial) = trial.filter(|trial| trial.state.serves()) else { return self.idle().await };
        let champion = self.registry.aliases(trial.kind).await?.champion;
        if champion.as_ref() != Some(&trial.champion) {
            let (state, reason) = match champion.as_ref() == Some(&trial.version) {
                true => (TrialState::Promoted, "somebody promoted it"),
                false => (TrialState::Withdrawn, "somebody promoted another version"),
            };
            self.moved(&trial, state, reason, &Value::Null).await?;
            return self.idle().await;
        }
        for other in Kind::ALL.into_iter().filter(|kind| *kind != trial.kind) {
            self.champion_alone(other).await?;
        }
        self.watch.begin(trial.kind, trial.champion.as_str(), trial.version.as_str());
        let candidate = match self.candidate(&trial).await {
            Ok(candidate) => candidate,
            // Says nothing about the version: the next look may be luckier.
            Err(error) if error.is_of_database() => return Err(error),
            Err(error) => {
                let reason = format!("a server cannot serve it: {error}");
                return self.roll_back(&trial, &reason, &Value::Null).await;
            }
        };
        match trial.state {
            TrialState::Shadow => self.shadow(&trial, &candidate).await,
            _ => self.canary(&trial).await,
        }
    }

    /// What is drawn has changed: no trial goes on until somebody has looked.
    async fn look_for_drift(&self) -> Result<(), TrialError> {
        for of in Drifting::ALL {
            self.metrics.drift.with_label_values(&[of.name()]).set(self.watch.drifts(of).into());
        }
        while let Some(drifted) = self.watch.drift_begun() {
            let (reason, mut kind) = (drifted.to_string(), Kind::Generator);
            if let Some(trial) = self.store.trial().await?.filter(|trial| trial.state.serves()) {
                kind = trial.kind;
                self.moved(&trial, TrialState::Paused, &reason, &self.look_at(&trial).await?.2).await?;
            }
            self.registry.pause(kind, DRIFT, &reason).await?;
            tracing::warn!(of = drifted.of.name(), "what is drawn has changed: {reason}");
            // Only now: a database that was away is told at the next look.
            self.watch.drift_told();
        }
        Ok(())
    }

    /// No candidate serves here.
    async fn idle(&self) -> Result<(), TrialError> {
        for kind in Kind::ALL {
            self.champion_alone(kind).await?;
        }
        self.watch.end();
        Ok(())
    }

    async fn champion_alone(&self, kind: Kind) -> Result<(), TrialError> {
        if self.swapper.on_trial(kind).is_some() {
            self.swapper.champion_alone(kind).await;
        }
        // Also where it was promoted: it is no candidate then.
        if self.told().as_ref().is_some_and(|(told, _)| *told == kind) {
            self.registry.ended_serving(kind, Alias::Candidate).await?;
            *self.told() = None;
        }
        Ok(())
    }

    fn told(&self) -> MutexGuard<'_, Option<(Kind, VersionId)>> {
        self.told.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The candidate, beside the champion with the share that its state gives it.
    async fn candidate(&self, trial: &TrialRecord) -> Result<Ready, TrialError> {
        let (kind, version) = (trial.kind, &trial.version);
        let share = if trial.state == TrialState::Canary { trial.share } else { 0.0 };
        let here = self.swapper.on_trial(kind).filter(|(here, _)| here.version() == version.as_str());
        let is_at = here.as_ref().map(|(_, share)| *share);
        let candidate = match here {
            Some((here, _)) => here,
            None => self.swapper.prepare(kind, version).await?,
        };
        if is_at != Some(share) {
            self.swapper.try_beside(candidate.clone(), share).await;
        }
        let now = Some((kind, version.clone()));
        if share > 0.0 && *self.told() != now {
            self.registry.began_serving_as(kind, Alias::Candidate, version).await?;
            *self.told() = now;
        }
        Ok(candidate)
    }

    async fn shadow(&self, trial: &TrialRecord, candidate: &Ready) -> Result<(), TrialError> {
        let shadowed = shadow::serve(&self.swapper, candidate, &self.watch, trial).await;
        let seen = self.watch.seen();
        let evidence = json!({"shadow": shadowed.evidence, "seen": seen.told(trial.kind)});
        if let Some(fault) = shadowed.fault().or_else(|| verdict::of_faults(trial.kind, &seen, &self.settings)) {
            return self.roll_back(trial, &fault, &evidence).await;
        }
        let reason = format!("{} requests served for nobody", shadowed.all);
        self.moved(trial, TrialState::Canary, &reason, &evidence).await?;
        self.look.notify_one();
        Ok(())
    }

    async fn canary(&self, trial: &TrialRecord) -> Result<(), TrialError> {
        let (seen, thumbs, evidence) = self.look_at(trial).await?;
        match verdict::of_canary(trial, &seen, &thumbs, &self.settings, store::now()) {
            Verdict::GoOn => Ok(()),
            Verdict::RollBack(reason) => self.roll_back(trial, &reason, &evidence).await,
            Verdict::Promote(reason) if Drifting::ALL.into_iter().any(|of| self.watch.drifts(of)) => {
                let reason = format!("what is drawn has changed, so somebody has to decide; {reason}");
                self.moved(trial, TrialState::Paused, &reason, &evidence).await
            }
            Verdict::Promote(reason) => {
                // First the champion: a crash in between is seen as somebody's promotion.
                let (version, expected) = (trial.version.clone(), Some(trial.champion.clone()));
                let (kind, actor) = (trial.kind, ACTOR.to_owned());
                let promotion = Promotion { kind, version, expected, actor, reason: reason.clone() };
                match self.registry.promote(promotion).await {
                    Ok(_) => self.moved(trial, TrialState::Promoted, &reason, &evidence).await,
                    // Another server did, or somebody promoted: the next look sees it.
                    Err(RegistryError::Conflict { .. } | RegistryError::IsChampion { .. }) => Ok(()),
                    Err(error) => Err(error.into()),
                }
            }
            Verdict::Pause(reason) => {
                self.registry.pause(trial.kind, ACTOR, &reason).await?;
                self.moved(trial, TrialState::Paused, &reason, &evidence).await
            }
        }
    }

    /// What this server saw, what people voted, and both for whoever asks.
    async fn look_at(&self, trial: &TrialRecord) -> anyhow::Result<(Seen, verdict::Thumbs, Value)> {
        let votes = self.store.trial_votes(trial).await?;
        let (seen, thumbs) = (self.watch.seen(), verdict::thumbs(&votes, self.settings.votes_per_rater));
        Ok((seen, thumbs, verdict::evidence(trial, &seen, &thumbs, &self.settings)))
    }

    async fn roll_back(&self, trial: &TrialRecord, reason: &str, evidence: &Value) -> Result<(), TrialError> {
        // A line of the log has no line breaks and is not endless.
        let line: String = reason.chars().map(|c| if c.is_control() { ' ' } else { c }).take(500).collect();
        match self.registry.set_candidate(trial.kind, None, ACTOR, &line).await {
            Ok(_) | Err(RegistryError::NoCandidate { .. }) => {}
            Err(error) => return Err(error.into()),
        }
        self.moved(trial, TrialState::RolledBack, reason, evidence).await?;
        self.idle().await
    }

    async fn moved(
        &self,
        trial: &TrialRecord,
        state: TrialState,
        reason: &str,
        evidence: &Value,
    ) -> Result<(), TrialError> {
        if self.store.move_trial(trial, state, reason, evidence).await? {
            tracing::info!(kind = %trial.kind, version = %trial.version, state = state.name(), reason, "a trial");
            if state != TrialState::Canary {
                self.metrics.trials_total.with_label_values(&[state.name()]).inc();
            }
        }
        Ok(())
    }
}
