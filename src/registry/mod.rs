//! The registry: versions of generators and rewards, each immutable and named by its content.
//!
//! A version goes this way:
//!
//! | from | by | to |
//! |---|---|---|
//! | – | [`Registry::publish`] | ready |
//! | ready | [`Registry::set_candidate`] | ready, candidate |
//! | ready, candidate or not | [`Registry::promote`] | ready, champion |
//! | ready, champion once | [`Registry::rollback`] | ready, champion |
//! | ready, held by nothing | [`Registry::gc`] | retired |
//! | retired | [`Registry::publish`] | ready |
//!
//! The database is the truth: what is champion, who made it so, what it was trained on, who served it when. The files are under
//! `DATA/versions` (`folders`), where a crash leaves nothing that a row names and that is not whole (`place`).

mod collect;
mod crash;
mod error;
mod folders;
#[cfg(test)]
mod kills;
mod model;
mod place;
mod settings;
mod signature;
mod source;
#[cfg(test)]
mod tests;
mod verify;

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use anyhow::Context;

use crash::{CrashPoint, pass};
pub use error::RegistryError;
use folders::Folders;
pub use model::{
    Action, Alias, Aliases, EventRange, Lineage, Promotion, PromotionRecord, Serving, UnknownWord, VersionRecord,
    VersionState,
};
pub use settings::{PublicKey, PublicKeyError, RegistrySettings};
pub use signature::{SIGNATURE, SignError, new_key, sign};
use source::Source;

pub use crate::domain::{Kind, VersionId};
use crate::store::{Rollback, Store};

/// Characters of an actor's name at most.
pub const LONGEST_ACTOR: usize = 200;
/// Characters of a reason at most.
pub const LONGEST_REASON: usize = 2000;

/// The versions of a store. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Registry {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    store: Store,
    settings: RegistrySettings,
    folders: Folders,
}

impl Registry {
    /// The registry of a store; removes what a killed process left half-written, unless somebody is writing.
    ///
    /// # Errors
    /// Folders that cannot be made or read.
    pub fn new(store: Store, settings: RegistrySettings) -> anyhow::Result<Self> {
        let folders = Folders::under(store.data())?;
        folders.try_hold()?;
        Ok(Self { inner: Arc::new(Inner { store, settings, folders }) })
    }

    /// [`Registry::new`], then [`Registry::sweep`].
    ///
    /// # Errors
    /// As theirs.
    pub async fn open(store: Store, settings: RegistrySettings) -> anyhow::Result<Self> {
        let registry = Self::new(store, settings)?;
        registry.sweep().await?;
        Ok(registry)
    }

    /// Copies a version into the registry and writes down where it comes from. Nothing is promoted. Publishing the same once more
    /// changes nothing and gives back what was written down first; a retired version is ready again.
    ///
    /// # Errors
    /// A source with faults, all of them at once; no signature that is trusted; a disk or database that cannot be written.
    pub async fn publish(&self, kind: Kind, source: &Path, lineage: Lineage) -> Result<VersionRecord, RegistryError> {
        let lineage = Lineage { published_by: said("published_by", &lineage.published_by, LONGEST_ACTOR)?, ..lineage };
        let (registry, folder) = (self.clone(), source.to_owned());
        let (record, held) = blocking(move || {
            let held = registry.inner.folders.hold()?;
            let source = Source::read(kind, &folder)?;
            let signed_by = registry.signer(&source.version, &source.manifest, source.signature.as_deref())?;
            place::place(&registry.inner.folders, &source, &held)?;
            Ok((record(&source, signed_by, source.lineage(lineage)), held))
        })
        .await?;
        let known = self.inner.store.add_version(&record).await?;
        pass(CrashPoint::Row);
        self.inner.folders.unmark(kind, &known.version)?;
        drop(held);
        tracing::info!(%kind, version = %known.version, by = known.lineage.published_by, "published");
        Ok(known)
    }

    /// Versions, the newest first: those that were published before `before`, at most `limit`.
    ///
    /// # Errors
    /// If the database cannot be read.
    pub async fn versions(
        &self,
        kind: Option<Kind>,
        limit: usize,
        before: Option<&VersionId>,
    ) -> Result<Vec<VersionRecord>, RegistryError> {
        self.inner.store.list_versions(kind, limit, before).await
    }

    /// A version.
    ///
    /// # Errors
    /// [`RegistryError::NotFound`], or a database that cannot be read.
    pub async fn version(&self, kind: Kind, version: &VersionId) -> Result<VersionRecord, RegistryError> {
        self.inner.store.find_version(kind, version).await
    }

    /// Where a version's files are, or would be: what [`Pack::open`](crate::pack::Pack::open) and
    /// [`RewardPack::open`](crate::scoring::RewardPack::open) take.
    pub fn folder(&self, kind: Kind, version: &VersionId) -> PathBuf {
        self.inner.folders.version(kind, version)
    }

    /// Which versions of a kind are champion and candidate, at one moment.
    ///
    /// # Errors
    /// If the database cannot be read.
    pub async fn aliases(&self, kind: Kind) -> Result<Aliases, RegistryError> {
        self.inner.store.aliases(kind).await
    }

    /// Makes a version champion, if the champion is the one that was expected. Its files are not read, but for a signature.
    ///
    /// # Errors
    /// [`RegistryError::Conflict`] where it is another one; a version that is unknown, retired, champion already or not signed as
    /// it must be; a database that cannot be written.
    pub async fn promote(&self, promotion: Promotion) -> Result<PromotionRecord, RegistryError> {
        let promotion = Promotion {
            actor: said("actor", &promotion.actor, LONGEST_ACTOR)?,
            reason: said("reason", &promotion.reason, LONGEST_REASON)?,
            ..promotion
        };
        self.trust(promotion.kind, &promotion.version).await?;
        let written = self.inner.store.promote(&promotion).await?;
        told(&written);
        Ok(written)
    }

    /// Makes an earlier champion champion again, if the champion is the one that was expected: `to`, or the one before. Going back
    /// twice goes back two champions.
    ///
    /// # Errors
    /// [`RegistryError::Conflict`] where it is another one; nothing to go back to; a version that never was champion, is retired or
    /// not signed as it must be; a database that cannot be written.
    pub async fn rollback(
        &self,
        kind: Kind,
        to: Option<VersionId>,
        expected: Option<VersionId>,
        actor: &str,
        reason: &str,
    ) -> Result<PromotionRecord, RegistryError> {
        let (actor, reason) = (said("actor", actor, LONGEST_ACTOR)?, said("reason", reason, LONGEST_REASON)?);
        if let Some(version) = &to {
            self.trust(kind, version).await?;
        }
        let (to, expected) = (to.as_ref(), expected.as_ref());
        let rollback = Rollback { kind, to, expected, actor: &actor, reason: &reason };
        let written = self.inner.store.roll_back(rollback).await?;
        told(&written);
        Ok(written)
    }

    /// Makes a version candidate, or with `None` takes the candidate back.
    ///
    /// # Errors
    /// A version that is unknown, retired, champion or not signed as it must be; no candidate to take back; a database that cannot
    /// be written.
    pub async fn set_candidate(
        &self,
        kind: Kind,
        version: Option<VersionId>,
        actor: &str,
        reason: &str,
    ) -> Result<PromotionRecord, RegistryError> {
        let (actor, reason) = (said("actor", actor, LONGEST_ACTOR)?, said("reason", reason, LONGEST_REASON)?);
        if let Some(version) = &version {
            self.trust(kind, version).await?;
        }
        let written = self.inner.store.set_candidate(kind, version.as_ref(), &actor, &reason).await?;
        told(&written);
        Ok(written)
    }

    /// Writes into the log that nothing is to be promoted for now, and why. It holds nobody back by itself.
    ///
    /// # Errors
    /// If the database cannot be written.
    pub async fn pause(&self, kind: Kind, actor: &str, reason: &str) -> Result<PromotionRecord, RegistryError> {
        let (actor, reason) = (said("actor", actor, LONGEST_ACTOR)?, said("reason", reason, LONGEST_REASON)?);
        let written = self.inner.store.pause(kind, &actor, &reason).await?;
        told(&written);
        Ok(written)
    }

    /// Entries of the log of promotions after a place in it, in their order, at most `limit`.
    ///
    /// # Errors
    /// If the database cannot be read.
    pub async fn promotions(
        &self,
        kind: Option<Kind>,
        after: i64,
        limit: usize,
    ) -> Result<Vec<PromotionRecord>, RegistryError> {
        self.inner.store.promotions(kind, after, limit).await
    }

    /// Writes down that this server serves a version as champion from now on; what it served so before ends. To say it again
    /// changes nothing.
    ///
    /// # Errors
    /// A version that is retired; a database that cannot be written.
    pub async fn began_serving(&self, kind: Kind, version: &VersionId) -> Result<(), RegistryError> {
        self.began_serving_as(kind, Alias::Champion, version).await
    }

    /// [`Registry::began_serving`] in either role.
    ///
    /// # Errors
    /// As there.
    pub async fn began_serving_as(&self, kind: Kind, role: Alias, version: &VersionId) -> Result<(), RegistryError> {
        self.inner.store.began_serving(kind, role, version, None).await
    }

    /// Writes down that this server serves nothing in this role any more. Stopping in good order does so for all.
    ///
    /// # Errors
    /// If the database cannot be written.
    pub async fn ended_serving(&self, kind: Kind, role: Alias) -> Result<(), RegistryError> {
        self.inner.store.ended_serving(kind, role, None).await
    }

    /// What was served in a second of Unix time, and what it was trained on. What ended or began in that second is among it.
    ///
    /// # Errors
    /// If the database cannot be read.
    pub async fn served_at(&self, time: i64) -> Result<Vec<Serving>, RegistryError> {
        self.inner.store.served_at(time).await
    }
}

fn record(source: &Source, signed_by: Option<PublicKey>, lineage: Lineage) -> VersionRecord {
    VersionRecord {
        kind: source.kind,
        version: source.version.clone(),
        state: VersionState::Ready,
        manifest: source.digest.clone(),
        bytes: source.bytes(),
        signed_by: signed_by.map(|key| key.to_string()),
        created: crate::store::now(),
        retired: None,
        lineage,
    }
}

/// A line that says something.
fn said(field: &'static str, text: &str, longest: usize) -> Result<String, RegistryError> {
    let says = text.chars().any(|c| c != ' ') && !text.chars().any(char::is_control);
    let fits = text.chars().count() <= longest;
    (says && fits).then(|| text.to_owned()).ok_or(RegistryError::Said { field, longest })
}

fn told(written: &PromotionRecord) {
    let PromotionRecord { sequence, kind, action, version, previous, actor, reason, .. } = written;
    let (version, previous) = (model::Named(version), model::Named(previous));
    tracing::info!(sequence, %kind, action = action.name(), %version, %previous, actor, reason, "promotions");
}

/// Runs what reads or writes files where that holds nobody up.
async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, RegistryError> + Send + 'static,
) -> Result<T, RegistryError> {
    tokio::task::spawn_blocking(work).await.context("a thread of the registry panicked")?
}
