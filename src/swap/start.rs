//! What a server serves when it starts, and how that comes into the registry.

use std::path::{Path, PathBuf};

use crate::{
    domain::{Kind, VersionId},
    pack::{self, Pack},
    registry::{Lineage, Promotion, Registry, RegistryError},
    runtime::SessionSettings,
};

/// Who promotes what was there first.
const ACTOR: &str = "plaudit serve";

/// What to serve from the start.
#[derive(Debug)]
pub struct Start {
    /// The generator.
    pub pack: Pack,
    /// What was given, where that is another one.
    pub given: Option<Pack>,
    /// The reward, where the registry has a champion; otherwise it is the pack's own or the settings'.
    pub reward: Option<PathBuf>,
}

/// The champions of the registry; `--pack` where there is none, or where it is another model.
///
/// A champion that is damaged does not serve: then `--pack` does.
///
/// # Errors
/// A pack that cannot be opened, a registry that cannot be read.
pub async fn start(registry: &Registry, pack: &Path) -> anyhow::Result<Start> {
    let given = Pack::open(pack)?;
    let champion = registry.aliases(Kind::Generator).await?.champion;
    let other =
        champion.filter(|champion| champion.name() == given.manifest().name && champion.as_str() != given.version());
    let (pack, given) = match other {
        None => (given, None),
        Some(champion) => match opened(registry, champion.clone()).await {
            Ok(pack) => {
                let version = given.version();
                tracing::info!(%champion, "the registry's champion serves; --pack is {version}");
                (pack, Some(given))
            }
            Err(error) => {
                tracing::error!(%champion, "the champion cannot serve, {} does: {error:#}", given.version());
                (given, None)
            }
        },
    };
    let reward = registry.aliases(Kind::Reward).await?.champion;
    let reward = reward.map(|version| registry.folder(Kind::Reward, &version)).filter(|folder| folder.is_dir());
    Ok(Start { pack, given, reward })
}

/// A version's pack, verified.
async fn opened(registry: &Registry, version: VersionId) -> anyhow::Result<Pack> {
    let folder = registry.folder(Kind::Generator, &version);
    let open = move || {
        let pack = Pack::open(&folder)?;
        pack::verify(&pack, &SessionSettings { spinning: false, ..SessionSettings::default() }, |_| ())?;
        anyhow::Ok(pack)
    };
    tokio::task::spawn_blocking(open).await?
}

/// Brings what was given on the command line into the registry, and makes it champion where there is none or another model's, so that
/// one can go back to it.
pub(crate) async fn adopt(registry: Registry, kind: Kind, folder: PathBuf, version: String) {
    let adopted = async {
        let version: VersionId = version.parse()?;
        let champion = registry.aliases(kind).await?.champion;
        if champion.as_ref() == Some(&version) {
            return anyhow::Ok(());
        }
        let known = match registry.version(kind, &version).await {
            Ok(known) => known.retired.is_none(),
            Err(RegistryError::NotFound { .. }) => false,
            Err(error) => return Err(error.into()),
        };
        if !known {
            let training = serde_json::json!({"pack": folder.display().to_string()});
            let lineage = Lineage { training, published_by: ACTOR.to_owned(), ..Lineage::default() };
            registry.publish(kind, &folder, lineage).await?;
        }
        let reason = match &champion {
            None => "the first that was served",
            Some(champion) if champion.name() != version.name() => "started with another model",
            Some(champion) => {
                tracing::warn!(
                    "--pack is {version}, but {champion} is champion and serves; \
                     `plaudit registry promote {kind} {version} --expected {champion} --reason …` changes that"
                );
                return Ok(());
            }
        };
        let (actor, reason) = (ACTOR.to_owned(), reason.to_owned());
        match registry.promote(Promotion { kind, version, expected: champion, actor, reason }).await {
            // Another server of the same database did.
            Err(RegistryError::Conflict { .. } | RegistryError::IsChampion { .. }) | Ok(_) => Ok(()),
            Err(error) => Err(error.into()),
        }
    };
    if let Err(error) = adopted.await {
        tracing::warn!(%kind, "what is served is not in the registry, nothing can be rolled back to it: {error:#}");
    }
}
