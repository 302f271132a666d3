//! What can stop the daemon, or a step of a round.

use std::{
    io,
    path::{Path, PathBuf},
};

use plaudit::{feedback::dataset::DatasetError, pack::PackError, registry::RegistryError, trial::TrialError};

use crate::{collect::CollectError, finetune::FinetuneError, gate::GateError, reward::RewardError};

/// Why the daemon cannot go on, or why a step failed.
#[derive(Debug, thiserror::Error)]
#[allow(missing_docs)]
pub enum DaemonError {
    #[error("{flag} changes nothing with --objective {objective}; leave it out, or choose another objective")]
    Idle { flag: &'static str, objective: &'static str },
    #[error(transparent)]
    Store(#[from] anyhow::Error),
    #[error(transparent)]
    Registry(#[from] RegistryError),
    #[error(transparent)]
    Trial(#[from] TrialError),
    #[error(transparent)]
    Dataset(#[from] DatasetError),
    #[error(transparent)]
    Pack(#[from] PackError),
    #[error("learning the reward: {0}")]
    Reward(#[from] RewardError),
    #[error("comparing with the champion: {0}")]
    Gate(#[from] GateError),
    #[error("drawing pictures to tune on: {0}")]
    Draw(#[from] CollectError),
    #[error("tuning the generator: {0}")]
    Tune(#[from] FinetuneError),
    #[error("cannot {action} {path}: {source}")]
    Io { action: &'static str, path: PathBuf, source: io::Error },
    #[error("{path} is in use: another daemon works in it. Stop it, or give each its own --data")]
    InUse { path: PathBuf },
    #[error("cannot listen on {address}: {source}. Choose another with --listen ADDRESS:PORT")]
    Listen { address: std::net::SocketAddr, source: io::Error },
    #[error("a metric cannot be registered: {0}")]
    Metrics(#[from] prometheus::Error),
    #[error("a thread of the daemon panicked; the log says where")]
    Panicked(#[from] tokio::task::JoinError),
    /// Another daemon took over: nothing that this one still does counts.
    #[error("the lease of training is another daemon's by now")]
    Lost,
}

impl DaemonError {
    pub(super) fn io(action: &'static str, path: &Path) -> impl Fn(io::Error) -> Self + use<> {
        let path = path.to_owned();
        move |source| Self::Io { action, path: path.clone(), source }
    }
}
