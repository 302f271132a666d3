//! Requests that a candidate serves for nobody.

mod generator;
mod reward;

use serde_json::Value;

use super::{TrialRecord, watch::Watch};
use crate::swap::{Ready, Swapper};

/// What came of it.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Shadowed {
    /// Requests.
    pub(super) all: u32,
    /// Those that show that the candidate is not fit to serve.
    bad: u32,
    /// What is wrong with them.
    wrong: &'static str,
    /// For whoever asks why.
    pub(super) evidence: Value,
}

impl Shadowed {
    /// What is plain without a comparison.
    pub(super) fn fault(&self) -> Option<String> {
        let Self { all, bad, wrong, .. } = self;
        (2 * bad > *all).then(|| format!("{bad} of {all} requests that nobody saw {wrong}"))
    }
}

/// Serves as many of the last requests once more as the trial asks for.
pub(super) async fn serve(swapper: &Swapper, candidate: &Ready, watch: &Watch, trial: &TrialRecord) -> Shadowed {
    match candidate {
        Ready::Generator(candidate) => generator::draw(swapper.engine(), candidate, watch, trial.shadow).await,
        Ready::Reward(candidate) => {
            let champion = swapper.scorer().and_then(crate::scoring::Scorer::reward);
            reward::score(champion, candidate.clone(), watch, trial.shadow).await
        }
    }
}
