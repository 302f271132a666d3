//! Why a version does not serve here.

use super::NoRoom;
use crate::{domain::VersionId, engine::LoadError, pack::PackError, registry::RegistryError};

/// Why a version does not serve on this server. What served before serves on.
#[derive(Debug, thiserror::Error)]
pub enum SwapError {
    /// There is no room for it beside what serves.
    #[error(transparent)]
    NoRoom(#[from] NoRoom),
    /// Its files are not what its manifest says, or compute something else.
    #[error(transparent)]
    Pack(#[from] PackError),
    /// Rewards and scores would no longer be of its pictures' CLIP.
    #[error("it brings another CLIP than the one that scores here, {0}; serve it with --pack after a restart")]
    OtherClip(String),
    /// It does not fit what serves, or its first calls failed.
    #[error(transparent)]
    Load(#[from] LoadError),
    /// It is no reward that can be used here.
    #[error("{0:#}")]
    Reward(anyhow::Error),
    /// The pack that serves has no CLIP.
    #[error("the pack that serves has no CLIP: no reward can be used with it")]
    NoClip,
    /// The registry refuses.
    #[error(transparent)]
    Registry(#[from] RegistryError),
    /// This server tried it and keeps what served.
    #[error("this server refuses {version}: {reason}")]
    Refused {
        /// The champion.
        version: VersionId,
        /// Why it does not serve here.
        reason: String,
    },
    /// A thread died.
    #[error("the thread that loads versions died; the log says more")]
    Thread,
}
