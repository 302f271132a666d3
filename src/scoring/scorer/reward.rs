//! A version of the reward that scores.

use std::{
    path::{Path, PathBuf},
    sync::{Mutex, PoisonError},
};

use crate::{
    pack::Pack,
    runtime::SessionSettings,
    scoring::{Reward, RewardHead, RewardPack, ScoringError},
};

/// A verified reward, called by the scorer's thread. The last holder's leaving gives its memory back.
#[derive(Debug)]
pub struct ServedReward {
    version: String,
    folder: PathBuf,
    head: Mutex<RewardHead>,
}

impl ServedReward {
    pub(super) fn open(folder: &Path, pack: &Pack, sessions: &SessionSettings) -> anyhow::Result<Self> {
        let head = RewardHead::open(&RewardPack::open(folder, pack, sessions)?, sessions)?;
        Ok(Self { version: head.version().to_owned(), folder: folder.to_owned(), head: Mutex::new(head) })
    }

    /// `name@hash` of its pack.
    pub fn version(&self) -> &str {
        &self.version
    }

    /// Where its pack is.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// The rewards of pairs of points, a picture's and a prompt's.
    pub(crate) fn run<'a>(
        &self,
        rows: impl IntoIterator<Item = (&'a [f32], &'a [f32])>,
    ) -> Result<Vec<Reward>, ScoringError> {
        // What a panicked call leaves behind in a session is a call that did not happen.
        self.head.lock().unwrap_or_else(PoisonError::into_inner).run(rows)
    }
}
