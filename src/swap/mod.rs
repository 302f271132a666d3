//! A version that was promoted comes to serve, while requests go on.
//!
//! The registry's database says which version is champion; each server follows it. For each kind, with `n` the place in the log of
//! promotions that a server has acted on:
//!
//! | state | what happens | next |
//! |---|---|---|
//! | serving `a`, at `n` | the log goes on to `m`, champion still `a` | serving `a`, at `m` |
//! | serving `a`, at `n` | the log goes on to `m`, champion `b` | preparing `b` |
//! | preparing `b` | verified, opened, warm; the log is still at `m` | serving `b`, at `m` |
//! | preparing `b` | the same, but the log went on | serving `b`, at `m`, and looks again |
//! | preparing `b` | a fault | serving `a`, `b` refused, at `m` |
//! | `b` refused | a while later, champion still `b` | preparing `b` |
//!
//! Requests keep the version that they began with ([`engine`](crate::engine)); the old one's sessions leave with the last of them. A
//! generator and a reward are exchanged independently of each other. One task acts, so no two swaps meet on a server.

mod beside;
mod crash;
mod error;
mod load;
mod memory;
mod settings;
mod start;

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError, Weak},
    time::{Duration, Instant},
};

pub(crate) use crash::{Moment, pass};
pub use error::SwapError;
pub use memory::{NoRoom, free as free_memory};
use serde::Serialize;
pub use settings::SwapSettings;
pub(crate) use start::adopt;
pub use start::{Start, start};
use tokio::sync::{Notify, OwnedMutexGuard, watch};
use utoipa::ToSchema;

use crate::{
    domain::{Kind, VersionId},
    engine::{Engine, Generator, Routes},
    metrics::Metrics,
    registry::Registry,
    scoring::{Scorer, ServedReward},
};

/// How long a version that was refused is left alone: the disk may be mended, memory may become free.
const RETRY: Duration = Duration::from_secs(30);

/// What a server does about a kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum SwapState {
    /// It serves what the registry says.
    Serving,
    /// It verifies and loads another version.
    Preparing,
    /// It refused the champion and serves what served before.
    Refused,
}

/// Where a kind stands on a server.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct SwapStatus {
    /// What it is about.
    pub kind: Kind,
    /// What happens.
    pub state: SwapState,
    /// What serves; `None` where nothing does.
    pub version: Option<String>,
    /// What is being prepared, or was refused.
    pub other: Option<VersionId>,
    /// Why it was refused.
    pub reason: Option<String>,
    /// Place in the log of promotions that was acted on.
    pub sequence: i64,
}

/// Follows the registry. Cheap to clone; ends with the last clone.
#[derive(Debug, Clone)]
pub struct Swapper {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    registry: Registry,
    engine: Arc<Engine>,
    scorer: Option<Scorer>,
    metrics: Metrics,
    settings: SwapSettings,
    places: Mutex<[Place; 2]>,
    /// The generator before, and since when.
    warm: Mutex<Option<(Arc<Generator>, Instant)>>,
    /// Somebody promoted here: look at once.
    look: Notify,
    /// One acts at a time.
    acting: Arc<tokio::sync::Mutex<()>>,
    /// Counts what was acted on.
    acted: watch::Sender<u64>,
}

#[derive(Debug, Default)]
struct Place {
    sequence: i64,
    preparing: Option<VersionId>,
    refused: Option<Refused>,
    /// What is written down as serving here.
    told: Option<VersionId>,
}

#[derive(Debug, Clone)]
struct Refused {
    version: VersionId,
    reason: String,
    at: Instant,
}

/// A version that is ready to serve here as long as this lives.
#[derive(Debug, Clone)]
pub enum Ready {
    /// Of the generator.
    Generator(Arc<Generator>),
    /// Of the reward.
    Reward(Arc<ServedReward>),
}

impl Swapper {
    /// Follows the registry from now on. `adopt` comes first: it may write what serves into the registry.
    pub fn follow(
        registry: Registry,
        engine: Arc<Engine>,
        scorer: Option<Scorer>,
        metrics: Metrics,
        settings: SwapSettings,
        adopt: impl Future<Output = ()> + Send + 'static,
    ) -> Self {
        let (acted, _) = watch::channel(0);
        let (places, warm, look, acting) = (Mutex::default(), Mutex::default(), Notify::new(), Arc::default());
        let inner = Inner { registry, engine, scorer, metrics, settings, places, warm, look, acting, acted };
        let inner = Arc::new(inner);
        let weak = Arc::downgrade(&inner);
        tokio::spawn(async move {
            adopt.await;
            follow(weak).await;
        });
        Self { inner }
    }

    /// Verifies and opens a version beside what serves. It serves once it is champion.
    ///
    /// # Errors
    /// See [`SwapError`].
    pub async fn prepare(&self, kind: Kind, version: &VersionId) -> Result<Ready, SwapError> {
        self.inner.prepare(kind, version, false).await
    }

    /// As long as this is held the registry is not followed here.
    pub async fn hold(&self) -> OwnedMutexGuard<()> {
        self.inner.acting.clone().lock_owned().await
    }

    /// Serves a generator for which there is no room beside what serves: see [`Engine::replace`].
    ///
    /// # Errors
    /// See [`SwapError`].
    pub async fn replace(&self, version: &VersionId) -> Result<Ready, SwapError> {
        self.inner.prepare(Kind::Generator, version, true).await
    }

    /// Waits until this server has acted on the log of promotions up to a place in it.
    ///
    /// # Errors
    /// [`SwapError::Refused`] where it serves something else than the champion then.
    pub async fn settled(&self, kind: Kind, sequence: i64) -> Result<(), SwapError> {
        let mut acted = self.inner.acted.subscribe();
        loop {
            {
                let places = self.inner.places();
                let place = &places[index(kind)];
                if place.sequence >= sequence {
                    return match &place.refused {
                        None => Ok(()),
                        Some(Refused { version, reason, .. }) => {
                            Err(SwapError::Refused { version: version.clone(), reason: reason.clone() })
                        }
                    };
                }
            }
            self.inner.look.notify_one();
            // Ends with the swapper only, which is borrowed.
            let _ = acted.changed().await;
        }
    }

    /// Where the kinds stand.
    pub fn status(&self) -> Vec<SwapStatus> {
        let places = self.inner.places();
        [Kind::Generator, Kind::Reward].into_iter().map(|kind| self.inner.status(kind, &places[index(kind)])).collect()
    }
}

fn index(kind: Kind) -> usize {
    match kind {
        Kind::Generator => 0,
        Kind::Reward => 1,
    }
}

/// Acts on the registry until the swapper is dropped.
async fn follow(inner: Weak<Inner>) {
    loop {
        let Some(strong) = inner.upgrade() else { return };
        strong.cool(Duration::from_secs(strong.settings.keep_warm));
        for kind in [Kind::Generator, Kind::Reward] {
            if let Err(error) = strong.look(kind).await {
                tracing::warn!(%kind, "cannot follow the registry: {error:#}");
            }
        }
        let wait = strong.settings.poll();
        tokio::select! {
            () = strong.look.notified() => {}
            () = tokio::time::sleep(wait) => {}
        }
    }
}

impl Inner {
    fn places(&self) -> MutexGuard<'_, [Place; 2]> {
        self.places.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn serving(&self, kind: Kind) -> Option<String> {
        match kind {
            Kind::Generator => Some(self.engine.model().version),
            Kind::Reward => self.scorer.as_ref()?.reward_version(),
        }
    }

    fn status(&self, kind: Kind, place: &Place) -> SwapStatus {
        let Place { sequence, preparing, refused, told: _ } = place;
        let (state, other) = match (preparing, refused) {
            (Some(version), _) => (SwapState::Preparing, Some(version.clone())),
            (None, Some(refused)) => (SwapState::Refused, Some(refused.version.clone())),
            (None, None) => (SwapState::Serving, None),
        };
        let reason = refused.as_ref().filter(|_| preparing.is_none()).map(|refused| refused.reason.clone());
        SwapStatus { kind, state, version: self.serving(kind), other, reason, sequence: *sequence }
    }

    /// Looks at the registry, and acts if the champion is not what serves.
    async fn look(&self, kind: Kind) -> anyhow::Result<()> {
        let _alone = self.acting.lock().await;
        let aliases = self.registry.aliases(kind).await?;
        let serving = self.serving(kind);
        let Some(champion) = aliases.champion.filter(|champion| serving.as_deref() != Some(champion.as_str())) else {
            self.tell_served(kind).await;
            self.act(kind, aliases.sequence, None);
            return Ok(());
        };
        {
            let mut places = self.places();
            let place = &mut places[index(kind)];
            let left_alone = |refused: &Refused| refused.version == champion && refused.at.elapsed() < RETRY;
            if aliases.sequence <= place.sequence && place.refused.as_ref().is_some_and(left_alone) {
                return Ok(());
            }
            place.preparing = Some(champion.clone());
        }
        let refused = match self.prepare(kind, &champion, false).await {
            Ok(ready) => {
                self.flip(kind, ready);
                pass(Moment::Flipped);
                self.tell_served(kind).await;
                pass(Moment::Told);
                None
            }
            Err(error) => {
                tracing::error!(%kind, version = %champion, "the champion does not serve here: {error}");
                self.metrics.swaps_total.with_label_values(&[kind.name(), "refused"]).inc();
                Some(Refused { version: champion, reason: error.to_string(), at: Instant::now() })
            }
        };
        self.act(kind, aliases.sequence, refused);
        Ok(())
    }

    /// Notes what was done, and tells whoever waits for it.
    fn act(&self, kind: Kind, sequence: i64, refused: Option<Refused>) {
        let mut places = self.places();
        let place = &mut places[index(kind)];
        (place.sequence, place.preparing, place.refused) = (sequence, None, refused);
        drop(places);
        self.acted.send_modify(|count| *count += 1);
    }

    async fn prepare(&self, kind: Kind, version: &VersionId, drain: bool) -> Result<Ready, SwapError> {
        let record = self.registry.version(kind, version).await?;
        if record.retired.is_some() {
            return Err(crate::registry::RegistryError::Retired { kind, version: version.clone() }.into());
        }
        let folder = self.registry.folder(kind, version);
        let (settings, metrics) = (self.settings.clone(), self.metrics.clone());
        let niceness = settings.niceness;
        match kind {
            Kind::Generator => {
                let load = || {
                    let (engine, folder) = (self.engine.clone(), folder.clone());
                    let (settings, metrics) = (settings.clone(), metrics.clone());
                    let scorer = self.scorer.clone();
                    let work = move || load::generator(&folder, &engine, scorer.as_ref(), &settings, &metrics, drain);
                    load::behind(niceness, work)
                };
                if drain {
                    self.cool(Duration::ZERO);
                }
                let loaded = match load().await {
                    // The version before makes room.
                    Err(SwapError::NoRoom(_)) if self.cool(Duration::ZERO) => load().await,
                    loaded => loaded,
                };
                loaded.map(Ready::Generator)
            }
            Kind::Reward => {
                let scorer = self.scorer.clone().ok_or(SwapError::NoClip)?;
                let work = move || load::reward(&folder, &scorer, &metrics);
                load::behind(niceness, work).await.map(Ready::Reward)
            }
        }
    }

    /// From the next request on it serves.
    fn flip(&self, kind: Kind, ready: Ready) {
        let began = Instant::now();
        match ready {
            Ready::Generator(generator) => {
                let routes = self.engine.routes();
                let candidate =
                    routes.candidate.clone().filter(|trial| trial.generator.version() != generator.version());
                self.engine.serve(Routes { champion: generator, candidate });
                if self.settings.keep_warm > 0 {
                    *self.warm.lock().unwrap_or_else(PoisonError::into_inner) =
                        Some((routes.champion.clone(), Instant::now()));
                }
                self.observe_release(&routes.champion);
            }
            Ready::Reward(reward) => {
                if let Some(scorer) = &self.scorer {
                    scorer.serve(Some(reward));
                }
            }
        }
        load::observe(&self.metrics, "flip", began);
        self.metrics.swaps_total.with_label_values(&[kind.name(), "served"]).inc();
        tracing::info!(%kind, version = self.serving(kind), "serves now");
    }

    /// Lets go of the version before if it has been kept for `longest`; whether there was one to let go of.
    fn cool(&self, longest: Duration) -> bool {
        let mut warm = self.warm.lock().unwrap_or_else(PoisonError::into_inner);
        let over = warm.as_ref().is_some_and(|(_, since)| since.elapsed() >= longest);
        let gone = if over { warm.take() } else { None };
        drop(warm);
        // Its sessions leave on the engine's thread; who needs their room waits for that.
        gone.is_some()
    }

    /// Measures how long the old version's last requests, and its sessions, take to leave.
    fn observe_release(&self, old: &Arc<Generator>) {
        const LOOK_EVERY: Duration = Duration::from_millis(100);
        let (began, engine, metrics) = (Instant::now(), Arc::downgrade(&self.engine), self.metrics.clone());
        let (old, version) = (Arc::downgrade(old), old.version().to_owned());
        tokio::spawn(async move {
            while old.strong_count() > 0 {
                // It came back, or the server ends.
                if engine.upgrade().is_none_or(|engine| engine.routes().champion.version() == version) {
                    return;
                }
                tokio::time::sleep(LOOK_EVERY).await;
            }
            let Some(engine) = engine.upgrade() else { return };
            let _ = tokio::task::spawn_blocking(move || engine.release()).await;
            load::observe(&metrics, "release", began);
        });
    }

    /// Writes down what serves here, for whoever asks later; where it cannot now, at the next look.
    async fn tell_served(&self, kind: Kind) {
        let Some(Ok(version)) = self.serving(kind).map(|version| version.parse::<VersionId>()) else { return };
        if self.places()[index(kind)].told.as_ref() == Some(&version) {
            return;
        }
        match self.registry.began_serving(kind, &version).await {
            Ok(_) => self.places()[index(kind)].told = Some(version),
            Err(error) => tracing::warn!(%kind, %version, "what serves cannot be written down yet: {error}"),
        }
    }
}
