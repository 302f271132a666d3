//! Whether a version is what it says, and whose.

use std::fs;

use super::{PublicKey, Registry, RegistryError, SIGNATURE, blocking, place, signature};
use crate::{
    domain::{Kind, VersionId},
    pack::{self, MANIFEST, Pack},
    runtime::SessionSettings,
    scoring::RewardPack,
};

impl Registry {
    /// Hashes every file of a version and compares it with the manifest.
    ///
    /// # Errors
    /// With every file that is missing or another; [`RegistryError::NotFound`] and [`RegistryError::Retired`].
    pub async fn check(&self, kind: Kind, version: &VersionId) -> Result<(), RegistryError> {
        let record = self.version(kind, version).await?;
        if record.retired.is_some() {
            return Err(RegistryError::Retired { kind, version: version.clone() });
        }
        let folder = self.folder(kind, version);
        blocking(move || place::check(kind, &folder)).await
    }

    /// [`Registry::check`], then runs every graph and compares with the golden outputs. A reward is run beside `generator`, whose
    /// CLIP it must belong to.
    ///
    /// # Errors
    /// With every fault at once.
    pub async fn verify(
        &self,
        kind: Kind,
        version: &VersionId,
        generator: Option<&Pack>,
        settings: &SessionSettings,
    ) -> Result<(), RegistryError> {
        self.check(kind, version).await?;
        let folder = self.folder(kind, version);
        match (kind, generator) {
            (Kind::Generator, _) => pack::verify(&Pack::open(&folder)?, settings, |_| ()).map(drop)?,
            (Kind::Reward, Some(generator)) => RewardPack::open(&folder, generator, settings).map(drop)?,
            (Kind::Reward, None) => {}
        }
        Ok(())
    }

    /// Whether a version is signed as the settings ask for.
    pub(super) async fn trust(&self, kind: Kind, version: &VersionId) -> Result<(), RegistryError> {
        if self.inner.settings.trusted_keys.is_empty() {
            return Ok(());
        }
        // Who is told that there is no signature looks for one: what is not there has none.
        self.version(kind, version).await?;
        let folder = self.folder(kind, version);
        let path = folder.join(MANIFEST);
        let manifest = match fs::read(&path) {
            Ok(manifest) if pack::hash::bytes(&manifest).starts_with(version.digits()) => manifest,
            Ok(_) => {
                let reason = "its manifest.json is not the one that it is named by";
                return Err(RegistryError::Signature { version: version.clone(), reason });
            }
            Err(source) => return Err(RegistryError::Io { path, source }),
        };
        let signature = fs::read_to_string(folder.join(SIGNATURE)).ok();
        self.signer(version, &manifest, signature.as_deref()).map(drop)
    }

    /// Which trusted key signed a manifest; `None` where none needs to.
    pub(super) fn signer(
        &self,
        version: &VersionId,
        manifest: &[u8],
        text: Option<&str>,
    ) -> Result<Option<PublicKey>, RegistryError> {
        let keys = &self.inner.settings.trusted_keys;
        if keys.is_empty() {
            return Ok(None);
        }
        let refused = |reason| RegistryError::Signature { version: version.clone(), reason };
        let text = text.ok_or_else(|| refused("it has no signature"))?;
        let signer = signature::signer(manifest, text, keys);
        signer.map(Some).ok_or_else(|| refused("its signature is of no trusted key, or of another manifest"))
    }
}
