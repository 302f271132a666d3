//! What leaves the registry: versions that nothing holds, and what crashes left.

use std::time::Duration;

use super::{
    Registry, RegistryError, VersionState, blocking,
    crash::{CrashPoint, pass},
    folders::Held,
};
use crate::{
    domain::{Kind, VersionId},
    store::now,
};

impl Registry {
    /// Removes the files of versions that nothing holds; those versions are given back, and are retired. Their rows stay. Where `dry`,
    /// nothing is changed.
    ///
    /// What holds a version: being champion or candidate; having been one of the last `keep` champions before the present one, so
    /// that it can be gone back to; a server that serves it; being younger than `min_age`.
    ///
    /// # Errors
    /// If the disk or the database cannot be written; what is retired by then is removed by the next sweep.
    pub async fn gc(&self, keep: usize, min_age: Duration, dry: bool) -> Result<Vec<VersionId>, RegistryError> {
        let registry = self.clone();
        let held = blocking(move || registry.inner.folders.hold()).await?;
        let until = now().saturating_sub(i64::try_from(min_age.as_secs()).unwrap_or(i64::MAX));
        // First nobody can promote them, then they go.
        let leaving = self.inner.store.retire_versions(keep, until, dry).await?;
        pass(CrashPoint::Retired);
        if !dry {
            for (kind, version) in &leaving {
                tracing::info!(%kind, %version, "retired");
            }
            self.remove(leaving.clone(), held).await?;
        }
        Ok(leaving.into_iter().map(|(_, version)| version).collect())
    }

    /// Removes what a crash left: versions' folders without a row, and folders of versions that are retired. Where somebody is
    /// writing, nothing is done.
    ///
    /// # Errors
    /// If the disk or the database cannot be read or written.
    pub async fn sweep(&self) -> Result<(), RegistryError> {
        let registry = self.clone();
        let Some(held) = blocking(move || registry.inner.folders.try_hold()).await? else { return Ok(()) };
        let folders = &self.inner.folders;
        let mut leaving = Vec::new();
        for (kind, version) in folders.marks()? {
            match self.version(kind, &version).await {
                Ok(_) => {}
                Err(RegistryError::NotFound { .. }) => leaving.push((kind, version)),
                Err(error) => return Err(error),
            }
        }
        let retired = self.inner.store.versions_in(VersionState::Retired).await?;
        leaving.extend(retired.into_iter().filter(|(kind, version)| folders.version(*kind, version).exists()));
        let marks = folders.marks()?;
        let held = self.remove(leaving, held).await?;
        marks.iter().try_for_each(|(kind, version)| folders.unmark(*kind, version))?;
        drop(held);
        Ok(())
    }

    /// Removes versions' folders, then the components that only they named.
    async fn remove(&self, leaving: Vec<(Kind, VersionId)>, held: Held) -> Result<Held, RegistryError> {
        let registry = self.clone();
        blocking(move || {
            let folders = &registry.inner.folders;
            leaving.iter().try_for_each(|(kind, version)| folders.remove(*kind, version, &held))?;
            if !leaving.is_empty() {
                pass(CrashPoint::FoldersGone);
                folders.prune()?;
            }
            Ok(held)
        })
        .await
    }
}
